"""What may stand together in a `rate`, in `limits` and in a route's own."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.auth_rules import is_guarded
from proxy.config.mistake import Fault, Path
from proxy.config.outline import mapping, routes
from proxy.config.placeholder import OF_CALLERS, BadTemplate, Placeholder, placeholders

BEFORE_THE_BODY = ("path", "query", "header")  # what a client can be told apart by: a refusal does not wait for more


def rates_make_sense(data: Mapping[str, Any]) -> Iterator[Fault]:
    common = ("limits", "rate")
    yield from _rate(mapping(data.get("limits")), common, None, isinstance(data.get("auth"), Mapping))
    for route in routes(data):
        names = route.pattern.names if route.pattern else ()
        yield from _rate(mapping(route.said.get("limits")), (*route.path, *common), names, is_guarded(route))


def _rate(
    limits: Mapping[str, Any], path: Path, path_names: tuple[str, ...] | None, has_callers: bool
) -> Iterator[Fault]:
    """`path_names`: the parameters of the route's path; None outside of routes."""
    said = limits.get("rate")
    if not isinstance(said, Mapping):
        return
    if said.get("total") is None and said.get("client") is None:
        yield Fault(path, "says neither total nor client: write for example `client: 100/s`")
    for key in ("by", "clients"):
        if said.get(key) is not None and said.get("client") is None:
            yield Fault((*path, key), f"{key} needs `client`, the rate of each client", at_key=True)
    by = said.get("by")
    if isinstance(by, str):
        for detail in _misplaced(by, path_names, has_callers):
            yield Fault((*path, "by"), detail)


def _misplaced(by: str, path_names: tuple[str, ...] | None, has_callers: bool) -> Iterator[str]:
    try:
        found = placeholders(by)
    except BadTemplate as exc:
        yield str(exc)
        return
    if not found:
        yield 'is the same for every client: write for example "{header.x-api-key}"'
    yield from (detail for each in found if (detail := _why_not(each, path_names, has_callers)))


def _why_not(placeholder: Placeholder, path_names: tuple[str, ...] | None, has_callers: bool) -> str | None:
    if placeholder.source in OF_CALLERS:
        return None if has_callers else f"{placeholder} is of a caller, and nobody is asked who they are: write `auth`"
    if placeholder.source not in BEFORE_THE_BODY:
        return f"{placeholder} is not known before the body: {{header.…}}, {{query.…}} and {{path.…}} are"
    if placeholder.source != "path":
        return None
    if path_names is None:
        return f"{placeholder} is not in every route: take {{header.…}} or {{query.…}}, or a route's own rate"
    if placeholder.way[0] not in path_names:
        return f"{placeholder} is not in the route's path"
    return None
