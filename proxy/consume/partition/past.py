"""What a commit says of a partition's former owner: what he had out with readers, and how often."""

from bisect import bisect_right
from collections.abc import Iterator

from proxy.consume.partition.progress import Progress
from proxy.consume.ranges import Range


def _start_of(entry: tuple[Range, int]) -> int:
    return entry[0][0]


class Past:
    """Everything below `fence` that is not settled was handed out by a former owner; `until_s` ends his last lease."""

    def __init__(self, progress: Progress | None, until_s: float) -> None:
        self.until_s = until_s
        fence = progress.fence if progress else None
        self.fence = fence.high if fence else progress.offset if progress else 0
        self._counts = fence.deliveries if fence else ()

    @property
    def counts_below(self) -> int:
        """From here on nothing is told of deliveries."""
        return self._counts[-1][0][1] if self._counts else 0

    def deliveries(self, offset: int) -> int:
        """How often the record there was handed out."""
        if offset >= self.fence:
            return 0
        at = bisect_right(self._counts, offset, key=_start_of)
        (_, end), count = self._counts[at - 1] if at else ((0, 0), 1)
        return count if offset < end else 1

    def counts_from(self, offset: int) -> Iterator[tuple[Range, int]]:
        """What is told of deliveries, from an offset on."""
        for (start, end), count in self._counts:
            if end > offset:
                yield (max(start, offset), end), count
