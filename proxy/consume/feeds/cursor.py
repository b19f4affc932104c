"""One client of a feed, on its way through the records: in the ring as long as it keeps up, else in the log.

Its law: per partition it delivers every record from its position on, each once, in order; wherever it is, the next
record is never one before its marks, and only a Gone that it has raised moves them over records not delivered.

- In the ring it holds a place. While some mark is ahead of the place (another replica was quicker, or the place was
  found by the partition furthest behind) records below the marks are skipped, and events are its own: the shared ones
  would carry a position that falls behind its marks.
- Fallen out, or starting further back, it reads the log through a borrowed reader, one record early (`overlap.py`),
  and returns to the ring as soon as that begins at or before what it has read.
- `_trusts` is the generation of the ring that its marks are known to belong to. Marks of another one, or a client's,
  are compared with what is there before they are used.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Protocol

from proxy.clock import Deadline
from proxy.consume.feeds.catchup import CatchUp, Reader
from proxy.consume.feeds.overlap import Bounds, MadeAnew, Overlap
from proxy.consume.feeds.position import Layout, Mark, Marks, after, gone, in_doubt
from proxy.consume.feeds.ring import Chunk, FeedEvent, Place, Ring, differs, is_other
from proxy.errors import Gone, KafkaAway, Overloaded
from proxy.record import Fetched, Partition
from proxy.seams.feeds import FeedChunk

FETCH_S = 1.0
RETRY_S = 0.25
SETTLE_S = 1.0  # so long a position may be ahead of the log: a new leader may be a moment behind


class Source(Protocol):
    """What a cursor needs of its feed (`feed.py`)."""

    @property
    def ring(self) -> Ring: ...

    async def arrival(self) -> None:
        """Wait until the ring has changed."""
        ...

    async def bounds(self, partitions: Sequence[Partition]) -> Bounds:
        """Where their logs begin and end now. Raises KafkaAway."""
        ...


class Cursor:
    """See the head of this file (`seams.FeedCursor`)."""

    def __init__(self, source: Source, catch_up: CatchUp, marks: Mapping[Partition, Mark], *, trusted: bool) -> None:
        """`trusted`: the marks are this process's own."""
        self._source = source
        self._catch_up = catch_up
        self._layout: Layout
        self._marks: Marks
        self._lost: Gone | None = None
        self._fit(source.ring.layout, marks)
        self._trusts = source.ring.generation if trusted else -1
        self._place: Place | None = None
        self._skips: set[Partition] = set()
        self._scanned: dict[Partition, int] = {}  # the log, up to where it was read; past what holds no records
        self._overlap: Overlap | None = None
        self._read_in = -1  # the generation of the ring then; in a later one the log may be another
        self._patience: Deadline | None = None  # with a log that ends before the marks; outlasts a cancelled `next`

    def __repr__(self) -> str:
        return f"<Cursor in the {'ring' if self._place else 'log'} at {[mark.next_offset for mark in self._marks]}>"

    @property
    def position(self) -> str:
        """The position after what was delivered last, signed."""
        return self._layout.token(self._marks)

    @property
    def is_in_ring(self) -> bool:
        """What comes next needs no reader of its own."""
        if self._place is not None and self._place.chunk.is_evicted:
            self._place = None
        return self._place is not None or self._enters_ring()

    @property
    def chunk(self) -> Chunk | None:
        """See `seams.FeedCursor.chunk`."""
        if not self.is_in_ring:
            return None
        place = self._place
        if place is None or self._skips or self._lost is not None or place.event < len(place.chunk.events):
            return None
        return place.chunk

    def went_to(self, chunk: FeedChunk) -> None:
        """See `seams.FeedCursor.went_to`."""
        assert isinstance(chunk, Chunk)
        self._place = Place(chunk, len(chunk.events))
        self._layout, self._marks = chunk.layout, chunk.after

    def lose(self, lost: Gone) -> None:
        """Let the next `next` raise this."""
        self._lost = lost

    async def next(self, max_events: int) -> Sequence[FeedEvent]:
        """See `seams.FeedCursor.next`."""
        while True:
            is_in_ring = self.is_in_ring
            self._tell_lost()
            events = self._from_ring(max_events) if is_in_ring else await self._from_log(max_events)
            if events:
                return events
            if is_in_ring and self._place is not None:
                await self._arrival()

    def _tell_lost(self) -> None:
        lost, self._lost = self._lost, None
        if lost is not None:
            raise lost

    def close(self) -> None:
        """See `seams.FeedCursor.close`."""
        self._catch_up.forget(self)

    # ---- in the ring

    def _enters_ring(self) -> bool:
        """Take a place in the ring, if it has all that follows and is known to continue what was read."""
        ring = self._source.ring
        self._relayout(ring.layout)
        is_known = self._trusts == ring.generation
        reached = ring.reduce(self._reached(ring.floor) if is_known else self._marks)
        place = ring.place(reached)
        if place is None:
            return False
        if not is_known and (ring.is_short_of(reached) or differs(place, self._layout, reached)):
            return False  # the log will tell
        self._place, self._trusts = place, ring.generation
        self._marks = tuple(map(_better_known, reached, ring.marks_at(place)))
        self._skips = ring.beyond(place, reached)
        self._scanned.clear()
        self._catch_up.forget(self)
        return True

    def _reached(self, floor: Marks) -> Marks:
        """The marks; where the log was read past what holds no records, up to where the ring begins."""
        scanned = [self._scanned.get(partition, 0) for partition in self._layout.partitions]
        return tuple(
            begins if mark.next_offset < begins.next_offset <= offset else mark
            for mark, begins, offset in zip(self._marks, floor, scanned, strict=True)
        )

    def _from_ring(self, max_events: int) -> Sequence[FeedEvent]:
        """What comes next, without waiting; empty at the end."""
        found: list[FeedEvent] = []
        size, step_bytes = 0, self._catch_up.step_bytes
        while self._place is not None and len(found) < max_events and size < step_bytes:
            chunk, at = self._place
            if at < len(chunk.events):
                room = max(1, (step_bytes - size) * len(chunk.events) // max(1, chunk.size_bytes))
                stop = min(len(chunk.events), at + min(room, max_events - len(found)))
                self._place = Place(chunk, stop)
                size += chunk.size_bytes * (stop - at) // len(chunk.events)
                try:
                    found += self._passed(chunk, at, stop)
                except MadeAnew:
                    self._place, self._trusts = None, -1  # the log will tell
            elif chunk.next is not None:
                self._place = Place(chunk.next, 0)
            else:
                break
        return found

    def _passed(self, chunk: Chunk, at: int, stop: int) -> Sequence[FeedEvent]:
        """The events from `at` to `stop` that were not delivered yet; the marks are after them then.

        It stops before that where its marks are those of the ring: from there on the events can be the shared ones.
        """
        events = chunk.events[at:stop]
        if not self._skips:
            self._layout, self._marks = chunk.layout, chunk.marks_after(stop)
            return events
        self._relayout(self._source.ring.layout)
        marks = self._layout.by_partition(self._marks)
        new = []
        for number, event in enumerate(events, start=at + 1):
            if self._is_new(event.record, marks):
                new.append(event.record)
            if not self._skips:
                self._place = Place(chunk, number)
                break
        self._marks = self._layout.marks(marks)
        return self._own(new)

    def _is_new(self, record: Fetched, marks: dict[Partition, Mark]) -> bool:
        """Raises MadeAnew where the record before the mark is another one; a mark that does not know it, learns it."""
        partition = Partition(record.topic, record.partition)
        mark = marks[partition]
        if record.offset >= mark.next_offset - 1:
            self._skips.discard(partition)
        if record.offset != mark.next_offset - 1:
            return record.offset >= mark.next_offset
        if is_other(after(record), mark):
            raise MadeAnew(partition)
        marks[partition] = after(record)
        return False

    def _own(self, records: Sequence[Fetched]) -> Sequence[FeedEvent]:
        """Events that only this client has: their positions are its own."""
        chunk = Chunk(self._layout, self._marks, records)
        self._marks = chunk.after
        return chunk.hand_over()

    async def _arrival(self) -> None:
        """Wait at the end of the ring. Ahead of it only for a while: then see whether the log has what was read."""
        if not self._skips:
            self._patience = None
            await self._source.arrival()
            return
        self._patience = self._patience or Deadline.after(SETTLE_S)
        try:
            async with asyncio.timeout(self._patience.remaining_s()):
                await self._source.arrival()
        except TimeoutError:
            self._place, self._trusts, self._patience = None, -1, None

    def _relayout(self, layout: Layout) -> None:
        if layout is not self._layout:
            self._fit(layout, self._layout.by_partition(self._marks))
            self._catch_up.forget(self)

    def _fit(self, layout: Layout, marks: Mapping[Partition, Mark]) -> None:
        """Partitions have appeared, or those of a topic that was made anew with fewer are no more."""
        vanished = sorted(marks.keys() - layout.index.keys())
        doubted = in_doubt(marks, vanished)
        self._layout = layout
        self._marks = layout.marks({p: mark for p, mark in marks.items() if p not in doubted})
        if vanished:
            self._lost = gone([(p, marks[p], None) for p in vanished], resume=self.position)

    # ---- in the log

    async def _from_log(self, max_events: int) -> Sequence[FeedEvent]:
        """One step through the log; may be empty, and may find that something was lost (`_lost`).

        While it waited for a reader the ring may have come so far: then nothing is read.
        """
        try:
            return self._own(await self._read_log(max_events))
        except KafkaAway:
            await asyncio.sleep(RETRY_S)
        except Overloaded:
            if not self.is_in_ring:
                raise
        return ()

    async def _read_log(self, max_events: int) -> Sequence[Fetched]:
        try:
            async with self._catch_up.borrow(self) as reader:
                if self.is_in_ring:
                    reader.owner = None
                    return ()
                generation = self._source.ring.generation
                records, is_settled = await self._step(reader, max_events)
                if self._source.ring.generation != generation:
                    reader.owner = None
                    return ()  # they may be another log's
                reader.owner, self._read_in = self, generation
        except MadeAnew as exc:
            await self._lose({exc.partition})
        except Gone:
            await self._lose(set())
        else:
            self._trusts = generation if is_settled else -1
            return records
        return ()

    async def _step(self, reader: Reader, max_events: int) -> tuple[Sequence[Fetched], bool]:
        """What comes next, and whether all of it is known to continue what was read.

        Raises Gone and MadeAnew, with nothing delivered.
        """
        goes_on = reader.owner is self and self._read_in == self._source.ring.generation
        if not goes_on or self._overlap is None:
            marks = self._layout.by_partition(self._marks)
            self._overlap = Overlap(marks, await self._settled_bounds(marks))
            await reader.tail.open(self._overlap.starts)
        step_bytes = self._catch_up.step_bytes
        records = await reader.tail.fetch(timeout_s=FETCH_S, max_records=max_events, max_bytes=step_bytes)
        records = self._overlap.admit(records)
        self._scanned = {p: reader.tail.position(p) or 0 for p in self._layout.partitions}
        return records, self._overlap.is_settled(self._scanned)

    async def _settled_bounds(self, marks: Mapping[Partition, Mark]) -> Bounds:
        """The bounds of the log, with all marks within them. Raises Gone."""
        while True:
            bounds = await self._source.bounds(self._layout.partitions)
            outside = _outside(marks, bounds)
            if not outside:
                self._patience = None
                return bounds
            self._patience = self._patience or Deadline.after(SETTLE_S)
            if not self._patience.remaining_s() or any(marks[p].next_offset < bounds[p][0] for p in outside):
                self._patience = None
                raise Gone("The position is not in the log.")
            await asyncio.sleep(RETRY_S)

    async def _lose(self, made_anew: set[Partition]) -> None:
        """Move over what is not in the log, and let the next `next` say so. Raises KafkaAway."""
        marks = self._layout.by_partition(self._marks)
        bounds = await self._source.bounds(self._layout.partitions)
        outside = _outside(marks, bounds)
        shorter = {p for p in outside if marks[p].next_offset > bounds[p][1]}
        lost = sorted(outside | made_anew | in_doubt(marks, made_anew | shorter))
        if lost:
            self._marks = self._layout.marks({**marks, **{p: Mark(bounds[p][0]) for p in lost}})
            self._lost = gone([(p, marks[p], bounds[p]) for p in lost], resume=self.position)
        self._scanned.clear()
        self._catch_up.forget(self)


def _better_known(mark: Mark, same: Mark) -> Mark:
    """A mark that does not know the record before it learns it from one at the same offset that does."""
    return same if mark.timestamp_ms is None and mark.next_offset == same.next_offset else mark


def _outside(marks: Mapping[Partition, Mark], bounds: Bounds) -> set[Partition]:
    return {p for p, mark in marks.items() if not bounds[p][0] <= mark.next_offset <= bounds[p][1]}
