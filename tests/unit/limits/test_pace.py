"""How fast it is refused."""

import pytest

from proxy.limits.pace import Pace

START_S = 86_400.0
AT_ONCE, LONGEST_S = 100, 2.0


def made(served_per_s: int, share: float = 0.1) -> Pace:
    """A pace that has seen so many requests served in its last second."""
    pace = Pace(share=share, least_per_s=50, at_once=AT_ONCE, longest_s=LONGEST_S)
    pace.rest_s(START_S - 1)
    for _ in range(served_per_s):
        pace.served()
    return pace


def refusals(pace: Pace, connections: int, seconds: float, *, served_per_s: int = 0) -> int:
    """How often so many connections are refused that ask as often as they are read."""
    count, served = 0, 0
    ready_s = [START_S] * connections
    while (now_s := min(ready_s)) < START_S + seconds:
        while served < (now_s - START_S) * served_per_s:
            pace.served()
            served += 1
        ready_s[ready_s.index(now_s)] = now_s + pace.rest_s(now_s) + 1e-4
        count += 1
    return count


def test_a_few_refusals_need_no_rest() -> None:
    pace = made(10_000)
    assert [pace.rest_s(START_S) for _ in range(AT_ONCE)] == [0.0] * AT_ONCE


def test_below_the_pace_no_connection_ever_rests() -> None:
    pace = made(10_000)
    assert not any(pace.rest_s(START_S + number / 1_010) for number in range(1_000))


@pytest.mark.parametrize("served_per_s", [1_000, 5_000])
@pytest.mark.parametrize("connections", [10, 200])
def test_who_comes_again_at_once_is_refused_at_a_share_of_what_is_served(served_per_s: int, connections: int) -> None:
    """What refusals cost does not grow with the number of connections, but with what the bridge can do."""
    count = refusals(made(served_per_s), connections, 5, served_per_s=served_per_s)
    assert 5 * served_per_s / 10 - AT_ONCE <= count <= AT_ONCE + 5 * served_per_s / 10 * 1.02 + connections


def test_while_nothing_is_served_it_is_still_refused() -> None:
    assert 4 * 50 <= refusals(made(0), 10, 4) <= AT_ONCE + 4 * 50


def test_no_connection_rests_longer_than_the_longest_rest() -> None:
    pace = made(0)
    assert max(pace.rest_s(START_S) for _ in range(10_000)) == pytest.approx(LONGEST_S)


def test_after_a_calm_time_refusals_need_no_rest_again() -> None:
    pace = made(10_000)
    for _ in range(10_000):
        pace.rest_s(START_S)
    later_s = START_S + LONGEST_S + AT_ONCE / 50
    assert [pace.rest_s(later_s) for _ in range(AT_ONCE - 1)] == [0.0] * (AT_ONCE - 1)
