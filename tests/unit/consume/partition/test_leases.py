from proxy.consume.partition.leases import Leases
from proxy.consume.run import Run
from tests.unit.consume.records import reads

ALL = [(0, 1 << 40)]


def run(*offsets: int) -> Run:
    return Run.of(offsets[0], reads(offsets), 1)


def test_the_heap_of_ends_does_not_outgrow_the_leases() -> None:
    leases = Leases()
    leases.add(0, [run(0)], 0.0, 30.0)
    for lease_id in range(1, 2_000):
        leases.add(lease_id, [run(lease_id)], 0.0, 30.0)
        leases.take(lease_id, ALL)
    assert len(leases._ends) < 100


def test_a_renewed_lease_ends_then_and_tells_how_much_it_holds() -> None:
    leases = Leases()
    leases.add(1, [run(0, 1)], 0.0, 30.0)
    assert leases.renew(1, 90.0) == 2
    assert (leases.next_end_s, leases.last_end_s) == (90.0, 90.0)
    assert leases.renew(1, 10.0) == 2
    assert leases.next_end_s == 10.0
    assert leases.renew(2, 10.0) == 0


def test_a_renewed_lease_that_is_over_holds_nothing_back() -> None:
    """Else the next owner would hold back for an hour what others had out for half a minute."""
    leases = Leases()
    leases.add(1, [run(0)], 0.0, 30.0)
    leases.add(2, [run(1)], 0.0, 30.0)
    leases.renew(1, 3_600.0)
    leases.take(1, ALL)
    assert leases.last_end_s == 30.0


def test_records_that_are_out_are_counted_whatever_becomes_of_them() -> None:
    leases = Leases()
    leases.add(1, [run(0, 1, 2)], 0.0, 30.0)
    leases.join(2, [run(3)], 0.0, 20.0)
    leases.join(2, [run(4)], 0.0, 20.0)
    assert leases.records == 5
    leases.take(1, [(1, 2)])
    leases.take_from_any([(3, 4)])
    assert leases.records == 3
    assert leases.next_end_s == 20.0
    leases.pop_ended()
    assert leases.records == 2
