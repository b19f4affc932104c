"""The clock: it goes by another one for as long as a test says, and deadlines with it."""

from proxy import clock
from proxy.clock import Deadline, now_s


def test_another_clock_holds_for_a_while_and_for_deadlines() -> None:
    before_s = now_s()
    with clock.going_by(lambda: 5.0):
        deadline = Deadline.after(2.0)
        assert (now_s(), deadline.at_s) == (5.0, 7.0)
        with clock.going_by(lambda: 6.5):
            assert deadline.remaining_s() == 0.5
        assert now_s() == 5.0
    assert now_s() >= before_s


def test_nothing_remains_of_a_deadline_that_has_passed() -> None:
    deadline = Deadline.after(1.0)
    with clock.going_by(lambda: deadline.at_s + 10):
        assert deadline.remaining_s() == 0.0
