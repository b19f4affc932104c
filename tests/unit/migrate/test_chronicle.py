"""What follows from the records of the control topic, also once compaction has taken most of them."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.migrate.chronicle import (
    KEPT,
    Change,
    Chronicle,
    Outcome,
    Replica,
    announcement,
    ending,
    heartbeat,
    leaving,
)
from proxy.migrate.stages import STAGES, Setting

Log = list[tuple[bytes, bytes | None]]
DEEDS = st.lists(
    st.tuples(st.sampled_from(("announce", "activate", "abandon", "again", "too late")), st.integers(0, 2)), max_size=40
)


def change(epoch: int, number: int, replica: int = 0) -> Change:
    setting = Setting(STAGES[number % 4])
    return Change(f"{number}", "orders", epoch, setting, Setting("legacy"), f"r{replica}", "ann", "", number)


def read(log: Log) -> Chronicle:
    chronicle = Chronicle()
    for key, value in log:
        chronicle.read(key, value, 0.0)
    return chronicle


def compacted(log: Log) -> Log:
    """Of each key the last record, tombstones included for a while."""
    last = {key: index for index, (key, _) in enumerate(log)}
    return [log[index] for index in sorted(last.values())]


def written(deeds: list[tuple[str, int]]) -> Log:
    """A log as replicas write it: each reads what is there before it writes."""
    log: Log = []
    ended: list[Change] = []
    given_up: list[Change] = []  # by others, while who took it through was about to activate it
    for number, (deed, replica) in enumerate(deeds):
        route = read(log).route("orders")
        match deed:
            case "announce":
                log.append(announcement(change(route.epoch + 1, number, replica)))
            case "activate" | "abandon" if route.open is not None:
                ended.append(route.open)
                if deed == "abandon":
                    given_up.append(route.open)
                log.append(ending(Outcome("activated" if deed == "activate" else "abandoned", route.open)))
            case "again" if ended:  # several abandon one change, each for itself
                log.append(ending(Outcome("abandoned", ended[-1], f"by r{replica}")))
            case "too late" if given_up:
                log.append(ending(Outcome("activated", given_up.pop())))
        log.extend((key, None) for key in sorted(read(log).void))
    return log


@given(DEEDS)
def test_compaction_changes_nothing_of_what_is_in_force(deeds: list[tuple[str, int]]) -> None:
    log = written(deeds)
    whole, short = read(log).route("orders"), read(compacted(log)).route("orders")
    assert (whole.setting, whole.epoch) == (short.setting, short.epoch)
    assert (whole.open is None) == (short.open is None)


def test_the_first_outcome_of_a_change_counts() -> None:
    one = change(1, 1)
    for first, second in (("activated", "abandoned"), ("abandoned", "activated")):
        log: Log = [announcement(one), ending(Outcome(first, one)), ending(Outcome(second, one))]  # type: ignore[arg-type]
        route = read(log).route("orders")
        assert (route.epoch, route.setting) == (1, one.setting if first == "activated" else None)


def test_of_two_announcements_the_first_counts() -> None:
    log: Log = [announcement(change(1, 1, replica=1)), announcement(change(1, 2, replica=2))]
    opened = read(log).route("orders").open
    assert opened is not None
    assert opened.replica == "r1"


def test_the_trail_is_bounded() -> None:
    log: Log = []
    log += [ending(Outcome("activated", change(number, number))) for number in range(1, KEPT + 50)]
    route = read(log).route("orders")
    assert len(route.history()) == KEPT
    assert route.history()[0].change.epoch == KEPT + 49
    assert len({key for key, _ in log}) == KEPT


def test_who_leaves_takes_its_records_along() -> None:
    replica = Replica("r1", "host/0", 7, 0)
    log: Log = [heartbeat(replica), announcement(change(1, 1, replica=1))]
    chronicle = read(log)
    gone = [*leaving("r1", chronicle.routes)]
    assert {heartbeat(replica)[0], announcement(change(1, 1, replica=1))[0]} <= set(gone)
    for key in gone:
        chronicle.read(key, None, 1.0)
    assert chronicle.live(1.0) == set()


def test_what_it_does_not_know_is_passed_over() -> None:
    strange: Log = [(b"replica/x", b"{"), (b"outcome/x", b'{"v": 2}'), (b"what", b"1"), (b"\xff", b"[]"), (b"", b"")]
    assert read(strange).replicas == {}
