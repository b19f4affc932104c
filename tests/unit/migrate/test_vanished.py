"""What a process held of a shadow's records when it vanished: nobody can list it, and all know how much it was."""

from dataclasses import replace

from proxy.migrate.chronicle import LIVE_S, Chronicle, Replica, heartbeat, leaving
from proxy.migrate.shadow import Shadow
from proxy.record import Record
from tests.unit.migrate.scripted import ScriptedSubmitter

THERE = Replica("there-1", "there", 1, 0, 1, {"orders": 7})


def test_one_that_is_not_heard_of_again_held_what_it_said_last() -> None:
    chronicle = Chronicle()
    chronicle.read(*heartbeat(THERE), 0.0)
    assert chronicle.vanished("orders", 1.0) == 0
    assert chronicle.vanished("orders", LIVE_S + 0.1) == 7
    assert chronicle.vanished("other", LIVE_S + 0.1) == 0
    for key in leaving(THERE.id, {}):  # another has taken its place, and cleans up after it
        chronicle.read(key, None, LIVE_S + 1)
    assert chronicle.vanished("orders", LIVE_S + 2) == 7


def test_one_that_leaves_says_that_it_holds_nothing() -> None:
    chronicle = Chronicle()
    chronicle.read(*heartbeat(THERE), 0.0)
    chronicle.read(*heartbeat(replace(THERE, number=2, held={})), 0.5)
    for key in leaving(THERE.id, {}):
        chronicle.read(key, None, 0.6)
    assert chronicle.vanished("orders", LIVE_S + 2) == 0


def test_a_replica_of_a_later_version_is_understood() -> None:
    key, value = heartbeat(THERE)
    chronicle = Chronicle()
    chronicle.read(key, value.replace(b'"held"', b'"more":1,"held"'), 0.0)
    assert chronicle.replicas["there-1"] == THERE


async def test_a_shadow_says_what_it_has_and_what_may_have_come_since_but_no_more_than_it_takes() -> None:
    shadow = Shadow(ScriptedSubmitter(), bound=5, bound_bytes=10_000, patience_s=1.0)
    for _ in range(2):
        shadow.offer(Record("t", b"k", b"v"), "id")
    assert (shadow.held(), shadow.held()) == (4, 2)
    for _ in range(4):
        shadow.offer(Record("t", b"k", b"v"), "id")
    assert shadow.held() == 5
