"""The state of routes and groups as the JSON that `/admin/routes` and `/admin/groups` answer with."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from typing import Any

from proxy.admin.operations import GroupState, LetterState, RouteState
from proxy.config.model import Config, Route
from proxy.observe.metrics import Snapshot

_SERVING = RouteState()


def route_states(config: Config, states: Mapping[str, RouteState], snapshot: Snapshot) -> list[dict[str, Any]]:
    """One object a route, in the file's order."""
    requests = _requests(snapshot)
    in_flight = snapshot.numbers["stepbridge_requests_in_flight"]
    streams = snapshot.numbers["stepbridge_open_streams"]
    return [
        {
            **_configured(route),
            **asdict(states.get(route.name, _SERVING)),
            "requests": requests[route.name],
            "in_flight": in_flight.get((route.name,), 0),
            "open_streams": streams.get((route.name,), 0),
        }
        for route in config.routes
    ]


def group_states(states: Sequence[GroupState]) -> list[dict[str, Any]]:
    """One object a group, with the sum of its partitions' lags as far as they are known."""
    return [
        asdict(state) | {"lag": sum(partition.lag or 0 for partition in state.partitions)}
        for state in sorted(states, key=lambda state: state.group)
    ]


def _configured(route: Route) -> dict[str, Any]:
    common = {"name": route.name, "method": route.method, "path": route.path, "upstream": route.upstream}
    if route.produce:
        return common | {"kind": "produce", "topics": [route.produce.topic], "group": None}
    if route.consume:
        return common | {"kind": "consume", "topics": list(route.consume.topics), "group": route.consume.group}
    return common | {"kind": "passthrough", "topics": [], "group": None}


def _requests(snapshot: Snapshot) -> dict[str, dict[str, int]]:
    """By route: how many requests were answered with each status."""
    counts: dict[str, dict[str, int]] = defaultdict(dict)
    for (route, status), count in snapshot.numbers["stepbridge_requests_total"].items():
        counts[route][status] = int(count)
    return counts


def letter_state(letter: LetterState, *, with_value: bool) -> dict[str, Any]:
    """One dead letter; without its value there is no word of it."""
    told = {each.name: getattr(letter, each.name) for each in fields(letter)}
    return told if with_value else {name: each for name, each in told.items() if name not in ("value", "encoding")}
