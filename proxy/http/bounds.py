"""All bounds that are in force. A reload changes them in place: what is in flight, or was counted, still counts."""

from collections.abc import Iterator

from proxy.config.model import Config, Limits, Rates, Route
from proxy.config.rate import parse_rate
from proxy.http.dispatch import Handler
from proxy.http.limited import Limit, LimitedEndpoint, by_address, by_template, everybody
from proxy.limits.gate import Gate, Streams
from proxy.limits.rate import Meters, Rate
from proxy.observe.metrics import Sample

_Metered = tuple[str, str, str, int]  # whose rate it is ("" all routes'), its name, how it is written, how many clients


class Bounds:
    """Of all routes, and of each."""

    def __init__(self, config: Config) -> None:
        self.gate = Gate(0, 0)
        self.streams = Streams(0)
        self._gates: dict[str, Gate] = {}
        self._meters: dict[_Metered, Meters] = {}
        self._limits: dict[str, list[Limit]] = {}
        self.follow(config)

    def __repr__(self) -> str:
        return f"<Bounds {self.gate.count} in flight, {len(self._meters)} rates>"

    def follow(self, config: Config) -> None:
        """Put this configuration in force. A rate that is still written as before goes on counting."""
        limits = config.limits
        held = (_max_body_bytes(route, limits) for route in config.routes if not _only_passes_on(route))
        largest_bytes = max(held, default=limits.max_body_bytes)
        _widen(self.gate, limits.in_flight, limits.in_flight_bytes, largest_bytes)
        self.streams.limit = limits.streams
        self._gates = {route.name: self._gate(route, limits) for route in config.routes if _has_gate(route)}
        former, self._meters = self._meters, {}
        common = list(self._rates("", limits.rate, former))
        self._limits = {
            route.name: [*common, *self._rates(route.name, route.limits.rate, former)] for route in config.routes
        }

    def gate_of(self, route: Route) -> Gate:
        """Its own, which lies within the one of all routes; that one where it has no limits of its own."""
        return self._gates.get(route.name, self.gate)

    def limited(self, route: Route, handle: Handler) -> Handler:
        """The handler behind the rates of its route; the handler itself where there are none."""
        limits = self._limits[route.name]
        return LimitedEndpoint(handle, limits, route.name) if limits else handle

    def samples(self) -> Iterator[Sample]:
        for (route, name, _, _), meters in self._meters.items():
            labels = {"route": route or "(all)", "limit": name}
            yield Sample("stepbridge_rate_clients", labels, len(meters))
            yield Sample("stepbridge_rate_uncounted_total", labels, meters.uncounted)

    def _gate(self, route: Route, limits: Limits) -> Gate:
        outer = None if _only_passes_on(route) else self.gate
        gate = self._gates.get(route.name)
        if gate is None or gate.outer is not outer:
            gate = Gate(0, 0, f"route {route.name}", "route_in_flight", outer)
        own = route.limits
        most_bytes = own.in_flight_bytes or limits.in_flight_bytes
        _widen(gate, own.in_flight or limits.in_flight, most_bytes, _max_body_bytes(route, limits))
        return gate

    def _rates(self, route: str, rates: Rates | None, former: dict[_Metered, Meters]) -> Iterator[Limit]:
        """`route`: whose own they are, "" for the common ones."""
        own = "route_" if route else ""
        if rates and rates.client:
            who = by_template(rates.by) if rates.by else by_address
            key = (route, f"{own}client_rate", f"{rates.client} by {rates.by}", rates.clients)
            yield Limit(key[1], self._meter(key, rates.client, former), who)
        if rates and rates.total:
            key = (route, f"{own}rate", rates.total, 1)
            yield Limit(key[1], self._meter(key, rates.total, former), everybody)

    def _meter(self, key: _Metered, text: str, former: dict[_Metered, Meters]) -> Meters:
        return self._meters.setdefault(key, former.get(key) or Meters(Rate(*parse_rate(text)), key[-1]))


def _has_gate(route: Route) -> bool:
    return route.limits.in_flight is not None or route.limits.in_flight_bytes is not None


def _only_passes_on(route: Route) -> bool:
    """Its requests wait for a service that may be slow: they take no place of what goes to Kafka."""
    return route.upstream is not None and route.produce is None


def _widen(gate: Gate, limit: int, limit_bytes: int, max_body_bytes: int) -> None:
    """Half of the bytes are for bodies that are still arriving, but room for one there must be."""
    gate.limit, gate.limit_bytes = limit, limit_bytes
    gate.arriving_limit_bytes = max(limit_bytes // 2, max_body_bytes)


def _max_body_bytes(route: Route, limits: Limits) -> int:
    return route.limits.max_body_bytes or limits.max_body_bytes
