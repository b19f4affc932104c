import pytest

from proxy.consume.claim import MAX_IDS, Claim
from proxy.consume.groups.wish import read_wish
from proxy.errors import FieldInvalid
from proxy.record import Partition

A, B = Partition("orders", 0), Partition("orders", 1)
CLAIM = Claim("pricing", 77, 1_700_000_030_000, 4, {A: [(5, 8)], B: [(2, 3)]})


def test_all_means_what_the_lease_holds() -> None:
    wish = read_wish(CLAIM, "all", None)
    assert (wish.accept, wish.release, wish.accepts, wish.releases) == (CLAIM.held, {}, 4, 0)


def test_ids_are_gathered_into_ranges_and_counted_once() -> None:
    wish = read_wish(CLAIM, ["orders:0:7", "orders:0:5", "orders:0:6", "orders:0:5"], ["orders:1:2"])
    assert (wish.accept, wish.release) == ({A: [(5, 8)]}, {B: [(2, 3)]})
    assert (wish.accepts, wish.releases) == (3, 1)


@pytest.mark.parametrize(
    ("accept", "release", "pointer"),
    [
        (["orders:0:5", "orders:0:8"], None, "/accept/1"),  # one past the end
        (["sales:0:5"], None, "/accept/0"),
        (["orders:2:5"], None, "/accept/0"),
        (None, ["nonsense"], "/release/0"),
    ],
)
def test_what_is_not_in_the_lease_is_named(accept: list[str] | None, release: list[str] | None, pointer: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        read_wish(CLAIM, accept, release)
    assert [error["pointer"] for error in refused.value.errors] == [pointer]


def test_a_long_list_of_nonsense_gets_a_short_answer() -> None:
    with pytest.raises(FieldInvalid) as refused:
        read_wish(CLAIM, ["nonsense"] * MAX_IDS, None)
    assert len(refused.value.errors) == 20


def test_a_list_longer_than_any_lease_is_not_read() -> None:
    with pytest.raises(FieldInvalid, match="at most"):
        read_wish(CLAIM, ["orders:0:5"] * (MAX_IDS + 1), None)


@pytest.mark.parametrize("other", ["all", [], ["orders:0:5"]])
def test_all_leaves_nothing_for_the_other(other: list[str]) -> None:
    with pytest.raises(FieldInvalid, match="nothing left"):
        read_wish(CLAIM, "all", other)


def test_one_record_is_either_accepted_or_released() -> None:
    with pytest.raises(FieldInvalid, match="orders:0:6 is in both"):
        read_wish(CLAIM, ["orders:0:5", "orders:0:6"], ["orders:0:6"])
