"""The records of one partition that wait to be handed out: now, in the order of their offsets, or when they are due.

With `Keys` (`order: key`) those whose key is out wait behind it, and nothing is said of them here until then.
"""

from collections.abc import Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush

from proxy.consume.partition.keys import Keys
from proxy.consume.ranges import Range
from proxy.consume.run import Run


class Backlog:
    """See the head of this file."""

    def __init__(self, keys: Keys | None = None) -> None:
        self._keys = keys
        self._waiting: list[tuple[int, Run]] = []  # a heap by start
        self._delayed: list[tuple[float, int, Run]] = []  # a heap by due_s

    def __len__(self) -> int:
        """Runs that may go out now, as far as one can see."""
        return len(self._waiting)

    @property
    def first(self) -> Run:
        """The next run; there must be one."""
        return self._waiting[0][1]

    @property
    def is_delaying(self) -> bool:
        return bool(self._delayed)

    # ---- in and out

    def push(self, run: Run) -> None:
        heappush(self._waiting, (run.start, run))

    def push_later(self, run: Run, due_s: float) -> None:
        """Its keys stay out until then: nobody overtakes it."""
        if self._keys is not None:
            self._keys.go_out(run)
        heappush(self._delayed, (due_s, run.start, run))

    def pop(self, most: int) -> Run | None:
        """The next run that may go out, of at most so many records if keys are looked at. It goes out, or is pushed."""
        if self._keys is None:
            return heappop(self._waiting)[1] if self._waiting else None
        while self._waiting:
            run = heappop(self._waiting)[1]
            count = self._keys.head(run.records, most)
            if max(count, 1) < len(run.records):
                run, rest = run.split(max(count, 1))
                self.push(rest)
            if count:
                return run
            self._keys.put_behind(run)
        return None

    def gone_out(self, run: Run) -> None:
        """It is under a lease now."""
        if self._keys is not None:
            self._keys.go_out(run)

    def come_back(self, runs: Iterable[Run]) -> None:
        """They are under a lease no more."""
        if self._keys is not None:
            for run in self._keys.come_back(runs):
                self.push(run)

    def take(self, ranges: Sequence[Range], *, only_new: bool) -> list[Run]:
        """Take what `ranges` name and waits; `only_new`: not what was handed out before."""
        named = self._take_waiting(ranges, only_new)
        if not only_new:
            named += self._take_delayed(ranges)
        if self._keys is not None:
            named += self._keys.take(ranges, only_new=only_new)
            for run in self._keys.next_after(named):
                self.push(run)
        return named

    def _take_waiting(self, ranges: Sequence[Range], only_new: bool) -> list[Run]:
        cuts = [run.cut(ranges) for _, run in self._waiting if not (only_new and run.deliveries)]
        named = [run for ours, _ in cuts for run in ours]
        if named:
            kept = [entry for entry in self._waiting if only_new and entry[1].deliveries]
            self._waiting = kept + [(run.start, run) for _, left in cuts for run in left]
            heapify(self._waiting)
        return named

    def _take_delayed(self, ranges: Sequence[Range]) -> list[Run]:
        cuts = [(due_s, *run.cut(ranges)) for due_s, _, run in self._delayed]
        named = [run for _, ours, _ in cuts for run in ours]
        if named:
            self._delayed = [(due_s, run.start, run) for due_s, _, left in cuts for run in left]
            heapify(self._delayed)
            self.come_back(named)
        return named

    # ---- time

    @property
    def next_due_s(self) -> float | None:
        return self._delayed[0][0] if self._delayed else None

    def pop_due(self) -> Run:
        """The delayed run that is due next."""
        run = heappop(self._delayed)[2]
        self.come_back([run])
        return run

    # ---- to look at

    def runs(self) -> Iterator[Run]:
        yield from (run for _, run in self._waiting)
        yield from (run for _, _, run in self._delayed)
        if self._keys is not None:
            yield from self._keys.runs()

    def seen(self) -> Iterator[Run]:
        """As `runs`, without what waits behind a key: that can be much."""
        yield from (run for _, run in self._waiting)
        yield from (run for _, _, run in self._delayed)
