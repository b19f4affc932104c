"""What a commit says of a partition's former owner: what he had out with readers, and how often."""

from bisect import bisect_right
from collections.abc import Iterator

from proxy.consume.progress import Progress
from proxy.consume.ranges import Range


def _start_of(entry: tuple[Range, int]) -> int:
    return entry[0][0]


class Past:
    """Everything below `fence` that is not settled was handed out by a former owner; `until_s` ends his last lease."""

    def __init__(self, progress: Progress | None, until_s: float) -> None:
        self.until_s = until_s
        fence = progress.fence if progress else None
        self.fence = fence.high if fence else progress.offset if progress else 0
        self._repeated = fence.deliveries if fence else ()

    @property
    def repeated_below(self) -> int:
        """No record from here on was delivered more than once."""
        return self._repeated[-1][0][1] if self._repeated else 0

    def deliveries(self, offset: int) -> int:
        """How often the record there was handed out."""
        if offset >= self.fence:
            return 0
        at = bisect_right(self._repeated, offset, key=_start_of)
        (_, end), count = self._repeated[at - 1] if at else ((0, 0), 1)
        return count if offset < end else 1

    def repeated_from(self, offset: int) -> Iterator[tuple[Range, int]]:
        """What was delivered more than once, from an offset on."""
        for (start, end), count in self._repeated:
            if end > offset:
                yield (max(start, offset), end), count
