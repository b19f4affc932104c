"""Percentiles, spreads and ratios: what the tables are made of."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.load.stats import Ratio, Spread, percentile


@pytest.mark.parametrize(
    ("count", "share", "expected"),
    [
        (1, 0.5, 1),
        (1, 0.99, 1),
        (2, 0.5, 1),
        (100, 0.5, 50),
        (100, 0.99, 99),
        (101, 0.99, 100),
        (1000, 0.99, 990),
        (100, 1.0, 100),
    ],
)
def test_a_percentile_is_the_nearest_rank(count: int, share: float, expected: int) -> None:
    assert percentile(range(1, count + 1), share) == expected


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1.0))
def test_at_least_the_share_of_the_values_is_not_above_the_percentile(values: list[float], share: float) -> None:
    ordered = sorted(values)
    limit = percentile(ordered, share)
    assert sum(value <= limit for value in ordered) >= share * len(ordered)
    assert sum(value < limit for value in ordered) < share * len(ordered)


def test_a_spread_is_the_median_and_the_extremes() -> None:
    assert Spread.of([5.0, 1.0, 2.0]) == Spread(2.0, 1.0, 5.0)
    assert Spread.of([4.0, 2.0]) == Spread(3.0, 2.0, 4.0)


def test_a_ratio_is_taken_of_the_medians_and_round_by_round() -> None:
    """A machine that was twice as slow in one round spoils neither: both sides were measured in it."""
    assert Ratio.of([2.0, 4.0, 2.0], [1.0, 2.0, 1.0]) == Ratio(2.0, 2.0)
    assert Ratio.of([1.0, 2.0, 9.0], [1.0, 1.0, 3.0]) == Ratio(2.0, 2.0)
    assert Ratio.of([1.0, 2.0, 9.0], [1.0, 4.0, 3.0]) == Ratio(2.0 / 3.0, 1.0)


def test_rounds_that_are_not_pairs_have_no_ratio() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Ratio.of([1.0, 2.0], [1.0])
