"""Stories of one partition. `test_ledger_laws.py` has the interleavings."""

import pytest

from proxy.consume.partition.ledger import MAX_HOLES, Ledger, Window
from proxy.consume.partition.progress import Fence, Progress, decode
from proxy.consume.ranges import Range
from tests.unit.consume.records import read, reads

WINDOW = Window(records=100, size_bytes=1 << 20)
ALL = [(0, 1 << 40)]
LEASE_S = 30.0


def ledger_at(offset: int, *fetched: int) -> Ledger:
    ledger = Ledger(Progress(offset), window=WINDOW)
    if fetched:
        ledger.take(reads(fetched))
    return ledger


def hand_out(ledger: Ledger, lease_id: int, records: int = 1_000, *, now_s: float = 0.0) -> list[tuple[int, int]]:
    """What went out: offsets and how often each was delivered."""
    runs = ledger.hand_out(lease_id, records=records, size_bytes=1 << 20, now_s=now_s, until_s=now_s + LEASE_S)
    return [(record.offset, run.deliveries) for run in runs for record in run.records]


def offsets_out(ledger: Ledger, lease_id: int, records: int = 1_000, *, now_s: float = 0.0) -> list[int]:
    return [offset for offset, _ in hand_out(ledger, lease_id, records, now_s=now_s)]


def one(*offsets: int) -> list[Range]:
    return [(offset, offset + 1) for offset in offsets]


def moved(ledger: Ledger, *, now_s: float = 0.0) -> Ledger:
    """The ledger of the partition's next owner, whose clock says the same."""
    snapshot = ledger.snapshot(now_s=now_s, now_ms=0)
    assert snapshot is not None
    progress = decode(snapshot.commit.offset, snapshot.commit.metadata)
    until_s = now_s + progress.fence.until_ms / 1000 if progress.fence else 0.0
    return Ledger(progress, window=WINDOW, fence_until_s=until_s)


@pytest.mark.parametrize(
    ("acks", "low"),
    [
        ([], 300),
        ([301], 300),  # what is still out holds the commit back
        ([300, 301], 302),  # 302 to 304 were compacted away: that is settled with 305
        ([305, 301, 300], 306),  # in any order
        ([300, 300], 301),  # a repeated acceptance is harmless
    ],
)
def test_commit_stops_at_the_lowest_offset_still_out(acks: list[int], low: int) -> None:
    ledger = ledger_at(300, 300, 301, 305)
    hand_out(ledger, 1)
    for offset in acks:
        assert ledger.accept(1, one(offset)) == []
    assert ledger.low == low


def test_the_gap_before_a_record_is_settled_with_it() -> None:
    ledger = ledger_at(300, 310, 311)
    hand_out(ledger, 1)
    ledger.accept(1, one(310))
    assert ledger.low == 311
    assert len(ledger.settled) == 0


def test_what_comes_again_goes_before_what_is_new_and_says_how_often() -> None:
    ledger = ledger_at(0, *range(6))
    hand_out(ledger, 1, 4)
    ledger.accept(1, one(1))
    ledger.release(1, one(0, 2))
    assert hand_out(ledger, 2, 3) == [(0, 2), (2, 2), (4, 1)]


def test_a_lease_that_ends_is_handed_out_again() -> None:
    ledger = ledger_at(0, 0, 1)
    hand_out(ledger, 1)
    assert ledger.next_due_s == LEASE_S
    assert ledger.expire(LEASE_S - 0.001) == 0
    assert ledger.expire(LEASE_S) == 2
    assert hand_out(ledger, 2) == [(0, 2), (1, 2)]


def test_an_ended_lease_cannot_accept_what_waits_or_is_out_again() -> None:
    ledger = ledger_at(0, 0, 1)
    hand_out(ledger, 1)
    ledger.expire(LEASE_S)
    hand_out(ledger, 2, 1)
    assert ledger.accept(1, [(0, 2)]) == [(0, 1), (1, 2)]
    assert ledger.low == 0


def test_an_ended_lease_may_repeat_what_was_accepted() -> None:
    ledger = ledger_at(0, 0, 1)
    hand_out(ledger, 1)
    ledger.accept(1, one(0))
    ledger.expire(LEASE_S)
    assert ledger.accept(1, [(0, 2)], is_valid=False) == [(1, 2)]


def test_a_released_record_waits_out_its_delay() -> None:
    ledger = ledger_at(0, 0)
    hand_out(ledger, 1)
    ledger.release(1, ALL, due_s=5.0)
    assert not ledger.is_ready
    assert ledger.next_due_s == 5.0
    assert ledger.expire(5.0) == 0  # no lease ended
    assert hand_out(ledger, 2) == [(0, 2)]


def test_releasing_again_is_harmless() -> None:
    ledger = ledger_at(0, 0, 1)
    hand_out(ledger, 1)
    assert ledger.release(1, ALL) == 2
    hand_out(ledger, 2)
    assert ledger.release(1, ALL) == 0
    assert ledger.leased_records == 2


def test_a_shortened_lease_ends_earlier() -> None:
    ledger = ledger_at(0, 0)
    hand_out(ledger, 1)
    ledger.shorten(1, 3.0)
    ledger.shorten(1, 60.0)  # never longer
    assert ledger.next_due_s == 3.0
    assert ledger.expire(3.0) == 1


def test_records_are_taken_until_the_window_is_full_and_again_at_half() -> None:
    ledger = Ledger(Progress(0), window=Window(records=4, size_bytes=1 << 20))
    ledger.take(reads(range(4)))
    hand_out(ledger, 1)
    seen = [(ledger.is_full, ledger.has_room)]
    for offset in (0, 3):
        ledger.accept(1, one(offset))
        seen.append((ledger.is_full, ledger.has_room))
    assert seen == [(True, False), (False, False), (False, True)]


def test_bytes_fill_the_window_too_but_one_record_always_passes() -> None:
    ledger = Ledger(Progress(0), window=Window(records=100, size_bytes=1_000))
    ledger.take([read(0, value=b"x" * 5_000)])
    assert ledger.is_full
    assert offsets_out(ledger, 1) == [0]
    ledger.accept(1, ALL)
    assert ledger.has_room
    assert ledger.open_bytes == 0


def test_a_hand_out_is_bounded_in_bytes_but_one_record_always_passes() -> None:
    ledger = ledger_at(0)
    ledger.take([read(offset, value=b"x" * 600) for offset in range(5)])
    out = [ledger.hand_out(n, records=9, size_bytes=size, now_s=0, until_s=1) for n, size in enumerate((10, 2_500))]
    assert [[len(run.records) for run in runs] for runs in out] == [[1], [2]]


def test_a_first_commit_is_made_where_the_first_record_is() -> None:
    """Else a group that starts at the end would start there again, and skip what came in between."""
    ledger = Ledger(None, window=WINDOW)
    assert ledger.snapshot(now_s=0, now_ms=0) is None
    ledger.take(reads([41]))
    snapshot = ledger.snapshot(now_s=0, now_ms=0)
    assert snapshot is not None
    assert snapshot.commit.offset == 41
    assert not ledger.is_durable(ledger.changes, [])


# ---- a new owner


def test_a_new_owner_knows_what_was_accepted_out_of_order() -> None:
    ledger = ledger_at(10, *range(10, 20))
    hand_out(ledger, 1)
    ledger.accept(1, one(12, 13, 17))
    ledger.expire(LEASE_S)
    heir = moved(ledger)
    heir.take(reads(range(10, 20)))
    heir.expire(0.0)
    assert offsets_out(heir, 2) == [10, 11, 14, 15, 16, 18, 19]


def test_a_new_owner_holds_back_what_was_out_until_its_lease_ends() -> None:
    ledger = ledger_at(0, 0, 1, 2, 3)
    hand_out(ledger, 1, 2)
    heir = moved(ledger, now_s=10.0)
    heir.take(reads([0, 1, 2, 3]))
    assert offsets_out(heir, 2, now_s=10.0) == [2, 3]
    assert heir.next_due_s == LEASE_S
    assert heir.expire(LEASE_S) == 2
    assert hand_out(heir, 3, now_s=LEASE_S) == [(0, 2), (1, 2)]


@pytest.mark.parametrize("is_fetched", [True, False])
def test_a_new_owner_takes_acceptances_of_leases_it_never_gave(is_fetched: bool) -> None:
    ledger = ledger_at(0, 0, 1, 2)
    hand_out(ledger, 77)
    heir = moved(ledger)
    if is_fetched:
        heir.take(reads([0, 1, 2]))
    assert heir.accept(77, one(0, 2)) == []
    if not is_fetched:
        heir.take(reads([0, 1, 2]))
    assert heir.low == 1
    heir.expire(LEASE_S)
    assert offsets_out(heir, 1) == [1]


def test_a_new_owner_refuses_a_lease_whose_time_is_over() -> None:
    heir = moved(ledger_at(0))
    assert heir.accept(77, [(0, 2)], is_valid=False) == [(0, 2)]
    heir.take(reads([0, 1]))
    assert heir.accept(77, [(0, 2)], is_valid=False) == [(0, 1), (1, 2)]


def test_a_new_owner_takes_acceptances_for_what_it_has_not_handed_out() -> None:
    """After a crash the last commit may know nothing of the lease; its signature does."""
    heir = ledger_at(0, *range(6))
    assert heir.accept(77, [(1, 3), (5, 8)]) == []
    heir.take(reads([6, 7, 8]))
    assert offsets_out(heir, 1) == [0, 3, 4, 8]
    assert heir.accept(77, [(1, 3), (5, 8)]) == []  # and again


def test_a_new_owner_lets_a_reader_give_back_what_it_held() -> None:
    ledger = ledger_at(0, 0, 1)
    hand_out(ledger, 77)
    heir = moved(ledger)
    heir.take(reads([0, 1]))
    assert heir.release(77, one(1)) == 1
    assert hand_out(heir, 1) == [(1, 2)]


def test_delivery_counts_move_with_the_partition() -> None:
    ledger = ledger_at(0, 0, 1, 2)
    for lease_id in range(4):
        hand_out(ledger, lease_id, 1)
        ledger.release(lease_id, ALL)
    hand_out(ledger, 9, 2)
    heir = moved(moved(ledger))
    heir.take(reads([0, 1]))
    heir.take(reads([2]))
    heir.expire(LEASE_S)
    assert hand_out(heir, 1) == [(0, 6), (1, 2), (2, 1)]


def test_an_acceptance_before_the_first_record_is_refused() -> None:
    """Without a commit nobody knows where the partition begins, so nothing could keep it."""
    assert Ledger(None, window=WINDOW).accept(1, [(3, 5)]) == [(3, 5)]


# ---- the bound of a commit


def with_holes(count: int) -> Ledger:
    accepted = [(2 * hole + 1, 2 * hole + 2) for hole in range(count)]
    ledger = Ledger(Progress(0, accepted, Fence(1, 0)), window=Window(10_000, 1 << 30))
    ledger.take(reads(range(2 * count + 10)))
    ledger.expire(0.0)
    return ledger


def test_with_too_many_holes_nothing_new_is_handed_out() -> None:
    ledger = with_holes(MAX_HOLES)
    assert offsets_out(ledger, 1) == [0]  # was out before
    assert not ledger.is_ready
    ledger.accept(1, ALL)
    assert len(ledger.settled) == MAX_HOLES - 1
    assert len(offsets_out(ledger, 2)) == MAX_HOLES + 9


def test_an_acceptance_without_room_in_the_commit_is_not_durable() -> None:
    ledger = Ledger(Progress(0), window=WINDOW)
    far = [(start, start + 1) for start in range(70_000, 150_000_000, 70_000)]
    ledger.accept(77, far)
    snapshot = ledger.snapshot(now_s=0, now_ms=0)
    assert snapshot is not None
    ledger.committed(snapshot)
    assert ledger.is_durable(ledger.changes, far[:100])
    assert not ledger.is_durable(ledger.changes, far[-1:])


def test_durable_means_that_a_later_commit_was_confirmed() -> None:
    ledger = ledger_at(0, 0, 1)
    hand_out(ledger, 1)
    ledger.accept(1, one(0))
    early = ledger.snapshot(now_s=0, now_ms=0)
    ledger.accept(1, one(1))
    assert early is not None
    ledger.committed(early)
    assert not ledger.is_durable(ledger.changes, one(1))
