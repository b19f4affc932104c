"""How often requests may come: at once, over time, and of how many clients that is remembered."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.rate import Meters, Rate

START_S = 86_400.0  # monotonic clocks begin anywhere

rates = st.builds(Rate, st.integers(1, 100_000), st.sampled_from([1, 60, 3_600]), st.integers(1, 1_000))
steps_s = st.lists(st.floats(0, 100), max_size=60)


def taken(meters: Meters, who: str, now_s: float) -> bool:
    """Ask, and come if allowed."""
    if meters.wait_s(who, now_s) > 0:
        return False
    meters.count(who, now_s)
    return True


def at_once(meters: Meters, who: str, now_s: float) -> int:
    """How many requests pass one after another at one moment."""
    count = 0
    while taken(meters, who, now_s):
        count += 1
    return count


@pytest.mark.parametrize("burst", [1, 7, 200])
def test_a_burst_passes_at_once_and_not_one_more(burst: int) -> None:
    meters = Meters(Rate(100, 1, burst))
    assert meters.left("", START_S) == burst
    assert at_once(meters, "", START_S) == burst
    assert meters.left("", START_S) == 0


def test_after_a_burst_requests_pass_at_the_rate() -> None:
    meters = Meters(Rate(100, 1, 20))
    at_once(meters, "", START_S)
    passed = sum(taken(meters, "", START_S + millisecond / 1_000) for millisecond in range(1, 1_001))
    assert passed == 100


def test_a_rest_gives_the_burst_back_and_no_more() -> None:
    meters = Meters(Rate(100, 1, 20))
    at_once(meters, "", START_S)
    assert meters.left("", START_S + 0.1) == 10
    assert at_once(meters, "", START_S + 1_000) == 20


def test_what_is_refused_does_not_count() -> None:
    """A client that never stops asking is served at its rate all the same."""
    meters = Meters(Rate(10, 1, 1))
    passed = sum(taken(meters, "", START_S + tick / 1_000) for tick in range(10_000))
    assert passed == 100


@given(rates, steps_s)
def test_no_stretch_of_time_sees_more_than_a_burst_and_the_rate(rate: Rate, steps_s: list[float]) -> None:
    meters, now_s, passed_s = Meters(rate), START_S, []
    for step_s in steps_s:
        now_s += step_s * rate.interval_s
        passed_s += [now_s] * taken(meters, "", now_s)
    for first, since_s in enumerate(passed_s):
        for last in range(first, len(passed_s)):
            allowed = rate.burst + (passed_s[last] - since_s) / rate.interval_s
            assert last - first + 1 <= allowed + 1e-3 + 1e-6 / rate.interval_s


@given(rates, steps_s)
def test_who_waits_as_long_as_told_is_let_in(rate: Rate, steps_s: list[float]) -> None:
    meters, now_s = Meters(rate), START_S
    for step_s in steps_s:
        now_s += step_s * rate.interval_s
        now_s += meters.wait_s("", now_s)
        assert taken(meters, "", now_s)


@given(rates)
def test_who_keeps_to_the_rate_is_never_refused(rate: Rate) -> None:
    meters = Meters(rate)
    assert all(taken(meters, "", START_S + number * rate.interval_s) for number in range(300))


@given(rates, steps_s)
def test_as_many_pass_at_once_as_it_says_are_left(rate: Rate, steps_s: list[float]) -> None:
    meters, now_s = Meters(rate), START_S
    for step_s in steps_s:
        now_s += step_s * rate.interval_s
        taken(meters, "", now_s)
    left = meters.left("", now_s)
    assert at_once(meters, "", now_s) == left


@given(rates, steps_s)
def test_after_the_reset_the_burst_is_there_again_or_at_least_one(rate: Rate, steps_s: list[float]) -> None:
    meters, now_s = Meters(rate), START_S
    for step_s in steps_s:
        now_s += step_s * rate.interval_s
        taken(meters, "", now_s)
    then_s = now_s + meters.reset_s("", now_s)
    assert meters.left("", then_s) >= (rate.burst if meters.left("", now_s) else 1)


def test_one_clients_haste_is_not_anothers() -> None:
    meters = Meters(Rate(10, 1, 5), limit=10)
    at_once(meters, "hasty", START_S)
    assert meters.left("calm", START_S) == 5


def test_clients_that_are_full_again_are_forgotten_for_new_ones() -> None:
    meters = Meters(Rate(10, 1, 1), limit=3)
    for number in range(1_000):
        assert taken(meters, f"client {number}", START_S + number)
        assert len(meters) <= 3
    assert meters.uncounted == 0


def test_at_the_bound_a_new_client_is_let_through_and_those_known_are_still_held() -> None:
    meters = Meters(Rate(1, 3_600, 1), limit=2)
    assert taken(meters, "a", START_S)
    assert taken(meters, "b", START_S)
    assert [taken(meters, "c", START_S + 1) for _ in range(3)] == [True, True, True]
    assert (len(meters), meters.uncounted) == (2, 3)
    assert not taken(meters, "a", START_S + 1)
    assert not taken(meters, "b", START_S + 1)


def test_the_client_that_was_served_last_is_forgotten_last() -> None:
    meters = Meters(Rate(1, 1, 3), limit=2)
    taken(meters, "a", START_S)
    taken(meters, "b", START_S)
    taken(meters, "a", START_S)
    taken(meters, "new", START_S + 1.5)  # b is full again, a is not
    assert meters.left("a", START_S + 1.5) == 2
    assert not meters.uncounted
