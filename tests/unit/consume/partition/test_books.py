import pytest

from proxy.consume.claim import Claim
from proxy.consume.partition.books import Books, Budget, Now
from proxy.consume.partition.ledger import Ledger
from proxy.consume.partition.progress import Fence, Progress, encode
from proxy.consume.token import MAX_CHARS, Signer
from proxy.record import Partition
from proxy.seams.groups import Committed
from tests.unit.consume.records import ORDERS, Read, read, reads

OTHER = Partition("orders", 1)
SIGNER = Signer(["secret"])
NOW = Now(1_000.0, 1_700_000_000_000)
MIB = 1 << 20


def later(seconds: float) -> Now:
    return Now(NOW.s + seconds, NOW.ms + int(seconds * 1000))


def books_of(*partitions: Partition, lease_s: float = 30.0) -> Books:
    books = Books("pricing", lease_s=lease_s, budget=Budget())
    books.assign(partitions, {partition: Committed(0, "") for partition in partitions}, NOW)
    return books


def held_until(until_ms: int) -> Committed:
    """As a former owner wrote it down when 30 seconds were left."""
    return Committed(5, encode(Progress(5, (), Fence(9, until_ms, left_ms=30_000)))[0])


@pytest.mark.parametrize(
    ("until_ms", "held_s"),
    [
        (NOW.ms + 12_000, 12.0),
        (NOW.ms - 1, 0.0),  # over
        (NOW.ms + 3_600_000, 30.0),  # the former owner's clock is an hour ahead
        ((1 << 64) - 1, 30.0),
    ],
)
def test_nothing_is_held_back_for_longer_than_was_left_of_its_leases(until_ms: int, held_s: float) -> None:
    books = Books("pricing", lease_s=30.0, budget=Budget())
    books.assign([ORDERS], {ORDERS: held_until(until_ms)}, NOW)
    books.take(reads(range(5, 9)), NOW)
    assert books.is_ready == (held_s == 0.0)
    assert books.next_due_s == (NOW.s + held_s if held_s else None)


def test_reading_goes_on_at_the_commit_and_at_nothing_without_one() -> None:
    books = Books("pricing", lease_s=30.0, budget=Budget())
    assert books.assign([ORDERS, OTHER], {ORDERS: Committed(17, "theirs")}, NOW) == {ORDERS: 17}


def test_a_ledger_is_kept_while_kafka_has_our_last_commit() -> None:
    books = books_of(ORDERS, OTHER)
    books.take([*reads(range(3)), *reads(range(3), partition=OTHER)], NOW)
    before = dict(books.ledgers)
    commits = {ORDERS: Committed(0, ""), OTHER: Committed(1, "")}  # another one committed there
    assert books.assign([ORDERS, OTHER], commits, NOW) == {ORDERS: 3, OTHER: 1}
    assert books.ledgers[ORDERS] is before[ORDERS]
    assert books.ledgers[OTHER] is not before[OTHER]


def test_a_ledger_is_not_kept_after_a_refused_commit() -> None:
    books = books_of(ORDERS)
    books.take(reads(range(3)), NOW)
    books.forget()
    assert books.assign([ORDERS], {ORDERS: Committed(0, "")}, NOW) == {ORDERS: 0}


def test_a_hand_out_stops_at_its_bytes_over_all_partitions() -> None:
    books = books_of(ORDERS, OTHER)
    large = b"x" * MIB
    for partition in (ORDERS, OTHER):
        books.take([read(offset, partition=partition, value=large) for offset in range(4)], NOW)
    out = books.hand_out(records=100, size_bytes=3 * MIB, now=NOW)
    assert out is not None
    assert len(out[0]) == 2  # a third would be over, with what a record weighs beside its value
    assert books.is_ready


@pytest.mark.parametrize(("topic", "count"), [("retail.stock-levels", 1_000), ("x" * 249, 400)])
def test_a_lease_over_many_partitions_has_a_token_that_comes_back(topic: str, count: int) -> None:
    partitions = [Partition(topic, number) for number in range(count)]
    books = Books("pricing", lease_s=30.0, budget=Budget(records=8_000, size_bytes=1 << 30))
    begins = 10**12
    books.assign(partitions, dict.fromkeys(partitions, Committed(begins, "")), NOW)
    for partition in partitions:
        books.take([Read(*partition, begins + offset) for offset in range(8)], NOW)
        for offset in range(0, 8, 2):  # what another has lies in between
            assert books.skip(partition, begins + offset)
    taken: set[tuple[Partition, int]] = set()
    while found := books.hand_out(records=1_000, size_bytes=1 << 30, now=NOW):
        token = found[1].seal(SIGNER)
        assert len(token) <= MAX_CHARS
        assert Claim.open(SIGNER, token, group="pricing") == found[1]
        taken |= {(Partition(each.topic, each.partition), each.offset) for each, _ in found[0]}
    assert len(taken) == 4 * count


def test_records_of_partitions_that_are_not_ours_are_left_alone() -> None:
    books = books_of(ORDERS)
    books.take(reads(range(3), partition=OTHER), NOW)
    assert not books.is_ready


def test_leases_of_all_partitions_end_together() -> None:
    books = books_of(ORDERS, OTHER)
    books.take([*reads(range(2)), *reads(range(2), partition=OTHER)], NOW)
    assert books.hand_out(records=4, size_bytes=MIB, now=NOW) is not None
    assert not books.is_ready
    assert books.next_due_s == later(30).s
    books.expire(later(30))
    again = books.hand_out(records=4, size_bytes=MIB, now=later(30))
    assert again is not None
    assert [delivery.deliveries for delivery in again[0]] == [2, 2, 2, 2]
    assert books.redeliveries == 4


@pytest.mark.parametrize(("partitions", "records"), [(1, 40_000), (10, 4_000), (1_000, 1_000)])
def test_partitions_share_the_memory_of_a_group(partitions: int, records: int) -> None:
    assert Budget().window(partitions).records == records


def test_a_commit_in_flight_for_a_log_that_began_anew_says_nothing_of_the_new_one() -> None:
    books = books_of(ORDERS)
    books.take(reads(range(5)), NOW)
    out = books.hand_out(records=5, size_bytes=MIB, now=NOW)
    assert out is not None
    books.accept(out[1], out[1].held, NOW)
    in_flight = books.snapshots(NOW)
    books.take(reads([0]), NOW)
    books.committed(in_flight)
    ledger: Ledger = books.ledgers[ORDERS]
    assert not ledger.is_durable(ledger.changes, [])
    assert ledger.low == 0
