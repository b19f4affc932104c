"""What the bridge is meant to cost, held against what was measured. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from tests.load.stats import Ratio

STRETCH = 1.25
OVER_MINIMAL = 1.25
OVER_GO = {"64": 1.5, "256": 2.0}  # by connections
OVER_GO_BATCH = 2.0
OVER_GO_READING = 2.0
LOST_TO_OVERLOAD = 0.1  # of the peak, at three times its load
MEMORY_GROWTH = 1.1  # from the beginning of an overload to its end
START_S = 1.0
IDLE_MB = 90.0
CROWD = "10000"  # clients of one stream
CROWD_P99_MS = 500.0
CROWD_MB = 150.0  # above idle
ARRIVAL_MS = 6.0  # from a POST to a poll that waits, half of them
ELSEWHERE_MS = 100.0  # the same at another replica, 99 of 100
TWO_WORKERS = 1.15  # what a second one may cost a request
OVER_FORWARDER = 1.2  # what a passthrough may cost in terms of the least that aiohttp needs
GROWTH = 1.1  # what a thousand routes may cost more than one: the noise of a round, nothing that grows

OVERLOADS = {"in_flight": "the peak", "rate": "what the rate allows"}  # what is offered three times of
FORMS = {"array": "a JSON array", "ndjson": "NDJSON"}  # of many records in one request

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Aim:
    """`value` should not be above `limit`; both in `unit`, and a ratio against something."""

    what: str
    limit: float
    value: float
    unit: str = ""
    against: str = ""
    remark: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.limit

    def __str__(self) -> str:
        limit = f"{self.limit:g}{self.unit}{self.against and ' ' + self.against}"
        remark = self.remark and f" ({self.remark})"
        return f"aim ≤ {limit}, {self.what}: {self.value:.4g}{self.unit} {'ok' if self.met else 'MISSED'}{remark}"


def aims(results: Results) -> list[Aim]:
    """One for each aim whose both sides were measured."""
    found = [*_produce(results.get("produce", {})), *_batch(results.get("batch", {}))]
    found += [*_overload(results.get("overload", {})), *_reading(results)]
    found += [*_crowd(results.get("crowd", {})), *_slow(results.get("slow", {}))]
    found += [*_start(results.get("start", {})), *_routes(results.get("routes", {}))]
    both = ratio(results.get("workers", {}), "workers-2", "workers-1")
    found += _cost("POST with two workers", TWO_WORKERS, "one", both)
    passed_on = ratio(results.get("passthrough", {}), "bridge", "forwarder")
    found += _cost("a passthrough", OVER_FORWARDER, "(e)", passed_on)
    return [*found, *_group(results.get("group", {})), *_arrival(results.get("arrival", {}))]


def costs(rounds: Sequence[dict[str, Any]]) -> list[float]:
    return [one["cpu_s_per_10k"] for one in rounds]


def ratio(results: Results, ours: str, theirs: str) -> Ratio | None:
    """CPU of one candidate in terms of another's; None unless both were measured."""
    if not results.get(ours) or not results.get(theirs):
        return None
    return Ratio.of(costs(results[ours]), costs(results[theirs]))


def _produce(by_connections: Results) -> Iterator[Aim]:
    for connections, rounds in by_connections.items():
        what = f"POST at {connections_as_text(connections)}"
        yield from _cost(what, OVER_MINIMAL, "(b)", ratio(rounds, "bridge", "minimal"))
        if connections in OVER_GO:
            yield from _cost(what, OVER_GO[connections], "(c)", ratio(rounds, "bridge", "go"))


def _batch(by_form: Results) -> Iterator[Aim]:
    for form, rounds in by_form.items():
        yield from _cost(f"many records as {FORMS[form]}", OVER_GO_BATCH, "(c)", ratio(rounds, "bridge", "go"))


def _overload(by_limit: Results) -> Iterator[Aim]:
    for limit, rounds in by_limit.items():
        if bridge := rounds.get("bridge"):
            lost = 1 - median(one["share"] for one in bridge)
            remark = (
                f"by its CPU-seconds {1 - median(by_cpu(one) for one in bridge):.2f}" if limit == "in_flight" else ""
            )
            yield Aim(f"share of {OVERLOADS[limit]} lost at 3 times its load", LOST_TO_OVERLOAD, lost, remark=remark)
            grown = max(one["rss_after_mb"] / one["rss_before_mb"] for one in bridge)
            yield Aim(f"memory at the end of that ({limit})", MEMORY_GROWTH, grown, "×", "the beginning")


def by_cpu(flood: dict[str, Any]) -> float:
    """Which share of the peak one CPU-second of the bridge still serves: what else the machine does shows less."""
    share: float = flood["peak"]["cpu_s_per_10k"] / flood["cpu_s_per_10k"]
    return share


def connections_as_text(count: str) -> str:
    return "1 connection" if count == "1" else f"{count} connections"


def _reading(results: Results) -> Iterator[Aim]:
    drained, streamed = results.get("drain", {}), results.get("sse", {})
    for way, what in (("position", "drain without a group"), ("group", "drain with a group")):
        yield from _cost(what, OVER_GO_READING, "(c)", ratio(drained, f"bridge-{way}", f"go-{way}"))
    yield from _cost("SSE", OVER_GO_READING, "(c)", ratio(streamed, "bridge", "go"))
    if bridge := streamed.get("bridge"):
        lost = max(1 - one["delivered_share"] for one in bridge)
        yield Aim("share of SSE events not delivered", 0, lost)


def _crowd(by_clients: Results) -> Iterator[Aim]:
    for clients, rounds in by_clients.items():
        if bridge := rounds.get("bridge"):
            lost = max(1 - one["delivered_share"] for one in bridge)
            yield Aim(f"share of events not delivered to {int(clients):,} clients", 0, lost)
    if bridge := by_clients.get(CROWD, {}).get("bridge"):
        yield Aim("p99 of 10,000 clients", CROWD_P99_MS, median(one["p99_ms"] for one in bridge), " ms")
        yield Aim("memory of 10,000 clients", CROWD_MB, median(one["above_idle_mb"] for one in bridge), " MB")


def _slow(results: Results) -> Iterator[Aim]:
    yield from _cost("1,000 clients beside a slow one", GROWTH, "alone", ratio(results, "slow-one", "slow-none"))
    if beside := results.get("slow-one"):
        lost = max(1 - one["delivered_share"] for one in beside) + max(one["slow_lost"] for one in beside)
        yield Aim("records lost to a slow reader or beside it", 0, lost)


def _cost(what: str, limit: float, against: str, measured: Ratio | None) -> Iterator[Aim]:
    if measured is None:
        return
    remark = f"round by round {measured.median_of_rounds:.2f}×"
    if against == "(c)":
        remark += f"; stretch {STRETCH}×: {'reached' if measured.of_medians <= STRETCH else 'not reached'}"
    yield Aim(what, limit, measured.of_medians, "×", against, remark)


def _group(by_readers: Results) -> Iterator[Aim]:
    for readers, rounds in by_readers.items():
        what = f"{readers_as_text(readers)} of a group"
        yield from _cost(what, OVER_GO_READING, "(c)", ratio(rounds, "bridge", "go"))
        yield from _cost(f"{what} with two workers", TWO_WORKERS, "one", ratio(rounds, "workers-2", "bridge"))


def readers_as_text(count: str) -> str:
    return "1 reader" if count == "1" else f"{count} readers"


def _arrival(rounds: Results) -> Iterator[Aim]:
    if bridge := rounds.get("bridge"):
        yield Aim("POST to poll, p50", ARRIVAL_MS, median(one["p50_ms"] for one in bridge), " ms")
    if replicas := rounds.get("replicas"):
        yield Aim(
            "POST to poll at another replica, p99", ELSEWHERE_MS, median(one["p99_ms"] for one in replicas), " ms"
        )


def _start(rounds: Results) -> Iterator[Aim]:
    if bridge := rounds.get("bridge"):
        yield Aim("start to first answered request", START_S, median(one["started_s"] for one in bridge), " s")
        yield Aim("idle memory (RSS)", IDLE_MB, median(one["rss_mb"] for one in bridge), " MB")


def _routes(rounds: Results) -> Iterator[Aim]:
    for kind in ("literal", "templated"):
        what = f"the last of 1,000 {kind} routes"
        yield from _cost(what, GROWTH, "one", ratio(rounds, f"{kind}-1000", f"{kind}-1"))
