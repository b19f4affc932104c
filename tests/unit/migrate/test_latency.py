"""How long the two sides take."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.migrate.latency import FADES_AT, Latencies, quantile_ms


def observed(*seconds: float) -> Latencies:
    latencies = Latencies()
    for each in seconds:
        latencies.observe(each)
    return latencies


@given(st.lists(st.floats(0.000_1, 100), min_size=1), st.sampled_from([0.5, 0.99, 1.0]))
def test_a_quantile_is_right_within_five_percent(seconds: list[float], share: float) -> None:
    wanted = share * len(seconds)
    exact = next(each for index, each in enumerate(sorted(seconds), 1) if index >= wanted)
    assert quantile_ms(observed(*seconds).as_json(), share) == pytest.approx(exact * 1000, rel=0.05, abs=0.01)


@given(st.lists(st.floats(0, 200)), st.lists(st.floats(0, 200)))
def test_two_workers_add_up(one: list[float], other: list[float]) -> None:
    together = Counter(observed(*one).as_json()) + Counter(observed(*other).as_json())
    assert together == observed(*one, *other).as_json()


def test_what_was_long_ago_fades() -> None:
    latencies = observed(*[10.0] * (FADES_AT - 1), *[0.001] * FADES_AT)
    assert latencies.count < FADES_AT
    assert quantile_ms(latencies.as_json(), 0.5) == pytest.approx(1, rel=0.05)


def test_nothing_observed_has_no_quantile() -> None:
    assert quantile_ms({}, 0.5) is None
