"""One stream of a group: which of the records leased to it were written, confirmed, seen.

The id of an event is signed and says which records of this stream are out and were written, up to this event: not
the highest offset per partition alone, since a record that comes again has a lower offset than the one before it.
Every event has one, so it is short: the ranges of all hand-outs in one, and of the oldest none if they are too many.
With it a client that comes back (Last-Event-ID) tells what it has seen, and all of the hand-outs before its own:

- `ack: auto`: that is accepted, what was leased to the stream beyond it is released. So that this can happen, what
  was written to a lost connection is kept for the client for `resume_s`, and only then goes to another.
- `ack: explicit`: that stays leased, to be acknowledged with the leases in the events; the rest is released.

An owner that never had the stream (another process, after a rebalance) goes by the id alone: it accepts what the id
names; the rest waits for its leases to end.
"""

from collections import deque
from dataclasses import replace
from typing import Protocol

from proxy.consume.claim import Claim, Held, beyond, put_partition, put_ranges
from proxy.consume.groups.handout import Leased
from proxy.consume.groups.waiting import Waiter
from proxy.consume.groups.written import Part, Written
from proxy.record import Fetched, Partition
from proxy.seams.groups import Handout

_REMEMBERED = 64  # hand-outs of an explicit stream; what was written before them is not on its way any more


class Leases(Protocol):
    """What a stream needs of its session (`consume/session.py`)."""

    is_auto: bool

    async def wait(self, waiter: Waiter, wait_s: float) -> Leased | None: ...
    def settle(self, claim: Claim, held: Held) -> None: ...
    def give_back(self, claim: Claim, held: Held) -> None: ...
    def keep_for_resume(self, claim: Claim) -> None: ...
    def mark(self, payload: bytearray) -> str: ...
    def stream_closed(self, stream: "Stream") -> None: ...


class Stream:
    """See the head of this file (`seams.GroupStream`)."""

    def __init__(self, leases: Leases, stream_id: int) -> None:
        self.id = stream_id
        self._leases = leases
        self._parts: deque[Part] = deque(maxlen=None if leases.is_auto else _REMEMBERED)
        self._written = Written()
        self._waiter: Waiter | None = None
        self._is_open = True
        self._marking: tuple[Part, Partition] | None = None  # whose records `_mark_head` is for
        self._mark_head = bytearray()

    def __repr__(self) -> str:
        return f"<Stream {self.id} {'open' if self._is_open else 'closed'}, {len(self._parts)} hand-outs>"

    @property
    def is_open(self) -> bool:
        return self._is_open

    @property
    def is_owing(self) -> bool:
        """Whether anything leased to it has not been settled here."""
        return bool(self._parts)

    async def next(self, *, max_records: int, wait_s: float) -> Leased | None:
        if not self.is_open:
            return None
        self._waiter = Waiter(max_records, self.id)
        handout = await self._leases.wait(self._waiter, wait_s)
        if handout is None:
            return None
        if not self._is_open:  # resumed elsewhere in the same moment
            self._leases.give_back(handout.claim, handout.claim.held)
            return None
        part = Part(handout.claim)
        self._parts.append(part)
        self._written.begin(part, alone=not self._leases.is_auto)
        return handout

    def event_id(self, record: Fetched) -> str:
        part, partition = self._parts[-1], Partition(record.topic, record.partition)
        written = self._written.add(part, partition, record.offset)
        if self._marking != (part, partition):
            self._marking = part, partition
            self._mark_head = self._head(part, partition)
        mark = self._mark_head.copy()
        put_ranges(mark, written)
        return self._leases.mark(mark)

    def _head(self, part: Part, partition: Partition) -> bytearray:
        """The ids' payload up to the ranges of this partition: the same for all its records in one hand-out."""
        others = self._written.without(partition)
        head = replace(part.claim, records=0).head(len(others) + 1)
        for place, ranges in others.items():
            put_partition(head, place)
            put_ranges(head, ranges)
        put_partition(head, partition)
        return head

    def confirm(self, handout: Handout) -> None:
        if not self._leases.is_auto or not isinstance(handout, Leased):
            return
        for part in self._parts:
            if part.claim is handout.claim:
                self._leases.settle(part.claim, part.claim.held)
                self._parts.remove(part)
                self._written.forget(part)
                self._marking = None
                return

    def close(self) -> None:
        if not self._is_open:
            return
        self.end()
        for part in self._parts:
            if unwritten := part.unwritten():
                self._leases.give_back(part.claim, unwritten)
            if self._leases.is_auto:
                self._leases.keep_for_resume(part.claim)
        self._leases.stream_closed(self)

    def end(self) -> None:
        """Hand out nothing more."""
        self._is_open = False
        if self._waiter is not None:
            self._waiter.give(None)

    def resumed(self, seen: Claim) -> None:
        """Its client came back elsewhere and says what it has seen."""
        self.end()
        ids = [part.claim.lease_id for part in self._parts]
        last = ids.index(seen.lease_id) if seen.lease_id in ids else -1  # -1: it is no longer remembered
        for at, part in enumerate(self._parts):
            unseen = beyond(part.claim.held, seen.held) if at >= last else {}
            if self._leases.is_auto and (was_seen := beyond(part.claim.held, unseen)):
                self._leases.settle(part.claim, was_seen)
            if unseen:
                self._leases.give_back(part.claim, unseen)
        self._parts.clear()
