"""Groups as operators see them: all workers added up, and metrics of what this one owns now."""

from dataclasses import replace

from proxy.consume.groups.control import Seen
from proxy.consume.groups.handout import GroupState, PartitionState
from proxy.groups import group_samples, group_state
from proxy.observe.catalogue import BY_NAME, Kind
from proxy.observe.metrics import Metrics
from proxy.record import Partition

ZERO, ONE = Partition("orders", 0), Partition("orders", 1)


def partition(which: Partition, **keys: int | None) -> PartitionState:
    told = {"committable": 3, "end": 10, "lag": 7, "open_records": 5, "leased_records": 2, "holes": 1, "dead": 4}
    return PartitionState(which, **{**told, **keys})  # type: ignore[arg-type]


def state(*partitions: PartitionState, **keys: object) -> GroupState:
    counts = dict.fromkeys(("redeliveries", "rejected", "discarded", "dead_letters", "renewed", "dead"), 1)
    told = {"leased_records": 2, "oldest_lease_s": 1.5, "waiting": 3, "streams": 4, **counts}
    flags = {"is_joined": True, "is_fenced": False, "trouble": None}
    return GroupState("shops", partitions, **{**told, **flags, **keys})  # type: ignore[arg-type]


def test_workers_are_added_up_and_the_oldest_lease_of_all_is_told() -> None:
    seen = [
        Seen("a:1", True, [ZERO], state(partition(ZERO))),
        Seen(
            "b:1", False, [ONE], state(partition(ONE, lag=1), oldest_lease_s=9.0, is_joined=False, trouble="no right")
        ),
    ]
    group = group_state("shops", seen)
    assert (group.leases_out, group.oldest_lease_s, group.waiting, group.streams) == (4, 9.0, 6, 8)
    assert (group.redeliveries, group.rejected, group.discarded, group.dead_letters, group.dead_waiting) == (2,) * 5
    assert (group.is_joined, group.is_fenced, group.trouble) == (False, False, "no right")
    assert [(each.partition, each.owner, each.lag, each.leases_out, each.holes) for each in group.partitions] == [
        (0, "a:1", 7, 2, 1),
        (1, "b:1", 1, 2, 1),
    ]
    assert [(each.address, each.is_here, each.partitions) for each in group.members] == [
        ("a:1", True, ["orders:0"]),
        ("b:1", False, ["orders:1"]),
    ]


def test_of_a_worker_that_cannot_be_reached_only_its_partitions_are_known() -> None:
    seen = [Seen("a:1", True, [ZERO], state(partition(ZERO))), Seen("b:1", False, [ONE], None)]
    group = group_state("shops", seen)
    assert [each.is_reachable for each in group.members] == [True, False]
    assert (group.partitions[1].owner, group.partitions[1].lag, group.partitions[1].committable) == ("b:1", None, None)
    assert group.leases_out == 2


def test_a_partition_that_has_just_moved_is_told_by_who_has_it() -> None:
    """Its former owner cannot be reached; the map of the one that is asked is old."""
    seen = [Seen("a:1", True, [], None), Seen("b:1", False, [ONE, ZERO], None), Seen("c:1", False, [], None)]
    seen[2] = replace(seen[2], state=state(partition(ONE)))
    assert [(each.partition, each.owner) for each in group_state("shops", seen).partitions] == [(0, "b:1"), (1, "c:1")]


# ---- metrics


def series(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    return {name: values for name, values in metrics.snapshot().numbers.items() if "_group_" in name and values}


def test_a_partition_that_moved_away_has_no_series_and_what_was_counted_stays() -> None:
    now = [state(partition(ZERO, leased_records=2), partition(ONE), dead_letters_by={"rejected": 6})]
    metrics = Metrics()
    metrics.add_source(lambda: group_samples(now))
    before = series(metrics)
    assert before["stepbridge_group_lag_records"] == {("shops", "orders", "0"): 7, ("shops", "orders", "1"): 7}
    assert before["stepbridge_group_partition_holes"]["shops", "orders", "0"] == 1
    assert before["stepbridge_group_dead_letters_total"] == {("shops", "rejected"): 6, ("shops", "max_deliveries"): 0}
    now[0] = state(partition(ONE, lag=None), dead_letters_by={"rejected": 6})
    after = series(metrics)
    labelled = [name for name, family in BY_NAME.items() if "partition" in family.labels and name in after]
    assert len(labelled) == 4
    assert all(set(after[name]) == {("shops", "orders", "1")} for name in labelled)
    assert "stepbridge_group_lag_records" not in after  # not known is not zero
    assert all(after[name] == values for name, values in before.items() if BY_NAME[name].kind is Kind.COUNTER)


def test_a_worker_that_may_have_lost_its_partitions_tells_nothing_of_them() -> None:
    for lost in (state(partition(ZERO), is_joined=False), state(partition(ZERO), is_fenced=True)):
        names = {sample.name for sample in group_samples([lost])}
        assert not any("partition" in BY_NAME[name].labels for name in names)
        assert "stepbridge_group_redeliveries_total" in names
