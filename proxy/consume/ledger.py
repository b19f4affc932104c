"""The ledger of one partition: what is out with readers, and how far the group may commit.

Words: a record is *fetched*, then *waiting*; *handed out* under a lease it is out until it is *accepted* (settled, for
good) or *released*, by its reader or by the lease's end, and then waits again, maybe after a delay. *Open* is
whatever is fetched and not settled. `low` is what the group commits: below it all is settled.

Laws:
- Settled is never handed out again; open always is, sooner or later.
- Waiting records go out in the order of their offsets, so what comes again goes before what is new.
- Offsets have gaps (compaction, transaction markers): they are compared, never counted.
- A restored ledger *holds back* what the former owner had handed out (everything below the fence that is not
  settled) until its leases are over, and meanwhile takes acceptances for it from any valid lease: it cannot know the
  former owner's leases by name. It also takes them for what it has not handed out itself.

Traps: an acceptance may arrive before its record was fetched again. It is settled as a range, and `take` drops the
record. So `low` can be ahead of `position`.

Pure: no Kafka, no clock. `now_s` is monotonic seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from proxy.consume.past import Past
from proxy.consume.progress import Fence, Progress, encode
from proxy.consume.ranges import Range, Ranges
from proxy.consume.run import Run
from proxy.record import Fetched
from proxy.seams import Committed

MAX_HOLES = 700  # ranges above `low`; fewer than fit into any commit but a very scattered one
_FENCED = -1  # the lease of what a former owner handed out; no lease of ours has this id


@dataclass(frozen=True, slots=True)
class Window:
    """How much a ledger keeps in memory, open records only: full at one limit, with room again at half of both."""

    records: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One commit of a ledger: what to write, and what will be durable once it is written."""

    commit: Committed
    changes: int  # of the ledger's, when it was taken
    left_out: int | None  # acceptances from this offset on found no room in the metadata


@dataclass(slots=True)
class _Lease:
    since_s: float
    until_s: float
    runs: list[Run]
    is_whole: bool = True  # nothing was taken out of it yet


class Ledger:
    """See the head of this file. `Ledger(None)` is for a partition without a commit: its first record tells where."""

    def __init__(self, progress: Progress | None, *, window: Window, fence_until_s: float = 0.0) -> None:
        """`fence_until_s`: when what the former owner handed out may be handed out again."""
        start = progress.offset if progress else None
        self._past = Past(progress, fence_until_s)
        self.low: int | None = start
        self.position: int | None = start  # the next offset to fetch
        self.first = start  # where this ledger began
        self.high = self._past.fence  # one past the highest handed out
        self.settled = Ranges(progress.accepted if progress else ())
        self.changes = 0  # goes up with everything that a commit should say
        self.durable = 0  # the changes that Kafka has
        self.unknown = 0  # the changes that it may have: their commit got no answer
        self.left_out: int | None = None  # acceptances from here on are not in it, for want of room
        self.open_records = 0
        self.open_bytes = 0
        self.window = window
        self._waiting: list[tuple[int, Run]] = []  # a heap by start
        self._delayed: list[tuple[float, int, Run]] = []  # a heap by due_s
        self._leases: dict[int, _Lease] = {}
        self._ends: list[tuple[float, int]] = []  # a heap of leases by until_s; what no longer fits is skipped
        self._latest_s = fence_until_s  # when the last lease ends
        self._repeats_below = self._past.repeated_below

    def __repr__(self) -> str:
        return (
            f"<Ledger low={self.low} high={self.high} position={self.position} {len(self._leases)} leases, "
            f"{len(self._waiting)} runs waiting, {len(self.settled)} holes>"
        )

    # ---- fetched

    def take(self, records: Sequence[Fetched]) -> None:
        """Take in records as fetched from `position` on, in order."""
        if self.position is None or self.low is None:
            self.position = self.low = self.high = self.first = records[0].offset
            self.changes += 1  # the next commit says where it begins
        edge, self.position = self.position, records[-1].offset + 1
        if edge >= self._past.fence and edge >= self.low and not (self.settled and self.settled[-1][1] > edge):
            self._add(Run.of(edge, records, 0))
            return
        for run in self._sorted_out(edge, records):
            self._add(run)

    def _sorted_out(self, edge: int, records: Sequence[Fetched]) -> Iterable[Run]:
        """Runs of equal delivery counts, without what is settled."""
        kept: list[Fetched] = []
        kept_from, kept_deliveries = edge, 0
        for record in records:
            deliveries = None if self._is_settled(record.offset) else self._past.deliveries(record.offset)
            if kept and deliveries != kept_deliveries:
                yield Run.of(kept_from, kept, kept_deliveries)
                kept = []
            if deliveries is not None:
                kept_from = kept_from if kept else edge
                kept_deliveries = deliveries
                kept.append(record)
            elif edge < record.offset:
                self._settle_range(edge, record.offset)  # the gap in front goes with it
            edge = record.offset + 1
        if kept:
            yield Run.of(kept_from, kept, kept_deliveries)

    def _is_settled(self, offset: int) -> bool:
        return (self.low is not None and offset < self.low) or offset in self.settled

    def _add(self, run: Run) -> None:
        self.open_records += len(run.records)
        self.open_bytes += run.size_bytes
        if not run.deliveries:
            heappush(self._waiting, (run.start, run))
            return
        lease = self._leases.get(_FENCED)
        if lease is None:
            lease = self._leases[_FENCED] = _Lease(self._past.until_s, self._past.until_s, [])
            heappush(self._ends, (lease.until_s, _FENCED))
        lease.runs.append(run)

    @property
    def is_full(self) -> bool:
        """No more should be fetched. One record is always taken, however large."""
        return self.open_records >= self.window.records or self.open_bytes >= self.window.size_bytes

    @property
    def has_room(self) -> bool:
        """Half of it is free again."""
        return self.open_records * 2 <= self.window.records and self.open_bytes * 2 <= self.window.size_bytes

    # ---- handed out

    @property
    def is_ready(self) -> bool:
        """Whether something can be handed out now."""
        return bool(self._waiting) and (self._waiting[0][1].deliveries > 0 or len(self.settled) < MAX_HOLES)

    def hand_out(self, lease_id: int, *, records: int, size_bytes: int, now_s: float, until_s: float) -> list[Run]:
        """Lease up to that many records, in the order of their offsets; one record is handed out whatever its size.

        With too many holes for a commit nothing new goes out, only what was out before.
        """
        out: list[Run] = []
        while records > 0 and self.is_ready:
            run = heappop(self._waiting)[1]
            count = run.head(records, size_bytes)
            if count == 0 and not out:
                count = 1
            if count < len(run.records):
                if count == 0:
                    heappush(self._waiting, (run.start, run))
                    break
                run, rest = run.split(count)
                heappush(self._waiting, (rest.start, rest))
            records -= count
            size_bytes -= run.size_bytes
            run.deliveries += 1
            if run.deliveries > 1:
                self._repeats_below = max(self._repeats_below, run.end)
            out.append(run)
        if out:
            self._lease(lease_id, out, now_s, until_s)
        return out

    def _lease(self, lease_id: int, runs: list[Run], now_s: float, until_s: float) -> None:
        self.high = max(self.high, runs[-1].end)
        self._leases[lease_id] = _Lease(now_s, until_s, list(runs))
        self._latest_s = max(self._latest_s, until_s)
        heappush(self._ends, (until_s, lease_id))
        if len(self._ends) > 2 * len(self._leases) + 64:  # leases mostly end long before their time
            self._ends = [(lease.until_s, lease_id) for lease_id, lease in self._leases.items()]
            heapify(self._ends)

    # ---- accepted, released

    def accept(self, lease_id: int, ranges: Sequence[Range], *, is_valid: bool = True) -> list[Range]:
        """Settle what the lease holds of these ranges (ascending, within what it was given), again if asked to.

        `is_valid`: the lease's own time is not over (it may be one of a former owner, unknown here).
        Returns what is refused: open, but no longer under this lease.
        """
        lease = self._leases.get(lease_id)
        if lease is None:
            return self._accept_elsewhere(ranges, is_valid)
        was_whole = lease.is_whole
        found = sum(self._settle(run) for run in self._take_from(lease_id, lease, ranges))
        if was_whole or found == sum(end - start for start, end in ranges):
            return []  # the rest, if any, are offsets without a record
        return self._accept_elsewhere(ranges, is_valid)

    def _accept_elsewhere(self, ranges: Sequence[Range], is_valid: bool) -> list[Range]:
        """Acceptances for what the lease does not hold: most were settled before, some are no longer its own."""
        if self.position is None:
            return list(ranges)
        if is_valid:
            self._accept_unleased(ranges, self.position)
        refused = [
            (record.offset, record.offset + 1)
            for run in self._runs()
            for named in run.cut(ranges)[0]
            for record in named.records
        ]
        unseen = max(self.position, self.low or 0)
        for start, end in ranges:
            refused += self.settled.without(max(start, unseen), end)
        return sorted(refused)

    def _accept_unleased(self, ranges: Sequence[Range], position: int) -> None:
        """Settle what a former owner handed out, or what was not handed out here at all."""
        fenced = self._leases.get(_FENCED)
        if fenced is not None:
            for run in self._take_from(_FENCED, fenced, ranges):
                self._settle(run)
        self._accept_new(ranges)
        for start, end in ranges:
            for part in list(self.settled.without(max(start, position, self.low or 0), end)):
                self._settle_range(*part)

    def _accept_new(self, ranges: Sequence[Range]) -> None:
        cuts = [run.cut(ranges) for _, run in self._waiting if not run.deliveries]
        named = [run for ours, _ in cuts for run in ours]
        if not named:
            return
        again = [entry for entry in self._waiting if entry[1].deliveries]
        self._waiting = again + [(run.start, run) for _, left in cuts for run in left]
        heapify(self._waiting)
        for run in named:
            self._settle(run)

    def release(
        self, lease_id: int, ranges: Sequence[Range], *, due_s: float | None = None, is_valid: bool = True
    ) -> int:
        """Let what the lease holds of these ranges wait again, from `due_s` on. Returns how many records.

        What it no longer holds waits already, or is somebody else's: nothing is refused.
        """
        lease = self._leases.get(lease_id)
        if lease is None and is_valid:
            lease_id, lease = _FENCED, self._leases.get(_FENCED)
        if lease is None:
            return 0
        return sum(self._wait(run, due_s) for run in self._take_from(lease_id, lease, ranges))

    def shorten(self, lease_id: int, until_s: float) -> None:
        """Let the lease end at `until_s`, if it would last longer."""
        lease = self._leases.get(lease_id)
        if lease is not None and until_s < lease.until_s:
            lease.until_s = until_s
            heappush(self._ends, (until_s, lease_id))

    def _take_from(self, lease_id: int, lease: _Lease, ranges: Sequence[Range]) -> list[Run]:
        """Take what `ranges` name out of a lease; an empty lease is gone."""
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
        return named

    def _settle(self, run: Run) -> int:
        self.open_records -= len(run.records)
        self.open_bytes -= run.size_bytes
        self._settle_range(run.start, run.end)
        return len(run.records)

    def _settle_range(self, start: int, end: int) -> None:
        self.changes += 1
        self.settled.add(start, end)
        if self.low is not None and self.settled[0][0] <= self.low:
            self.low = max(self.low, self.settled[0][1])
            self.settled.drop_below(self.low)

    def _wait(self, run: Run, due_s: float | None = None) -> int:
        if due_s is None:
            heappush(self._waiting, (run.start, run))
        else:
            heappush(self._delayed, (due_s, run.start, run))
        return len(run.records)

    # ---- time

    @property
    def next_due_s(self) -> float | None:
        """When `expire` will have something to do."""
        while self._ends:
            until_s, lease_id = self._ends[0]
            lease = self._leases.get(lease_id)
            if lease is not None and lease.until_s == until_s:
                break
            heappop(self._ends)
        times = [heap[0][0] for heap in (self._ends, self._delayed) if heap]
        return min(times, default=None)

    def expire(self, now_s: float) -> int:
        """Let wait again what is over: leases, delays. Returns how many records came back from leases."""
        returned = 0
        while (due_s := self.next_due_s) is not None and due_s <= now_s:
            if self._delayed and self._delayed[0][0] == due_s:
                self._wait(heappop(self._delayed)[2])
                continue
            lease = self._leases.pop(heappop(self._ends)[1])
            returned += sum(self._wait(run) for run in lease.runs)
        return returned

    # ---- committed

    def snapshot(self, *, now_s: float, now_ms: int) -> Snapshot | None:
        """The commit to make now. None while it is not known where the partition begins."""
        if self.low is None:
            return None
        ends_s = self._latest_s if self._leases else self._past.until_s  # the fenced may not have been fetched yet
        ends_ms = now_ms + int((ends_s - now_s) * 1000) if ends_s > now_s else 0
        fence = Fence(self.high, ends_ms, self._repeats() if self.low < self._repeats_below else ())
        metadata, left_out = encode(Progress(self.low, list(self.settled), fence))
        return Snapshot(Committed(self.low, metadata), self.changes, left_out)

    def committed(self, snapshot: Snapshot) -> None:
        """Kafka has it."""
        self.durable = max(self.durable, snapshot.changes)
        self.left_out = snapshot.left_out

    def unanswered(self, snapshot: Snapshot) -> None:
        """Kafka may have it, or not."""
        self.unknown = max(self.unknown, snapshot.changes)

    def has_settled(self, ranges: Sequence[Range]) -> bool:
        """Whether all of these ranges are settled."""
        low = self.low or 0
        return all(not any(self.settled.without(max(start, low), end)) for start, end in ranges)

    def unsettled(self, ranges: Sequence[Range]) -> int:
        """How many offsets of these ranges are not settled, those without a record included."""
        low = self.low or 0
        return sum(to - at for start, end in ranges for at, to in self.settled.without(max(start, low), end))

    def is_durable(self, changes: int, ranges: Sequence[Range]) -> bool:
        """Whether Kafka has all changes up to that number, and these ranges among them."""
        if self.durable < changes:
            return False
        return self.left_out is None or all(end <= self.left_out for _, end in ranges)

    def _repeats(self) -> list[tuple[Range, int]]:
        """Open records that were delivered more than once, as ranges in order."""
        repeats = [((run.records[0].offset, run.end), run.deliveries) for run in self._runs() if run.deliveries > 1]
        return sorted([*repeats, *self._past.repeated_from(max(self.position or 0, self.low or 0))])

    # ---- to look at

    def _runs(self) -> Iterable[Run]:
        """Every open run that was fetched."""
        yield from (run for lease in self._leases.values() for run in lease.runs)
        yield from (run for _, run in self._waiting)
        yield from (run for _, _, run in self._delayed)

    @property
    def has_leases(self) -> bool:
        return bool(self._leases)

    @property
    def leased_records(self) -> int:
        return sum(len(run.records) for lease in self._leases.values() for run in lease.runs)

    @property
    def oldest_lease_s(self) -> float | None:
        """When the oldest of our own leases was handed out."""
        return min((lease.since_s for key, lease in self._leases.items() if key != _FENCED), default=None)
