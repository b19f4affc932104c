"""The figures: medians of rounds with their range, and ratios. Pure."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


def percentile(ordered: Sequence[float], share: float) -> float:
    """Nearest rank: the smallest of the ascending values that is not below `share` (0 < share <= 1) of them."""
    return ordered[math.ceil(len(ordered) * share) - 1]


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds measured: the median, and how far they lay apart."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Ratio:
    """One candidate's cost in terms of another's, twice: both agree when the rounds were calm."""

    of_medians: float
    median_of_rounds: float

    @classmethod
    def of(cls, ours: Sequence[float], theirs: Sequence[float]) -> "Ratio":
        """Round i of ours was measured next to round i of theirs."""
        by_round = [a / b for a, b in zip(ours, theirs, strict=True)]
        return cls(median(ours) / median(theirs), median(by_round))
