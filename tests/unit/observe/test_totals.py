"""What several workers count together: sums that never go backwards, and gauges of now."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.catalogue import BY_NAME, Kind
from proxy.observe.metrics import Metrics, Sample, Snapshot
from proxy.observe.totals import Totals

REQUESTS = "stepbridge_requests_total"
SECONDS = "stepbridge_request_seconds"
REDELIVERIES = "stepbridge_group_redeliveries_total"


def counted(*statuses: int, route: str = "r") -> Snapshot:
    """The snapshot of a worker that has answered with these."""
    metrics = Metrics()
    for status in statuses:
        metrics.route(route).answered(status, 0.1)
    return metrics.snapshot()


def gauges(**values: float) -> Snapshot:
    """The snapshot of a worker with these gauges, which have no labels."""
    snapshot = Snapshot()
    for name, value in values.items():
        snapshot.numbers[f"stepbridge_{name}"][()] = value
    return snapshot


def test_counters_and_histograms_add_up() -> None:
    totals = Totals()
    totals.note(1, counted(201, 201, 503))
    totals.note(2, counted(201))
    merged = totals.merged([1, 2])
    assert merged.numbers[REQUESTS] == {("r", "201"): 3, ("r", "503"): 1}
    assert merged.distributions[SECONDS]["r",].count == 4
    assert merged.distributions[SECONDS]["r",].sum_s == pytest.approx(0.4)


def test_a_later_snapshot_stands_for_the_earlier_ones() -> None:
    totals = Totals()
    totals.note(1, counted(201))
    totals.note(1, counted(201, 201))
    assert totals.merged([1]).numbers[REQUESTS] == {("r", "201"): 2}


def test_what_a_dead_worker_had_counted_stays_and_its_successor_adds_to_it() -> None:
    totals = Totals()
    totals.note(1, counted(201, 201))
    totals.ended(1)
    assert totals.merged([]).numbers[REQUESTS] == {("r", "201"): 2}
    totals.note(2, counted(201))
    assert totals.merged([2]).numbers[REQUESTS] == {("r", "201"): 3}
    assert totals.merged([2]).distributions[SECONDS]["r",].count == 3


def test_a_worker_that_does_not_answer_keeps_its_counts_and_loses_its_gauges() -> None:
    totals = Totals()
    totals.note(1, counted(201))
    totals.note(2, counted(201))
    merged = totals.merged([2])
    assert merged.numbers[REQUESTS] == {("r", "201"): 2}
    assert merged.numbers["stepbridge_requests_in_flight"] == {("r",): 0}
    assert not totals.merged([]).numbers["stepbridge_requests_in_flight"]


def test_gauges_are_put_together_each_as_it_makes_sense() -> None:
    totals = Totals()
    totals.note(1, gauges(ready=1, kafka_up=1, workers=1))
    totals.note(2, gauges(ready=0, kafka_up=0, workers=1))
    merged = totals.merged([1, 2]).numbers
    assert merged["stepbridge_ready"] == {(): 1}
    assert merged["stepbridge_kafka_up"] == {(): 0}
    assert merged["stepbridge_workers"] == {(): 2}


def test_a_series_that_a_live_worker_begins_anew_goes_on_in_the_sum() -> None:
    """A group that a reload takes away and another brings back counts from nothing."""
    totals = Totals()
    for count in (5.0, None, 2.0, 1.0):
        snapshot = Snapshot()
        if count is not None:
            snapshot.numbers[REDELIVERIES]["g",] = count
        totals.note(1, snapshot)
    assert totals.merged([1]).numbers[REDELIVERIES] == {("g",): 8}


def test_what_was_merged_is_not_changed_by_what_comes_later() -> None:
    totals = Totals()
    totals.note(1, counted(201))
    before = totals.merged([1])
    totals.note(1, counted(201, 201))
    totals.ended(1)
    assert before.numbers[REQUESTS] == {("r", "201"): 1}


# ---- any life that workers may have

Counted = tuple[str, tuple[str, ...], int]  # a metric, its labels, the bucket


def samples(snapshot: Snapshot) -> Iterator[tuple[Counted, float]]:
    """Everything in a snapshot that must never go backwards."""
    for name, numbers in snapshot.numbers.items():
        if BY_NAME[name].kind is Kind.COUNTER:
            yield from (((name, labels, 0), value) for labels, value in numbers.items())
    for name, distributions in snapshot.distributions.items():
        for labels, distribution in distributions.items():
            yield from (((name, labels, bucket), count) for bucket, count in enumerate(distribution.counts))


steps = st.one_of(
    st.tuples(st.just("answer"), st.integers(0, 2), st.sampled_from([201, 503])),
    st.tuples(st.just("redeliver"), st.integers(0, 2), st.sampled_from(["g", "h"])),
    st.tuples(st.just("forget"), st.integers(0, 2), st.none()),
    st.tuples(st.just("look"), st.integers(0, 2), st.none()),
    st.tuples(st.just("die"), st.integers(0, 2), st.none()),
)


class Worker:
    """One that counts, and of whose groups all may go at once."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.redeliveries: dict[str, int] = {}
        self.metrics.add_source(self._samples)

    def _samples(self) -> Iterator[Sample]:
        for group, count in self.redeliveries.items():
            yield Sample(REDELIVERIES, {"group": group}, count)


@given(st.lists(steps, max_size=60))
def test_no_counter_ever_goes_backwards_and_nothing_that_was_looked_at_is_lost(
    life: list[tuple[str, int, int | str | None]],
) -> None:
    totals, workers, numbers, next_number = Totals(), [Worker() for _ in range(3)], [0, 1, 2], 3
    seen, unseen = 0, [0, 0, 0]  # answers that a look has told of, and those that each worker has to tell
    before: dict[Counted, float] = {}
    for step, slot, detail in life:
        worker = workers[slot]
        if step == "answer":
            worker.metrics.route("r").answered(int(detail or 0), 0.01)
            unseen[slot] += 1
        elif step == "redeliver":
            worker.redeliveries[str(detail)] = worker.redeliveries.get(str(detail), 0) + 1
        elif step == "forget":
            worker.redeliveries.clear()
        elif step == "look":
            totals.note(numbers[slot], worker.metrics.snapshot())
            seen, unseen[slot] = seen + unseen[slot], 0
        else:
            totals.ended(numbers[slot])
            workers[slot], numbers[slot], unseen[slot] = Worker(), next_number, 0
            next_number += 1
        now = dict(samples(totals.merged(numbers)))
        assert all(now.get(series, -1) >= value for series, value in before.items())
        assert sum(value for (name, _, _), value in now.items() if name == REQUESTS) == seen
        before = now
