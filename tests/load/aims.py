"""What the bridge is meant to cost, held against what was measured. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.load.stats import Ratio

STRETCH = 1.25
OVER_MINIMAL = 1.25
OVER_GO = {"64": 1.5, "256": 2.0}  # by connections
OVER_GO_READING = 2.0
START_S = 1.0
IDLE_MB = 90.0
GROWTH = 1.1  # what a thousand routes may cost more than one: the noise of a round, nothing that grows

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """`value` should not be above `limit`; both in `unit`."""

    what: str
    unit: str
    limit: float
    value: float
    remark: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        verdict = "ok" if self.met else "MISSED"
        return f"aim ≤ {self.limit:g}{self.unit}: {self.what}: {self.value:.2f}{self.unit} {verdict}{self.remark}"


def aims(results: Results) -> list[Aim]:
    """One for each aim whose both sides were measured."""
    found = [*_produce(results.get("produce", {})), *_reading(results)]
    return [*found, *_start(results.get("start", {})), *_routes(results.get("routes", {}))]


def costs(rounds: Sequence[dict[str, Any]]) -> list[float]:
    return [one["cpu_s_per_10k"] for one in rounds]


def ratio(results: Results, ours: str, theirs: str) -> Ratio | None:
    """CPU of one candidate in terms of another's; None unless both were measured."""
    if not results.get(ours) or not results.get(theirs):
        return None
    return Ratio.of(costs(results[ours]), costs(results[theirs]))


def _produce(by_connections: Results) -> Iterator[Aim]:
    for connections, rounds in by_connections.items():
        what = f"POST at {connections} connections"
        yield from _cost(what, "× (b)", OVER_MINIMAL, ratio(rounds, "bridge", "minimal"))
        if connections in OVER_GO:
            yield from _cost(what, "× (c)", OVER_GO[connections], ratio(rounds, "bridge", "go"))


def _reading(results: Results) -> Iterator[Aim]:
    drained, streamed = results.get("drain", {}), results.get("sse", {})
    for way, what in (("position", "drain without a group"), ("group", "drain with a group")):
        yield from _cost(what, "× (c)", OVER_GO_READING, ratio(drained, f"bridge-{way}", f"go-{way}"))
    yield from _cost("SSE", "× (c)", OVER_GO_READING, ratio(streamed, "bridge", "go"))
    if bridge := streamed.get("bridge"):
        lost = max(1 - one["delivered_share"] for one in bridge)
        yield Aim("SSE events not delivered", "", 0, lost)


def _cost(what: str, unit: str, limit: float, measured: Ratio | None) -> Iterator[Aim]:
    if measured is None:
        return
    remark = f" (median of the rounds' ratios {measured.median_of_rounds:.2f}×)"
    if unit == "× (c)":
        remark += f", stretch {STRETCH}× {'reached' if measured.of_medians <= STRETCH else 'not reached'}"
    yield Aim(what, unit, limit, measured.of_medians, remark)


def _start(rounds: Results) -> Iterator[Aim]:
    if bridge := rounds.get("bridge"):
        yield Aim("start to first answered request", " s", START_S, median(one["started_s"] for one in bridge))
        yield Aim("idle memory (RSS)", " MB", IDLE_MB, median(one["rss_mb"] for one in bridge))


def _routes(rounds: Results) -> Iterator[Aim]:
    for kind in ("literal", "templated"):
        yield from _cost(
            f"the last of 1,000 {kind} routes", "× one", GROWTH, ratio(rounds, f"{kind}-1000", f"{kind}-1")
        )
