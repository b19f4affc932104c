"""The leases of one partition: which runs are out, under which lease, and until when.

Pure: `now_s` and `until_s` are monotonic seconds. What was handed out by a former owner is under one lease of its own,
`FENCED`, since his leases are not known here by name.
"""

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from proxy.consume.ranges import Range
from proxy.consume.run import Run

FENCED: Final = -1  # no lease of ours has this id


class Lease:
    """Runs that are out together."""

    __slots__ = ("is_whole", "runs", "since_s", "until_s")

    def __init__(self, since_s: float, until_s: float, runs: list[Run], *, is_whole: bool) -> None:
        self.since_s = since_s
        self.until_s = until_s
        self.runs = runs
        self.is_whole = is_whole  # all that its token names is here: nothing was taken out of it yet


class Leases:
    """See the head of this file."""

    def __init__(self) -> None:
        self.records = 0  # that are out
        self._leases: dict[int, Lease] = {}
        self._ends: list[tuple[float, int]] = []  # a heap by until_s; what no longer fits its lease is skipped
        self._latest_s = 0.0  # no lease ends later, but the renewed ones
        self._renewed: set[int] = set()

    def __len__(self) -> int:
        return len(self._leases)

    def get(self, lease_id: int) -> Lease | None:
        return self._leases.get(lease_id)

    def add(self, lease_id: int, runs: list[Run], now_s: float, until_s: float) -> None:
        """A new lease."""
        self._leases[lease_id] = Lease(now_s, until_s, runs, is_whole=True)
        self._latest_s = max(self._latest_s, until_s)
        self.records += sum([len(run.records) for run in runs])
        heappush(self._ends, (until_s, lease_id))
        if len(self._ends) > 2 * len(self._leases) + 64:  # leases mostly end long before their time
            self._ends = [(lease.until_s, lease_id) for lease_id, lease in self._leases.items()]
            heapify(self._ends)

    def join(self, lease_id: int, runs: Sequence[Run], now_s: float, until_s: float) -> None:
        """Put runs under a lease that may be there already, and is not all that its token names."""
        if lease_id not in self._leases:
            self.add(lease_id, [], now_s, until_s)
        lease = self._leases[lease_id]
        lease.runs += runs
        lease.is_whole = False
        self.records += sum(len(run.records) for run in runs)

    def take(self, lease_id: int, ranges: Sequence[Range]) -> list[Run]:
        """Take what `ranges` name out of a lease; an empty lease is gone. Nothing, if there is no such lease."""
        lease = self._leases.get(lease_id)
        if lease is None:
            return []
        named: list[Run] = []
        left: list[Run] = []
        for run in lease.runs:
            if len(ranges) == 1 and ranges[0][0] <= run.start and run.end <= ranges[0][1]:
                named.append(run)
                continue
            ours, others = run.cut(ranges)
            named += ours
            left += others
        lease.runs = left
        lease.is_whole = False
        if not left:
            del self._leases[lease_id]
        self.records -= sum([len(run.records) for run in named])
        return named

    def take_from_any(self, ranges: Sequence[Range]) -> list[Run]:
        """Take what `ranges` name, whoever has it."""
        return [run for lease_id in list(self._leases) for run in self.take(lease_id, ranges)]

    # ---- time

    def shorten(self, lease_id: int, until_s: float) -> None:
        """Let the lease end at `until_s`, if it would last longer."""
        lease = self._leases.get(lease_id)
        if lease is not None and until_s < lease.until_s:
            self._move_end(lease_id, lease, until_s)

    def renew(self, lease_id: int, until_s: float) -> int:
        """Let the lease end at `until_s`, earlier or later than it would. Returns how many records it holds."""
        lease = self._leases.get(lease_id)
        if lease is None:
            return 0
        self._move_end(lease_id, lease, until_s)
        if until_s > self._latest_s:
            self._renewed.add(lease_id)
        return sum(len(run.records) for run in lease.runs)

    def _move_end(self, lease_id: int, lease: Lease, until_s: float) -> None:
        lease.until_s = until_s
        heappush(self._ends, (until_s, lease_id))

    @property
    def next_end_s(self) -> float | None:
        """When the next lease ends."""
        while self._ends:
            until_s, lease_id = self._ends[0]
            lease = self._leases.get(lease_id)
            if lease is not None and lease.until_s == until_s:
                return until_s
            heappop(self._ends)
        return None

    def pop_ended(self) -> list[Run]:
        """Take the lease that ends next, of which `next_end_s` told."""
        lease = self._leases.pop(heappop(self._ends)[1])
        self.records -= sum(len(run.records) for run in lease.runs)
        return lease.runs

    @property
    def last_end_s(self) -> float:
        """No lease ends later."""
        self._renewed &= self._leases.keys()
        return max([self._latest_s, *(self._leases[lease_id].until_s for lease_id in self._renewed)])

    # ---- to look at

    def runs(self) -> Iterator[Run]:
        return (run for lease in self._leases.values() for run in lease.runs)

    @property
    def oldest_s(self) -> float | None:
        """When the oldest of our own leases was handed out."""
        return min((lease.since_s for key, lease in self._leases.items() if key != FENCED), default=None)
