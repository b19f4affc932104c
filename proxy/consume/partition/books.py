"""The books of one group: the ledgers of all partitions that this process owns, kept as one.

Pure: hand-outs across partitions, acks taken apart to them, what is kept over a rebalance. What must then be told to
Kafka (seek, pause) is returned. Claims and commits count in wall-clock milliseconds, leases in monotonic seconds:
`Now` has both.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby, islice, repeat
from operator import attrgetter
from secrets import randbits
from typing import NamedTuple

from proxy.consume.claim import Claim, Held, token_bytes
from proxy.consume.partition.ledger import Ledger, Snapshot, Window
from proxy.consume.partition.progress import Progress, decode
from proxy.consume.partition.terms import PLAIN, Reason, Terms
from proxy.consume.ranges import Range, Ranges
from proxy.consume.run import Run
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams.groups import Committed, Delivery

TOKEN_BYTES = 6_000  # of what a lease holds; a partition begun below it, with 1,000 ranges, still fits into a token

_place = attrgetter("topic", "partition")

log = logger("consume")


class Now(NamedTuple):
    """One moment on both clocks."""

    s: float  # monotonic
    ms: int  # wall

    def wall_ms(self, at_s: float) -> int:
        return self.ms + int((at_s - self.s) * 1000)

    def monotonic_s(self, at_ms: int) -> float:
        return self.s + (at_ms - self.ms) / 1000


@dataclass(frozen=True, slots=True)
class Budget:
    """What a group may hold in memory, over all its partitions."""

    records: int = 40_000
    size_bytes: int = 64 << 20

    def window(self, partitions: int) -> Window:
        """One partition's share, never so small that reading stutters."""
        share = max(1, partitions)
        return Window(max(1_000, self.records // share), max(1 << 18, self.size_bytes // share))


@dataclass(frozen=True, slots=True)
class Refused:
    """What something that was said could not be taken for, and why."""

    expired: dict[Partition, list[Range]] = field(default_factory=dict)  # open, but no longer under this lease
    moved: dict[Partition, list[Range]] = field(default_factory=dict)  # of partitions that are not ours

    def __bool__(self) -> bool:
        return bool(self.expired or self.moved)

    def add(self, other: "Refused") -> None:
        for mine, its in ((self.expired, other.expired), (self.moved, other.moved)):
            for partition, ranges in its.items():
                mine[partition] = list(Ranges([*mine.get(partition, ()), *ranges]))


class Books:
    """See the head of this file."""

    def __init__(self, group: str, *, lease_s: float, budget: Budget, terms: Terms = PLAIN) -> None:
        self.ledgers: dict[Partition, Ledger] = {}
        self.redeliveries = 0  # this and the next ones count records, ever since
        self.rejected = 0
        self.renewed = 0
        self.buried: Counter[Reason] = Counter()
        self._group = group
        self._discarded = 0  # by ledgers that are gone
        self._lease_s = lease_s
        self._terms = terms
        self._budget = budget
        self._commits: dict[Partition, Committed] = {}  # the last one that Kafka has, as far as we know
        self._is_stale = False
        self._ready: OrderedDict[Partition, None] = OrderedDict()  # in turn
        self._lease_ids = count(randbits(62))

    def __repr__(self) -> str:
        return f"<Books group={self._group} {len(self.ledgers)} partitions, {len(self._ready)} ready>"

    # ---- partitions come and go

    def assign(
        self, partitions: Sequence[Partition], commits: Mapping[Partition, Committed], now: Now
    ) -> dict[Partition, int]:
        """Own exactly these. Returns where to read on; a partition without a commit starts where its reader does.

        A ledger is kept if its partition came back and Kafka still has what we committed for it last; the others
        start from what Kafka has.
        """
        window = self._budget.window(len(partitions))
        former = self.ledgers
        self.ledgers = {p: self._kept(p, commits.get(p)) or self._restored(commits.get(p), now) for p in partitions}
        self._discarded += sum(ledger.discarded for p, ledger in former.items() if self.ledgers.get(p) is not ledger)
        self._commits = {p: commits[p] for p in partitions if p in commits}
        self._is_stale = False
        for ledger in self.ledgers.values():
            ledger.window = window
        self._ready = OrderedDict((p, None) for p, ledger in self.ledgers.items() if ledger.is_ready)
        return {p: ledger.position for p, ledger in self.ledgers.items() if ledger.position is not None}

    def forget(self) -> None:
        """Commit nothing more of these ledgers, and keep none at the next assignment: the group is past them."""
        self._is_stale = True

    def _kept(self, partition: Partition, commit: Committed | None) -> Ledger | None:
        if self._is_stale or self._commits.get(partition) != commit:
            return None
        return self.ledgers.get(partition)

    def _restored(self, commit: Committed | None, now: Now) -> Ledger:
        window = self._budget.window(0)  # `assign` gives it its share
        if commit is None:
            return Ledger(None, window=window, terms=self._terms)
        progress = decode(commit.offset, commit.metadata)
        return Ledger(progress, window=window, terms=self._terms, fence_until_s=self._fence_until_s(progress, now))

    @staticmethod
    def _fence_until_s(progress: Progress, now: Now) -> float:
        """The former owner's clock may be wrong: nothing is held back for longer than was left when he wrote it."""
        fence = progress.fence
        return min(now.monotonic_s(fence.until_ms), now.s + fence.left_ms / 1000) if fence else now.s

    def take(self, records: Sequence[Fetched], now: Now) -> list[Partition]:
        """Take in fetched records. Returns the partitions of which no more should be fetched for now."""
        full = []
        for place, group in groupby(records, key=_place):
            partition = Partition(*place)
            ledger = self.ledgers.get(partition)
            if ledger is None:
                continue
            fetched = list(group)
            if ledger.position is not None and fetched[0].offset < ledger.position:
                ledger = self._start_over(partition)
            ledger.take(fetched)
            ledger.expire(now.s)  # what a former owner had out, if its time is over
            if ledger.is_ready:
                self._ready[partition] = None
            if ledger.is_full:
                full.append(partition)
        return full

    def _start_over(self, partition: Partition) -> Ledger:
        """The log begins anew below where we were (its topic was made again): nothing known of it holds."""
        log.warning("log_started_over", group=self._group, topic=partition.topic, partition=partition.partition)
        return self._replace(partition, None)

    def _replace(self, partition: Partition, progress: Progress | None) -> Ledger:
        """A new ledger, that knows of no leases."""
        former = self.ledgers[partition]
        self._discarded += former.discarded
        ledger = Ledger(progress, window=former.window, terms=self._terms, has_past=False)
        self.ledgers[partition] = ledger
        self._ready.pop(partition, None)
        return ledger

    # ---- records go out and come back

    @property
    def is_ready(self) -> bool:
        """Whether something can be handed out now."""
        return bool(self._ready)

    def hand_out(
        self, *, records: int, size_bytes: int, now: Now, stream_id: int = 0
    ) -> tuple[list[Delivery], Claim] | None:
        """Lease up to so many records, of one partition after the other in turn. None: there was nothing.

        No more of them than the lease's token has room for.
        """
        until_s = now.s + self._lease_s
        lease_id = next(self._lease_ids)
        out: list[Delivery] = []
        held: dict[Partition, list[Range]] = {}
        token_room = TOKEN_BYTES
        while self._ready and len(out) < records and size_bytes > 0 and token_room > 0:
            partition = next(iter(self._ready))
            ledger = self.ledgers[partition]
            runs = ledger.hand_out(
                lease_id, records=records - len(out), size_bytes=size_bytes, now_s=now.s, until_s=until_s
            )
            for run in runs:
                out += map(Delivery, run.records, repeat(run.deliveries))
                size_bytes -= run.size_bytes
                self.redeliveries += len(run.records) if run.deliveries > 1 else 0
            if runs:
                held[partition] = list(Ranges((run.start, run.end) for run in runs))
                token_room -= token_bytes(partition, len(held[partition]))
            if not ledger.is_ready:
                del self._ready[partition]
                continue
            self._ready.move_to_end(partition)
            break  # a limit was reached
        return (out, Claim(self._group, lease_id, now.wall_ms(until_s), len(out), held, stream_id)) if out else None

    def accept(self, claim: Claim, held: Held, now: Now) -> Refused:
        """Settle these records of a claim, again if asked to."""
        is_valid = claim.until_ms > now.ms
        return self._say(held, lambda ledger, ranges: ledger.accept(claim.lease_id, ranges, is_valid=is_valid))

    def reject(self, claim: Claim, held: Held, now: Now) -> Refused:
        """These records of a claim are dead: to be buried, or discarded."""

        def say(ledger: Ledger, ranges: Sequence[Range]) -> Sequence[Range]:
            count, refused = ledger.reject(claim.lease_id, ranges, is_valid=claim.until_ms > now.ms)
            self.rejected += count
            if count and not self._terms.buries:
                log.info("records_discarded", group=self._group, records=count, why="rejected, and no dead_letter")
            return refused

        return self._say(held, say)

    def _say(self, held: Held, say: Callable[[Ledger, Sequence[Range]], Sequence[Range]]) -> Refused:
        """Tell each ledger its part of something; `say` returns what is refused."""
        refused = Refused()
        for partition, ranges in held.items():
            ledger = self.ledgers.get(partition)
            if ledger is None:
                refused.moved[partition] = list(ranges)
                continue
            expired = say(ledger, ranges)
            if expired:
                refused.expired[partition] = list(expired)
            self._note(partition, ledger)  # there may be room for others now
        return refused

    def release(
        self, claim: Claim, held: Held, now: Now, *, delay_s: float = 0.0, undelivered: bool = False
    ) -> Refused:
        """Let these records of a claim wait again, after a delay if there is one.

        `undelivered`: no client has seen them, and this time does not count. Refused is only what is not ours any more.
        """
        due_s = now.s + delay_s if delay_s > 0 else None

        def say(ledger: Ledger, ranges: Sequence[Range]) -> Sequence[Range]:
            is_valid = claim.until_ms > now.ms
            ledger.release(claim.lease_id, ranges, due_s=due_s, is_valid=is_valid, undelivered=undelivered)
            return ()

        return self._say(held, say)

    def renew(self, claim: Claim, held: Held, now: Now, until_s: float) -> tuple[int, Refused]:
        """Let what is left of a claim last until then. Returns how many records that are."""
        renewed = 0

        def say(ledger: Ledger, ranges: Sequence[Range]) -> Sequence[Range]:
            nonlocal renewed
            is_valid = claim.until_ms > now.ms
            count, refused = ledger.renew(claim.lease_id, ranges, now_s=now.s, until_s=until_s, is_valid=is_valid)
            renewed += count
            return refused

        refused = self._say(held, say)
        self.renewed += renewed
        return renewed, refused

    def shorten(self, claim: Claim, until_s: float) -> None:
        """Let a lease end at `until_s`, if it would last longer."""
        for partition in claim.held:
            if partition in self.ledgers:
                self.ledgers[partition].shorten(claim.lease_id, until_s)

    def _note(self, partition: Partition, ledger: Ledger) -> None:
        if ledger.is_ready:
            self._ready[partition] = None

    # ---- dead records

    @property
    def discarded(self) -> int:
        """Dead records that were settled without being buried, ever since."""
        return self._discarded + sum(ledger.discarded for ledger in self.ledgers.values())

    @property
    def has_dead(self) -> bool:
        """Whether some wait to be buried."""
        return any(ledger.dead for ledger in self.ledgers.values())

    def dead(self, most: int) -> "Burials":
        """What waits to be buried, at most about so many, some of each partition."""
        ledgers = [(partition, ledger) for partition, ledger in self.ledgers.items() if ledger.dead]
        share = most // max(1, len(ledgers)) + 1
        return [
            Burial(ledger, partition, *each)
            for partition, ledger in ledgers
            for each in islice(ledger.dead.values(), share)
        ]

    def bury(self, burial: "Burial") -> None:
        """It was written elsewhere."""
        self.buried[burial.reason] += 1
        burial.ledger.bury(burial.run.records[0].offset)
        self._note(burial.partition, burial.ledger)

    def put_off(self, burial: "Burial") -> None:
        """It could not be written: others are tried before it."""
        burial.ledger.put_off(burial.run.records[0].offset)

    # ---- an operator's

    def skip(self, partition: Partition, offset: int) -> bool:
        """Settle one record, whoever has it. False: it was settled before, or the partition is not ours."""
        ledger = self.ledgers.get(partition)
        if ledger is None or not ledger.skip(offset):
            return False
        self._note(partition, ledger)
        return True

    def seek(self, partition: Partition, offset: int) -> bool:
        """Forget all that is known of a partition, and begin anew at an offset. False: it is not ours.

        Leases on it are over. To be called when no fetch is in progress: what it would bring is of the past.
        """
        if partition not in self.ledgers:
            return False
        ledger = self._replace(partition, Progress(offset))
        ledger.changes += 1  # Kafka should know
        return True

    # ---- time

    @property
    def next_due_s(self) -> float | None:
        """When `expire` will have something to do."""
        times = [due_s for ledger in self.ledgers.values() if (due_s := ledger.next_due_s) is not None]
        return min(times, default=None)

    def expire(self, now: Now) -> None:
        """Let wait again what is over: leases, delays."""
        for partition, ledger in self.ledgers.items():
            ledger.expire(now.s)
            self._note(partition, ledger)

    # ---- commits

    def snapshots(self, now: Now, *, with_leases: bool = False) -> "Snapshots":
        """What to commit: what Kafka does not know yet; `with_leases`, for a last one: also what is only handed out."""
        if self._is_stale:
            return {}
        return {
            partition: (ledger, snapshot)
            for partition, ledger in self.ledgers.items()
            if ledger.changes != ledger.durable or (with_leases and ledger.has_more_to_tell)
            if (snapshot := ledger.snapshot(now_s=now.s, now_ms=now.ms, is_last=with_leases)) is not None
        }

    def committed(self, snapshots: "Snapshots") -> None:
        """Kafka has these."""
        for partition, (ledger, snapshot) in snapshots.items():
            ledger.committed(snapshot)
            self._commits[partition] = snapshot.commit

    def unanswered(self, snapshots: "Snapshots") -> None:
        """Kafka may have these, or not."""
        for ledger, snapshot in snapshots.values():
            ledger.unanswered(snapshot)


class Burial(NamedTuple):
    """A dead record on its way, and the ledger that waits for it."""

    ledger: Ledger
    partition: Partition
    run: Run
    reason: Reason


Burials = list[Burial]
Snapshots = dict[Partition, tuple[Ledger, Snapshot]]
