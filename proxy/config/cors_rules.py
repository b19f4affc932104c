"""What may stand together in a route's `cors`, and beside it."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.mistake import Fault
from proxy.config.outline import RouteOutline, mapping, routes


def any_origin_has_no_credentials(data: Mapping[str, Any]) -> Iterator[Fault]:
    for route in routes(data):
        cors = mapping(route.said.get("cors"))
        origins = cors.get("origins")
        if cors.get("credentials") is True and isinstance(origins, list) and "*" in origins:
            detail = 'is for named origins: with "*" browsers refuse it. Name the origins, or leave it out'
            yield Fault((*route.path, "cors", "credentials"), detail)


def preflights_do_not_collide(data: Mapping[str, Any]) -> Iterator[Fault]:
    """The bridge answers OPTIONS where a route has `cors`; a route of the file's own would never be reached."""
    answered = {shape: route for route in routes(data) if route.said.get("cors") for shape in _shapes(route)}
    for route in routes(data):
        if route.pattern and route.pattern.method == "OPTIONS" and (other := answered.get(route.pattern.shape)):
            detail = f"is answered for the `cors` of routes[{other.path[1]}] ({other.said.get('route')}): leave out one"
            yield Fault((*route.path, "route"), detail)


def _shapes(route: RouteOutline) -> Iterator[tuple[str, ...]]:
    """Of the paths that its clients call."""
    yield from (pattern.shape for pattern in (route.pattern, route.acks) if pattern)


CORS_RULES = (any_origin_has_no_credentials, preflights_do_not_collide)
