"""Sets of offsets, as ranges. A range is a pair (start, end), end exclusive, never empty."""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator

Range = tuple[int, int]


class Ranges:
    """A set of offsets: sorted ranges that neither overlap nor touch."""

    __slots__ = ("_ends", "_starts")

    def __init__(self, ranges: Iterable[Range] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in ranges:
            self.add(start, end)

    def __repr__(self) -> str:
        return f"<Ranges {' '.join(f'{start}-{end - 1}' for start, end in self)}>"

    def __len__(self) -> int:
        """The number of ranges, not of offsets."""
        return len(self._starts)

    def __iter__(self) -> Iterator[Range]:
        return zip(self._starts, self._ends, strict=True)

    def __contains__(self, offset: int) -> bool:
        at = bisect_right(self._starts, offset)
        return at > 0 and offset < self._ends[at - 1]

    def __getitem__(self, index: int) -> Range:
        return self._starts[index], self._ends[index]

    def add(self, start: int, end: int) -> None:
        """Put `start` to `end - 1` in, whether or not some of it is there already."""
        first = bisect_left(self._ends, start)
        behind = bisect_right(self._starts, end)
        if first < behind:  # these touch the new one, or overlap it: one range takes their place
            start = min(start, self._starts[first])
            end = max(end, self._ends[behind - 1])
        self._starts[first:behind] = [start]
        self._ends[first:behind] = [end]

    def remove(self, start: int, end: int) -> None:
        """Take `start` to `end - 1` out, whether or not all of it is there."""
        first = bisect_right(self._ends, start)
        behind = bisect_left(self._starts, end)
        if first >= behind:
            return
        rest = [(self._starts[first], start), (end, self._ends[behind - 1])]
        kept = [(begin, stop) for begin, stop in rest if begin < stop]
        self._starts[first:behind] = [begin for begin, _ in kept]
        self._ends[first:behind] = [stop for _, stop in kept]

    def drop_below(self, offset: int) -> None:
        """Forget everything below `offset`."""
        gone = bisect_right(self._ends, offset)
        del self._starts[:gone], self._ends[:gone]
        if self._starts and self._starts[0] < offset:
            self._starts[0] = offset

    def without(self, start: int, end: int) -> Iterator[Range]:
        """The parts of `start` to `end - 1` that are not in the set."""
        for at in range(bisect_right(self._ends, start), len(self._starts)):
            if self._starts[at] >= end:
                break
            if start < self._starts[at]:
                yield start, self._starts[at]
            start = self._ends[at]
        if start < end:
            yield start, end

    def overlaps(self, start: int, end: int) -> bool:
        """Whether any of `start` to `end - 1` is in the set."""
        at = bisect_right(self._ends, start)
        return at < len(self._starts) and self._starts[at] < end
