"""The configured routes as an OpenAPI 3.1 document, for clients and generators.

What a route takes and answers is read off its configuration (`openapi_operations.py`); what all routes share is in
`openapi_components.py`. To OpenAPI the names in a path make no difference, so routes whose paths differ only in them
share one entry, with the first one's names. Where `{x}` and `{rest...}` compete for one entry and method, the narrower
route is shown.
"""

from proxy import __version__
from proxy.admin.openapi_callers import for_callers, security_schemes
from proxy.admin.openapi_components import COMPONENTS, Json
from proxy.admin.openapi_operations import ack_operation, operation
from proxy.admin.openapi_schemas import body_schemas
from proxy.config.model import Config, Route
from proxy.config.pattern import ANY_METHOD, One, Rest, Segment, parse_path

_METHODS = ("get", "post", "put", "patch", "delete")  # of a route that takes any; HEAD and OPTIONS say little


def openapi(config: Config) -> Json:
    """The document as JSON data. `config` has been checked."""
    paths = _Paths()
    for route in sorted(config.routes, key=_narrow_first):
        pattern = route.pattern
        for method in _METHODS if pattern.method == ANY_METHOD else (pattern.method.lower(),):
            paths.add(pattern.segments, method, for_callers(operation(route, method), route, config))
        if route.ack_path:
            paths.add(parse_path(route.ack_path), "post", for_callers(ack_operation(route), route, config))
    return {
        "openapi": "3.1.0",
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "info": {
            "title": "Stepbridge",
            "version": __version__,
            "description": "The routes of this bridge as configured.",
        },
        "servers": [{"url": f"http://{config.server.host}:{config.server.port}"}],
        "paths": paths.by_template,
        "components": COMPONENTS
        | {"schemas": COMPONENTS["schemas"] | dict(body_schemas(config))}
        | security_schemes(config),
    }


class _Paths:
    """The `paths` object, one entry for each shape of path."""

    def __init__(self) -> None:
        self.by_template: Json = {}
        self._template: dict[tuple[str, ...], tuple[str, tuple[str, ...]]] = {}  # shape: (template, names)

    def add(self, segments: tuple[Segment, ...], method: str, operation: Json) -> None:
        """Put the operation under its path, its path parameters first, unless a narrower route is there."""
        shape = tuple(segment if isinstance(segment, str) else "{}" for segment in segments)
        template, names = self._template.setdefault(shape, (_template(segments), _names(segments)))
        parameters = [_path_parameter(name, segment) for name, segment in zip(names, _open(segments), strict=True)]
        item = self.by_template.setdefault(template, {})
        item.setdefault(method, operation | {"parameters": parameters + operation["parameters"]})


def _open(segments: tuple[Segment, ...]) -> list[One | Rest]:
    return [segment for segment in segments if not isinstance(segment, str)]


def _names(segments: tuple[Segment, ...]) -> tuple[str, ...]:
    return tuple(segment.name for segment in _open(segments))


def _template(segments: tuple[Segment, ...]) -> str:
    return "/" + "/".join(segment if isinstance(segment, str) else f"{{{segment.name}}}" for segment in segments)


def _path_parameter(name: str, segment: One | Rest) -> Json:
    parameter: Json = {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
    if isinstance(segment, Rest):
        parameter["description"] = "The rest of the path, slashes included."
    return parameter


def _narrow_first(route: Route) -> bool:
    """Catch-alls last. (Sorting is stable: else the file's order.)"""
    return any(isinstance(segment, Rest) for segment in route.pattern.segments)
