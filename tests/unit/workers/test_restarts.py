"""When a worker that died starts again."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.workers.restarts import LONGEST_PAUSE_S, SETTLED_S, Restarts


def test_the_first_time_at_once_then_after_a_pause_that_grows_up_to_a_bound() -> None:
    restarts = Restarts()
    assert [restarts.pause_s(1.0) for _ in range(8)] == [0, 0.25, 0.5, 1, 2, 4, 8, 8]


def test_whoever_ran_a_while_is_succeeded_at_once() -> None:
    restarts = Restarts()
    for _ in range(5):
        restarts.pause_s(0.1)
    assert [restarts.pause_s(SETTLED_S), restarts.pause_s(0.1)] == [0, 0.25]


@given(st.lists(st.floats(0, 2 * SETTLED_S), max_size=3_000))
def test_no_life_makes_a_slot_wait_longer_than_the_bound_or_spin(lives_s: list[float]) -> None:
    restarts = Restarts()
    pauses_s = [restarts.pause_s(ran_s) for ran_s in lives_s]
    assert all(0 <= pause_s <= LONGEST_PAUSE_S for pause_s in pauses_s)
    assert all(
        earlier or later or ran_s >= SETTLED_S
        for earlier, later, ran_s in zip(pauses_s, pauses_s[1:], lives_s[1:], strict=False)
    )
