"""What several workers tell of their groups, as one answer."""

from typing import Any

from proxy.workers.groups import together


def group(name: str, **keys: Any) -> dict[str, Any]:
    """As one worker tells it."""
    told = {"partitions": [], "leases_out": 0, "oldest_lease_s": None, "is_joined": True, "is_fenced": False, "lag": 0}
    return {"group": name, **told, "trouble": None, **keys}


def test_partitions_stand_side_by_side_and_numbers_add_up() -> None:
    first = group("g", partitions=[{"partition": 0}], leases_out=3, lag=7, oldest_lease_s=2.5)
    second = group("g", partitions=[{"partition": 1}], leases_out=4, lag=1, oldest_lease_s=9.0)
    assert together([[first], [second]]) == [
        group("g", partitions=[{"partition": 0}, {"partition": 1}], leases_out=7, lag=8, oldest_lease_s=9.0)
    ]


def test_a_worker_with_trouble_is_not_hidden_by_one_without() -> None:
    fine, troubled = group("g"), group("g", is_joined=False, is_fenced=True, trouble="no rights")
    assert together([[fine], [troubled]]) == [troubled]
    assert together([[troubled], [fine]]) == [troubled]


def test_a_group_that_one_worker_alone_tells_of_is_told_as_it_is() -> None:
    assert together([[group("b")], [group("a"), group("c", lag=1)]]) == [group("a"), group("b"), group("c", lag=1)]
    assert together([]) == []
