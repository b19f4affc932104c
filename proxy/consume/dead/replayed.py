"""Which letters of a dead-letter topic a group has replayed, as Kafka remembers it. Pure.

For each partition a commit of the group `<group>.replayed`: below its offset, and in the ranges of its metadata, there
is nothing left to replay. Kafka forgets it when nothing was replayed for `offsets.retention.minutes`.
"""

from collections.abc import Collection, Iterator

from proxy.consume.partition.progress import Progress, decode, encode
from proxy.consume.ranges import Range, Ranges
from proxy.seams.groups import Committed

MAX_HOLES = 500  # ranges that surely fit into a commit


def marks_group(group: str) -> str:
    return f"{group}.replayed"


class Replayed:
    """For one partition."""

    def __init__(self, commit: Committed | None, begins: int) -> None:
        """`begins`: the first offset that the log still has."""
        progress = decode(commit.offset, commit.metadata) if commit else Progress(begins)
        self._done = Ranges([*progress.accepted, *([(0, progress.offset)] if progress.offset else [])])
        if begins:
            self._done.add(0, begins)

    def __contains__(self, offset: int) -> bool:
        return offset in self._done

    @property
    def is_full(self) -> bool:
        """No more letters should be replayed one by one."""
        return len(self._done) > MAX_HOLES

    def left(self, end: int) -> Iterator[Range]:
        """Where below `end` there may be letters to replay."""
        return iter(list(self._done.without(0, end)))

    def add(self, start: int, end: int, *, but: Collection[int] = ()) -> None:
        """Nothing is left from `start` to `end - 1`, but at these offsets."""
        for offset in sorted(but):
            if start < offset:
                self._done.add(start, offset)
            start = max(start, offset + 1)
        if start < end:
            self._done.add(start, end)

    def commit(self) -> Committed:
        ranges = list(self._done)
        low = ranges.pop(0)[1] if ranges and ranges[0][0] == 0 else 0
        return Committed(low, encode(Progress(low, ranges))[0])
