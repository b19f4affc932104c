"""When an address is left alone, and when it is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from proxy.upstream.breaker import Breaker


def opened(at_s: float = 0.0) -> Breaker:
    breaker = Breaker(failures=2, open_s=5.0)
    for _ in range(2):
        breaker.failed(breaker.begin(at_s), at_s)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(failures=2, open_s=5.0)
    breaker.failed(breaker.begin(0.0), 0.0)
    breaker.succeeded(breaker.begin(0.0))
    breaker.failed(breaker.begin(0.0), 0.0)
    assert breaker.state(0.0) == "closed"
    breaker.failed(breaker.begin(0.0), 0.0)
    assert (breaker.state(0.0), breaker.admits(0.0), breaker.opened) == ("open", False, 1)


def test_after_its_time_one_request_tries_and_closes_it() -> None:
    breaker = opened()
    assert (breaker.admits(4.9), breaker.wait_s(3.0)) == (False, 2.0)
    assert breaker.admits(5.0)
    is_trial = breaker.begin(5.0)
    assert (is_trial, breaker.admits(5.0)) == (True, False)
    breaker.succeeded(is_trial)
    assert (breaker.state(5.0), breaker.failed_in_a_row) == ("closed", 0)


def test_a_trial_that_fails_opens_it_again() -> None:
    breaker = opened()
    breaker.failed(breaker.begin(5.0), 5.0)
    assert (breaker.state(9.9), breaker.state(10.0), breaker.opened) == ("open", "half_open", 2)


def test_a_trial_that_is_broken_off_leaves_its_place_to_the_next() -> None:
    breaker = opened()
    breaker.abandoned(breaker.begin(5.0))
    assert breaker.admits(5.0)


def test_what_began_before_it_opened_tells_nothing_any_more() -> None:
    breaker = opened()
    breaker.succeeded(False)
    assert breaker.state(0.0) == "open"
    breaker.failed(False, 4.0)
    assert breaker.state(5.0) == "half_open"


@given(st.lists(st.tuples(st.sampled_from(["ok", "failed", "left"]), st.floats(0, 3))))
def test_at_most_one_request_is_out_while_it_is_not_closed(ends: list[tuple[str, float]]) -> None:
    breaker, now_s = Breaker(failures=1, open_s=2.0), 0.0
    for end, pause_s in ends:
        now_s += pause_s
        if not breaker.admits(now_s):
            assert breaker.state(now_s) == "open"
            continue
        is_trial = breaker.begin(now_s)
        assert breaker.admits(now_s) == (breaker.state(now_s) == "closed")
        match end:
            case "ok":
                breaker.succeeded(is_trial)
            case "failed":
                breaker.failed(is_trial, now_s)
            case _:
                breaker.abandoned(is_trial)
