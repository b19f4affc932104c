"""The ledger of one partition: what is out with readers, and how far the group may commit.

Words: a record is *fetched*, then *waiting*; *handed out* under a lease it is out until it is *accepted* (settled, for
good), *rejected*, or *released*, by its reader or by the lease's end, and then waits again, maybe after a delay. What
is rejected, or was handed out too often, is *dead*: it goes out no more, and is settled when it is *buried* (written
elsewhere), or at once where nobody buries. *Open* is whatever is fetched and not settled. `low` is what the group
commits: below it all is settled.

Laws:
- Settled is never handed out again; open and not dead always is, sooner or later.
- Waiting records go out in the order of their offsets, so what comes again goes before what is new.
- Offsets have gaps (compaction, transaction markers): they are compared, never counted.
- A restored ledger *holds back* what the former owner had handed out (everything below the fence that is not
  settled) until its leases are over, and meanwhile takes what is said of it under any valid lease: it cannot know the
  former owner's leases by name. So it does with what it has not handed out itself.

Traps: an acceptance may arrive before its record was fetched again. It is settled as a range, and `take` drops the
record. So `low` can be ahead of `position`.

Pure: no Kafka, no clock. `now_s` is monotonic seconds.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from proxy.consume.partition.backlog import Backlog
from proxy.consume.partition.keys import Keys
from proxy.consume.partition.leases import FENCED, Leases
from proxy.consume.partition.past import Past
from proxy.consume.partition.progress import Fence, Progress, encode
from proxy.consume.partition.terms import PLAIN, Dead, Reason, Terms
from proxy.consume.ranges import Range, Ranges
from proxy.consume.run import Run
from proxy.record import Fetched
from proxy.seams.groups import Committed

MAX_HOLES = 700  # ranges above `low`; fewer than fit into any commit but a very scattered one


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


class Ledger:
    """See the head of this file. `Ledger(None)` is for a partition without a commit: its first record tells where."""

    def __init__(
        self,
        progress: Progress | None,
        *,
        window: Window,
        terms: Terms = PLAIN,
        fence_until_s: float = 0.0,
        has_past: bool = True,
    ) -> None:
        """`fence_until_s`: when what the former owner handed out may be handed out again.

        `has_past`: leases that are not known here may be a former owner's.
        """
        start = progress.offset if progress else None
        self._past = Past(progress, fence_until_s)
        self._has_past = has_past
        self.low: int | None = start
        self.position: int | None = start  # the next offset to fetch
        self.first = start  # where this ledger began
        self.high = self._past.fence  # one past the highest handed out
        self.settled = Ranges(progress.accepted if progress else ())
        self.changes = 0  # goes up with everything that a commit should say
        self.durable = 0  # the changes that Kafka has
        self.unknown = 0  # the changes that it may have: their commit got no answer
        self.left_out: int | None = None  # acceptances from here on are not in it, for want of room
        self.open_records = 0  # without the dead
        self.open_bytes = 0
        self.window = window
        self.dead: dict[int, Dead] = {}  # by offset
        self.discarded = 0  # records that were settled dead, and not buried
        self._dead_bytes = 0
        self._terms = terms
        self._leases = Leases()
        self._backlog = Backlog(Keys() if terms.order == "key" else None)
        self._counts_below = self._past.counts_below  # from here on a record's deliveries are what all expect

    def __repr__(self) -> str:
        return (
            f"<Ledger low={self.low} high={self.high} position={self.position} {len(self._leases)} leases, "
            f"{len(self._backlog)} runs waiting, {len(self.settled)} holes, {len(self.dead)} dead>"
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
            self._backlog.push(run)
            return
        self._leases.join(FENCED, [run], self._past.until_s, self._past.until_s)
        self._backlog.gone_out(run)

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
        """Whether something can be handed out now, as far as one can see."""
        if not self._backlog or not self._has_turn:
            return False
        run = self._backlog.first
        return run.deliveries > 0 or run.start == self.low or self._may_begin

    @property
    def _has_turn(self) -> bool:
        terms = self._terms
        if terms.max_in_flight is not None and self._leases.records >= terms.max_in_flight:
            return False
        return terms.order != "partition" or not (self._leases or self._backlog.is_delaying)

    @property
    def _may_begin(self) -> bool:
        """Whether what was not handed out before may be: not with too many holes for a commit, or too much dead."""
        window = self.window
        if self.dead and (len(self.dead) >= window.records or self._dead_bytes >= window.size_bytes):
            return False
        return len(self.settled) < MAX_HOLES

    def hand_out(self, lease_id: int, *, records: int, size_bytes: int, now_s: float, until_s: float) -> list[Run]:
        """Lease up to that many records, in the order of their offsets; one record is handed out whatever its size."""
        if self._terms.max_in_flight is not None:
            records = min(records, self._terms.max_in_flight - self._leases.records)
        out: list[Run] = []
        while records > 0 and self.is_ready and (run := self._backlog.pop(records)) is not None:
            count = run.head(records, size_bytes)
            if count == 0 and not out:
                count = 1
            if count < len(run.records):
                if count == 0:
                    self._backlog.push(run)
                    break
                run, rest = run.split(count)
                self._backlog.push(rest)
            records -= count
            size_bytes -= run.size_bytes
            run.deliveries += 1
            if run.deliveries > 1:
                self._counts_below = max(self._counts_below, run.end)
            self._backlog.gone_out(run)
            out.append(run)
        if out:
            self.high = max(self.high, out[-1].end)
            self._leases.add(lease_id, list(out), now_s, until_s)
        return out

    # ---- accepted, rejected

    def accept(self, lease_id: int, ranges: Sequence[Range], *, is_valid: bool = True) -> list[Range]:
        """Settle what the lease holds of these ranges (ascending, within what it was given), again if asked to.

        `is_valid`: the lease's own time is not over (it may be one of a former owner, unknown here).
        Returns what is refused: open, but no longer under this lease.
        """
        lease = self._leases.get(lease_id)
        was_whole = lease is not None and lease.is_whole
        found = sum([self._settle(run) for run in self._take_back(lease_id, ranges)])
        if was_whole or (lease is not None and found == sum(end - start for start, end in ranges)):
            return []  # the rest, if any, are offsets without a record
        if is_valid and self._has_past and self.position is not None:
            for run in self._take_unleased(ranges):
                self._settle(run)
            self._settle_unfetched(ranges)
        return self._refused(ranges, self._runs())

    def reject(self, lease_id: int, ranges: Sequence[Range], *, is_valid: bool = True) -> tuple[int, list[Range]]:
        """What the lease holds of these ranges is dead. Returns how many records, and what is refused, as `accept`.

        What was not fetched yet cannot die: it is refused.
        """
        lease = self._leases.get(lease_id)
        was_whole = lease is not None and lease.is_whole
        runs = self._take_back(lease_id, ranges)
        if not was_whole and is_valid and self._has_past:
            runs += self._take_unleased(ranges)
        for run in runs:
            self._die(run, Reason.REJECTED)
        return sum(len(run.records) for run in runs), [] if was_whole else self._refused(ranges, self._living())

    def _take_back(self, lease_id: int, ranges: Sequence[Range]) -> list[Run]:
        """Take out of a lease what is no longer out under it."""
        runs = self._leases.take(lease_id, ranges)
        self._backlog.come_back(runs)
        return runs

    def _take_unleased(self, ranges: Sequence[Range]) -> list[Run]:
        """Take what a former owner handed out, or what was not handed out here at all."""
        return self._take_back(FENCED, ranges) + self._backlog.take(ranges, only_new=True)

    def _settle_unfetched(self, ranges: Sequence[Range]) -> None:
        unseen = max(self.position or 0, self.low or 0)
        for start, end in ranges:
            for part in list(self.settled.without(max(start, unseen), end)):
                self._settle_range(*part)

    def _refused(self, ranges: Sequence[Range], runs: Iterable[Run]) -> list[Range]:
        """What `ranges` name and one of `runs` still has; and what was not fetched yet."""
        if self.position is None:
            return list(ranges)
        refused = [
            (record.offset, record.offset + 1)
            for run in runs
            for named in run.cut(ranges)[0]
            for record in named.records
        ]
        unseen = max(self.position, self.low or 0)
        for start, end in ranges:
            refused += self.settled.without(max(start, unseen), end)
        return sorted(refused)

    def _settle(self, run: Run) -> int:
        self._forget(run)
        self._settle_range(run.start, run.end)
        return len(run.records)

    def _forget(self, run: Run) -> None:
        self.open_records -= len(run.records)
        self.open_bytes -= run.size_bytes

    def _settle_range(self, start: int, end: int) -> None:
        self.changes += 1
        self.settled.add(start, end)
        if self.low is not None and self.settled[0][0] <= self.low:
            self.low = max(self.low, self.settled[0][1])
            self.settled.drop_below(self.low)

    def _die(self, run: Run, reason: Reason) -> None:
        if not self._terms.buries:
            self.discarded += self._settle(run)
            return
        self._forget(run)
        for each in run.singles():
            self.dead[each.records[0].offset] = Dead(each, reason)
            self._dead_bytes += each.size_bytes

    def bury(self, offset: int) -> None:
        """A dead record was written elsewhere: it is settled."""
        dead = self.dead.pop(offset, None)
        if dead is not None:
            self._dead_bytes -= dead.run.size_bytes
            self._settle_range(dead.run.start, dead.run.end)

    def put_off(self, offset: int) -> None:
        """It could not be buried now: it is the last to be tried again."""
        dead = self.dead.pop(offset, None)
        if dead is not None:
            self.dead[offset] = dead

    def skip(self, offset: int) -> bool:
        """Settle one offset, whoever has it. False: it was settled before."""
        if self.position is None or self._is_settled(offset):
            return False
        ranges = [(offset, offset + 1)]
        self.bury(offset)
        runs = self._leases.take_from_any(ranges)
        self._backlog.come_back(runs)
        for run in runs + self._backlog.take(ranges, only_new=False):
            self._settle(run)
        if not self._is_settled(offset):
            self._settle_range(offset, offset + 1)
        return True

    # ---- released, renewed

    def release(
        self,
        lease_id: int,
        ranges: Sequence[Range],
        *,
        due_s: float | None = None,
        is_valid: bool = True,
        undelivered: bool = False,
    ) -> int:
        """Let what the lease holds of these ranges wait again, from `due_s` on. Returns how many records.

        What it no longer holds waits already, or is somebody else's: nothing is refused. `undelivered`: no client has
        seen it, and it does not count.
        """
        known = self._leases.get(lease_id) is not None
        runs = self._take_back(lease_id, ranges)
        if not known and is_valid and self._has_past:
            runs = self._take_back(FENCED, ranges)
        for run in runs:
            if undelivered:
                run.deliveries = max(0, run.deliveries - 1)
                self._counts_below = max(self._counts_below, run.end)
            self._wait(run, due_s)
        return sum(len(run.records) for run in runs)

    def renew(
        self, lease_id: int, ranges: Sequence[Range], *, now_s: float, until_s: float, is_valid: bool = True
    ) -> tuple[int, list[Range]]:
        """Let the lease end at `until_s`. Returns how many records it holds, and what of `ranges` is not its own.

        `ranges` are what is left of it, for a lease of a former owner: that becomes one of ours.
        """
        if is_valid and self._has_past and self._leases.get(lease_id) is None:
            runs = self._take_unleased(ranges)
            for run in runs:
                run.deliveries = max(1, run.deliveries)
                self.high = max(self.high, run.end)
                self._backlog.gone_out(run)
            if runs:
                self._leases.join(lease_id, runs, now_s, until_s)
        held = self._leases.renew(lease_id, until_s)
        lease = self._leases.get(lease_id)
        if lease is not None and lease.is_whole:
            return held, []
        others = (run for run in self._runs() if lease is None or run not in lease.runs)
        return held, self._refused(ranges, others)

    def shorten(self, lease_id: int, until_s: float) -> None:
        """Let the lease end at `until_s`, if it would last longer."""
        self._leases.shorten(lease_id, until_s)

    def _wait(self, run: Run, due_s: float | None = None) -> None:
        most = self._terms.max_deliveries
        if most is not None and run.deliveries >= most:
            self._die(run, Reason.MAX_DELIVERIES)
        elif due_s is None:
            self._backlog.push(run)
        else:
            self._backlog.push_later(run, due_s)

    # ---- time

    @property
    def next_due_s(self) -> float | None:
        """When `expire` will have something to do."""
        end_s, due_s = self._leases.next_end_s, self._backlog.next_due_s
        return end_s if due_s is None or (end_s is not None and end_s < due_s) else due_s

    def expire(self, now_s: float) -> int:
        """Let wait again what is over: leases, delays. Returns how many records came back from leases."""
        returned = 0
        while (due_s := self._backlog.next_due_s) is not None and due_s <= now_s:
            self._backlog.push(self._backlog.pop_due())
        while (end_s := self._leases.next_end_s) is not None and end_s <= now_s:
            runs = self._leases.pop_ended()
            self._backlog.come_back(runs)
            for run in runs:
                self._wait(run)
                returned += len(run.records)
        return returned

    # ---- committed

    def snapshot(self, *, now_s: float, now_ms: int, is_last: bool = False) -> Snapshot | None:
        """The commit to make now. None while it is not known where the partition begins.

        `is_last`, before the partition goes: with all that the next owner could want to know, whatever it costs.
        """
        if self.low is None:
            return None
        # What a former owner had out may not have been fetched yet.
        left_s = (self._leases.last_end_s if self._leases else self._past.until_s) - now_s
        left_ms = max(0, int(left_s * 1000))
        counts = self._counts(is_last) if is_last or self.low < self._counts_below else ()
        fence = Fence(self.high, now_ms + left_ms if left_ms else 0, counts, left_ms)
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

    def _counts(self, is_last: bool) -> list[tuple[Range, int]]:
        """Deliveries of open records below `high` that are not 1, as ranges in order."""
        waiting = self._backlog.runs() if is_last else self._backlog.seen()
        every = chain(self._leases.runs(), waiting, (dead.run for dead in self.dead.values()))
        known = [
            ((run.records[0].offset, run.end), run.deliveries)
            for run in every
            if run.deliveries != 1 and run.records[0].offset < self.high
        ]
        return sorted([*known, *self._past.counts_from(max(self.position or 0, self.low or 0))])

    # ---- to look at

    def _living(self) -> Iterable[Run]:
        """Every open run that was fetched and is not dead."""
        return chain(self._leases.runs(), self._backlog.runs())

    def _runs(self) -> Iterable[Run]:
        """Every open run that was fetched."""
        return chain(self._living(), (dead.run for dead in self.dead.values()))

    @property
    def has_more_to_tell(self) -> bool:
        """Whether a next owner could want to know more than what is settled: something handed out is open."""
        return self.low is not None and self.high > self.low

    @property
    def leased_records(self) -> int:
        return self._leases.records

    @property
    def oldest_lease_s(self) -> float | None:
        """When the oldest of our own leases was handed out."""
        return self._leases.oldest_s
