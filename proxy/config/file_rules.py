"""What may stand together in the file as a whole. Each rule takes the data and yields what is wrong with it."""

from collections.abc import Iterator, Mapping
from typing import Any

from proxy.config.auth_rules import AUTH_RULES, is_loopback
from proxy.config.cors_rules import CORS_RULES
from proxy.config.mistake import Fault
from proxy.config.model import Admin, Consume, Limits, RouteLimits, Server
from proxy.config.observe_rules import OBSERVE_RULES
from proxy.config.outline import RouteOutline, mapping, routes, section
from proxy.config.peer_rules import PEER_RULES
from proxy.config.rate_rules import rates_make_sense
from proxy.config.upstream_rules import UPSTREAM_FILE_RULES

Data = Mapping[str, Any]

SHARED_BY_A_GROUP = ("topics", "lease_ms", "from", "max_deliveries", "dead_letter", "order", "max_in_flight")


def strangers_need_auth(data: Data) -> Iterator[Fault]:
    """Whoever lets other machines in says in so many words that callers are not told apart."""
    for name in ("server", "admin"):
        said = mapping(data.get(name))
        if data.get("auth") == "none" or (data if name == "server" else said).get("auth") is not None:
            continue
        host, key = said.get("host"), "auth" if name == "server" else "admin.auth"
        if isinstance(host, str) and not is_loopback(host):
            mend = f"write `{key}: none` if anyone may, say there who may, or 127.0.0.1"
            yield Fault((name, "host"), f"{host} lets other machines in: {mend}")


def ports_differ(data: Data) -> Iterator[Fault]:
    server, admin = section(Server, data.get("server")), section(Admin, data.get("admin"))
    if server and admin and server.port == admin.port != 0 and server.host == admin.host:
        yield Fault(("admin", "port"), f"{admin.port} is the port of `server` too: give each its own")


def bodies_fit_in_flight(data: Data) -> Iterator[Fault]:
    limits = section(Limits, data.get("limits"))
    if limits is None:
        return
    if limits.max_body_bytes > limits.in_flight_bytes:
        yield Fault(("limits", "max_body_bytes"), f"is more than in_flight_bytes ({limits.in_flight_bytes})")
    for route in routes(data):
        if route.said.get("upstream") is not None and not route.produce:
            continue  # its bodies are streamed
        own = section(RouteLimits, route.said.get("limits"))
        if own and own.max_body_bytes and own.max_body_bytes > limits.in_flight_bytes:
            path = (*route.path, "limits", "max_body_bytes")
            yield Fault(path, f"is more than limits.in_flight_bytes ({limits.in_flight_bytes})")
        largest = own and (own.max_body_bytes or limits.max_body_bytes)
        if own and largest and own.in_flight_bytes and own.in_flight_bytes < largest:
            path = (*route.path, "limits", "in_flight_bytes")
            yield Fault(path, f"is less than one body may have (max_body_bytes, {largest})")


def names_are_unique(data: Data) -> Iterator[Fault]:
    first: dict[str, RouteOutline] = {}
    for route in routes(data):
        if route.name is None:
            continue
        other = first.setdefault(route.name, route)
        if other is not route:
            key = "name" if "name" in route.said else "route"
            detail = f"the name {route.name} is that of {_where(other)} too: write another `name`"
            yield Fault((*route.path, key), detail)


def routes_do_not_collide(data: Data) -> Iterator[Fault]:
    """Of two routes that take the same requests one would never be reached. Acks take requests too."""
    first: dict[tuple[str, tuple[str, ...]], RouteOutline] = {}
    for route in routes(data):
        if route.pattern:
            other = first.setdefault((route.pattern.method, route.pattern.shape), route)
            if other is not route:
                yield Fault((*route.path, "route"), f"takes the same requests as {_where(other)}")
    for route in routes(data):
        acks = route.acks
        if acks:
            other = first.setdefault((acks.method, acks.shape), route)
            if other is not route:
                yield Fault((*route.path, "route"), f"its acks, {acks}, collide with {_where(other)}")


def groups_agree(data: Data) -> Iterator[Fault]:
    """Routes of one group are doors to one membership: they read the same and lease alike."""
    first: dict[str, tuple[RouteOutline, Consume]] = {}
    for route in routes(data):
        consume = section(Consume, route.consume) if route.consume else None
        if consume is None or consume.group is None:
            continue
        other, theirs = first.setdefault(consume.group, (route, consume))
        for key in SHARED_BY_A_GROUP:
            mine, its = _comparable(consume, key), _comparable(theirs, key)
            if mine != its:
                where = (*route.path, "consume", key if key in route.consume else "group")
                yield Fault(where, f"{key} differs from that of {_where(other)} in the same group: {mine}, not {its}")


def _comparable(consume: Consume, key: str) -> Any:
    return sorted(consume.topics) if key == "topics" else getattr(consume, "from_" if key == "from" else key)


def _where(route: RouteOutline) -> str:
    return f"routes[{route.path[1]}] ({route.said.get('route')})"


FILE_RULES = (
    strangers_need_auth,
    ports_differ,
    bodies_fit_in_flight,
    rates_make_sense,
    names_are_unique,
    routes_do_not_collide,
    groups_agree,
    *CORS_RULES,
    *OBSERVE_RULES,
    *AUTH_RULES,
    *PEER_RULES,
    *UPSTREAM_FILE_RULES,
)
