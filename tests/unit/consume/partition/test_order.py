"""The terms of a group, in stories of one partition. `test_lease_laws.py` has the interleavings."""

import pytest

from proxy.consume.partition.keys import Keys
from proxy.consume.partition.ledger import MAX_HOLES, Ledger, Window
from proxy.consume.partition.progress import Progress, decode
from proxy.consume.partition.terms import Terms
from proxy.consume.run import Run
from tests.unit.consume.records import ORDERS, Read

ALL = [(0, 1 << 40)]
LEASE_S = 30.0


def records(keys: str) -> list[Read]:
    """A record for each letter, with that key; a dash has none."""
    return [Read(*ORDERS, at, key=None if key == "-" else key.encode()) for at, key in enumerate(keys)]


def ledger_with(keys: str, terms: Terms, *, window: int = 10_000) -> Ledger:
    ledger = Ledger(Progress(0), window=Window(window, 1 << 30), terms=terms)
    ledger.take(records(keys))
    return ledger


def out(ledger: Ledger, lease_id: int, most: int = 1_000, *, now_s: float = 0.0) -> list[int]:
    runs = ledger.hand_out(lease_id, records=most, size_bytes=1 << 20, now_s=now_s, until_s=now_s + LEASE_S)
    return [record.offset for run in runs for record in run.records]


def at(*offsets: int) -> list[tuple[int, int]]:
    return [(offset, offset + 1) for offset in offsets]


BY_KEY = Terms(order="key")


def test_of_each_key_the_first_goes_out_and_the_next_when_it_is_settled() -> None:
    ledger = ledger_with("aab-ab-", BY_KEY)
    assert out(ledger, 1) == [0, 2, 3, 6]
    assert not out(ledger, 2)
    ledger.accept(1, at(0, 2))
    assert out(ledger, 3) == [1, 5]
    ledger.accept(3, at(1))
    assert out(ledger, 4) == [4]


@pytest.mark.parametrize("due_s", [None, 10.0])
def test_nobody_overtakes_a_record_that_comes_again(due_s: float | None) -> None:
    ledger = ledger_with("aaa", BY_KEY)
    out(ledger, 1)
    ledger.release(1, ALL, due_s=due_s)
    assert out(ledger, 2) == ([0] if due_s is None else [])
    ledger.expire(10.0)
    assert out(ledger, 3) == ([] if due_s is None else [0])


def test_an_ended_lease_lets_its_key_go_on_in_order() -> None:
    ledger = ledger_with("aa", BY_KEY)
    out(ledger, 1)
    ledger.expire(LEASE_S)
    assert out(ledger, 2, now_s=LEASE_S) == [0]


def test_a_dead_record_does_not_hold_its_key_up() -> None:
    ledger = ledger_with("aa", Terms(order="key", buries=True))
    out(ledger, 1)
    ledger.reject(1, ALL)
    assert out(ledger, 2) == [1]


def test_a_new_owner_keeps_the_order_of_what_the_former_one_had_out() -> None:
    ledger = ledger_with("aab", BY_KEY)
    assert out(ledger, 1) == [0, 2]
    snapshot = ledger.snapshot(now_s=0.0, now_ms=0, is_last=True)
    assert snapshot is not None
    progress = decode(snapshot.commit.offset, snapshot.commit.metadata)
    heir = Ledger(progress, window=Window(100, 1 << 20), terms=BY_KEY, fence_until_s=LEASE_S)
    heir.take(records("aab"))
    assert out(heir, 2) == []
    heir.accept(1, at(0))
    runs = heir.hand_out(3, records=9, size_bytes=1 << 20, now_s=0.0, until_s=LEASE_S)
    assert [(run.records[0].offset, run.deliveries) for run in runs] == [(1, 1)]  # it was passed over, never delivered


def test_looking_for_a_free_key_looks_at_each_record_once() -> None:
    """Else every poll would go through all that waits for one busy key."""
    keys = Keys()
    looked_at = 0

    class Counted(list[Read]):
        def __getitem__(self, index):  # type: ignore[no-untyped-def]
            nonlocal looked_at
            looked_at += 1
            return super().__getitem__(index)

    keys.go_out(Run.of(0, records("a"), 1))
    assert keys.head(Counted(records("b" + "a" * 1_000)), 1) == 1
    assert looked_at == 1
    ledger = ledger_with("a" * 2_000 + "b", BY_KEY)
    assert out(ledger, 1) == [0, 2_000]
    assert not ledger.is_ready  # nothing is looked at again until `a` is free
    ledger.accept(1, at(0))
    assert out(ledger, 2) == [1]


def test_a_partition_in_order_has_one_lease_out_at_a_time() -> None:
    ledger = ledger_with("abcd", Terms(order="partition"))
    assert out(ledger, 1, 2) == [0, 1]
    ledger.accept(1, at(0))
    assert not ledger.is_ready
    ledger.release(1, at(1), due_s=5.0)
    assert not ledger.is_ready  # 1 is not due, and nobody overtakes it
    ledger.expire(5.0)
    assert out(ledger, 2) == [1, 2, 3]


def test_so_many_are_out_at_a_time() -> None:
    ledger = ledger_with("abcdef", Terms(max_in_flight=3))
    assert (out(ledger, 1, 2), out(ledger, 2), out(ledger, 3)) == ([0, 1], [2], [])
    ledger.accept(1, at(1))
    assert out(ledger, 4) == [3]


def test_the_lowest_goes_out_whatever_the_number_of_holes() -> None:
    """It is what fills them: given back unseen it counts as new, and must not wait for what waits for it."""
    count = 2 * MAX_HOLES + 3
    ledger = ledger_with("-" * count, Terms(), window=100_000)
    out(ledger, 1, 5_000)
    ledger.accept(1, at(*range(1, count, 2)))
    ledger.release(1, ALL, undelivered=True)
    assert len(ledger.settled) > MAX_HOLES
    assert out(ledger, 2, 1) == [0]


def test_what_no_client_has_seen_does_not_count_as_delivered() -> None:
    ledger = ledger_with("a", Terms(max_deliveries=1, buries=True))
    for lease_id in range(3):
        assert out(ledger, lease_id) == [0]
        ledger.release(lease_id, ALL, undelivered=True)
    assert out(ledger, 9) == [0]
    ledger.release(9, ALL)
    assert [(each.reason, each.run.deliveries) for each in ledger.dead.values()] == [("max_deliveries", 1)]


# ---- an operator's


def test_a_skipped_record_is_settled_wherever_it_is() -> None:
    ledger = ledger_with("aabcd", Terms(order="key", buries=True))
    assert out(ledger, 1, 3) == [0, 2, 3]
    ledger.reject(1, at(2))
    ledger.release(1, at(3), due_s=50.0)
    for offset in (0, 2, 3, 4, 1):  # out, dead, delayed, waiting, behind a key
        assert ledger.skip(offset)
        assert not ledger.skip(offset)
    assert (ledger.low, ledger.open_records, ledger.leased_records, dict(ledger.dead)) == (5, 0, 0, {})
    assert ledger.next_due_s is None


def test_the_key_of_a_skipped_record_goes_on() -> None:
    ledger = ledger_with("aa", BY_KEY)
    out(ledger, 1)
    ledger.skip(0)
    assert out(ledger, 2) == [1]
