"""What several workers have counted together, though each of them may die and begin again at nothing.

A series of a counter or histogram never goes backwards: what a worker had told of it when the worker ended, or when
its series began anew, stays in the sum. A gauge is of now: only what those workers tell that answer is in it, put
together as the catalogue says (`Merge`).
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TypeVar

from proxy.observe.catalogue import BY_NAME, Kind, Merge
from proxy.observe.metrics import Distribution, Labels, Snapshot

Value = TypeVar("Value", float, Distribution)

_MERGES: Mapping[Merge, Callable[[Iterable[float]], float]] = {Merge.SUM: sum, Merge.MAX: max, Merge.MIN: min}
_COUNTERS = [name for name, family in BY_NAME.items() if family.kind is Kind.COUNTER]
_HISTOGRAMS = [name for name, family in BY_NAME.items() if family.kind is Kind.HISTOGRAM]
_GAUGES = [name for name, family in BY_NAME.items() if family.kind in (Kind.GAUGE, Kind.INFO)]


class Totals:
    """The latest snapshot of each worker, and the sum of what is in none of them any more.

    A worker is known by a number of its own; its successor has another.
    """

    def __init__(self) -> None:
        self._latest: dict[int, Snapshot] = {}
        self._past = Snapshot()

    def note(self, worker: int, snapshot: Snapshot) -> None:
        """What a worker tells now. Of one worker, snapshots are noted in the order in which they were taken."""
        before, past = self._latest.get(worker, Snapshot()), self._past
        for name in _COUNTERS:
            _add(past.numbers[name], _lost(before.numbers[name], snapshot.numbers[name]))
        for name in _HISTOGRAMS:
            _add(past.distributions[name], _lost(before.distributions[name], snapshot.distributions[name]))
        self._latest[worker] = snapshot

    def ended(self, worker: int) -> None:
        """The worker is gone; what it had counted stays."""
        self.note(worker, Snapshot())
        del self._latest[worker]

    def merged(self, answering: Collection[int]) -> Snapshot:
        """Everything together, as data of its own; gauges only of the workers that are `answering`."""
        total = Snapshot()
        for snapshot in (self._past, *self._latest.values()):
            for name in _COUNTERS:
                _add(total.numbers[name], snapshot.numbers[name])
            for name in _HISTOGRAMS:
                _add(total.distributions[name], snapshot.distributions[name])
        told = [snapshot for worker, snapshot in self._latest.items() if worker in answering]
        for name in _GAUGES:
            total.numbers[name].update(_together(BY_NAME[name].merge, [one.numbers[name] for one in told]))
        return total


def _lost(before: Mapping[Labels, Value], now: Mapping[Labels, Value]) -> dict[Labels, Value]:
    """The series that are gone, or count from nothing again."""
    return {
        labels: value
        for labels, value in before.items()
        if (present := now.get(labels)) is None or _size(present) < _size(value)
    }


def _add(sums: dict[Labels, Value], values: Mapping[Labels, Value]) -> None:
    for labels, value in values.items():
        before = sums.get(labels)
        sums[labels] = value if before is None else before + value


def _size(value: float | Distribution) -> float:
    return value.count if isinstance(value, Distribution) else value


def _together(merge: Merge, gauges: Collection[Mapping[Labels, float]]) -> dict[Labels, float]:
    values: defaultdict[Labels, list[float]] = defaultdict(list)
    for gauge in gauges:
        for labels, value in gauge.items():
            values[labels].append(value)
    return {labels: _MERGES[merge](each) for labels, each in values.items()}
