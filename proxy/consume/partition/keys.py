"""`order: key`: which keys are out, and which records wait behind theirs.

Law: of the records of one key at most one is out (under a lease, or given back with a delay that is not over), and
while it is, those that come by put themselves behind it. When it is out no more, the lowest of them may go on. Records
without a key have no order.

So a record is looked at once when it comes by and once when its turn has come, never again and again.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush

from proxy.consume.ranges import Range
from proxy.consume.run import Run
from proxy.record import Fetched


class Keys:
    """See the head of this file."""

    def __init__(self) -> None:
        self._out: dict[bytes, int] = {}  # more than one only of what a former owner handed out
        self._behind: dict[bytes, list[tuple[int, Run]]] = {}  # runs of one record, heaps by start

    def __repr__(self) -> str:
        return f"<Keys {len(self._out)} out, {len(self._behind)} waited for>"

    def head(self, records: Sequence[Fetched], most: int) -> int:
        """How many of the first records, at most so many, may go out together."""
        out, seen = self._out, set()
        for count, record in enumerate(records[:most]):
            key = record.key
            if key is None:
                continue
            if key in out or key in seen:
                return count
            seen.add(key)
        return min(most, len(records))

    def put_behind(self, run: Run) -> None:
        """The one record of this run waits for its key."""
        key = run.records[0].key
        assert key is not None
        heappush(self._behind.setdefault(key, []), (run.start, run))

    def go_out(self, run: Run) -> None:
        for record in run.records:
            if record.key is not None:
                self._out[record.key] = self._out.get(record.key, 0) + 1

    def come_back(self, runs: Iterable[Run]) -> list[Run]:
        """These are out no more. Returns whose turn it is."""
        runs = list(runs)
        for key in _keys(runs):
            self._out[key] -= 1
            if not self._out[key]:
                del self._out[key]
        return self.next_after(runs)

    def next_after(self, runs: Iterable[Run]) -> list[Run]:
        """Whose turn it is after these, where no other record of their key is out."""
        return [self._pop(key) for key in dict.fromkeys(_keys(runs)) if key in self._behind and key not in self._out]

    def _pop(self, key: bytes) -> Run:
        heap = self._behind[key]
        run = heappop(heap)[1]
        if not heap:
            del self._behind[key]
        return run

    def take(self, ranges: Sequence[Range], *, only_new: bool) -> list[Run]:
        """Take what `ranges` name and is behind others; `only_new`: not what was handed out before."""
        named: list[Run] = []
        for key, heap in list(self._behind.items()):
            ours = [run for _, run in heap if not (only_new and run.deliveries) and run.cut(ranges)[0]]
            if not ours:
                continue
            named += ours
            self._behind[key] = [entry for entry in heap if entry[1] not in ours]
            heapify(self._behind[key])
            if not self._behind[key]:
                del self._behind[key]
        return named

    def runs(self) -> Iterator[Run]:
        return (run for heap in self._behind.values() for _, run in heap)


def _keys(runs: Iterable[Run]) -> Iterator[bytes]:
    return (record.key for run in runs for record in run.records if record.key is not None)
