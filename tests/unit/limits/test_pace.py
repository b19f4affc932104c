"""How fast it is refused."""

from proxy.limits.pace import Pace

START_S = 86_400.0
PER_S, AT_ONCE, LONGEST_S = 1_000, 100, 1.0


def test_a_few_refusals_need_no_rest() -> None:
    pace = Pace(PER_S, AT_ONCE, LONGEST_S)
    assert [pace.rest_s(START_S) for _ in range(AT_ONCE)] == [0.0] * AT_ONCE


def test_below_the_pace_no_connection_ever_rests() -> None:
    pace = Pace(PER_S, AT_ONCE, LONGEST_S)
    assert not any(pace.rest_s(START_S + number / (PER_S * 0.99)) for number in range(10 * PER_S))


def test_connections_that_come_again_as_soon_as_they_may_are_refused_at_the_pace() -> None:
    """So many connections ask as often as they are read: what they cost does not grow with their number."""
    for connections in (10, 500, 900):
        pace, refusals = Pace(PER_S, AT_ONCE, LONGEST_S), 0
        ready_s = [START_S] * connections
        while (now_s := min(ready_s)) < START_S + 5:
            ready_s[ready_s.index(now_s)] = now_s + pace.rest_s(now_s) + 1e-4
            refusals += 1
        assert refusals <= AT_ONCE + 5 * PER_S + connections


def test_no_connection_rests_longer_than_it_was_told_to_stay_away() -> None:
    pace = Pace(PER_S, AT_ONCE, LONGEST_S)
    assert max(pace.rest_s(START_S) for _ in range(10 * PER_S)) <= LONGEST_S + 1e-6


def test_after_a_calm_time_refusals_need_no_rest_again() -> None:
    pace = Pace(PER_S, AT_ONCE, LONGEST_S)
    for _ in range(10 * PER_S):
        pace.rest_s(START_S)
    later_s = START_S + LONGEST_S + AT_ONCE / PER_S
    assert [pace.rest_s(later_s) for _ in range(AT_ONCE - 1)] == [0.0] * (AT_ONCE - 1)
