"""The newest records of some topics, for all readers of this process together. Pure, bounded, in order per partition.

Records live in chunks, as they were fetched; a chunk knows the position before it, so that the position after any of
its records is that one with a few marks changed, and is only worked out when somebody asks. Chunks are linked: a
reader holds one and an index, and goes from chunk to chunk. An evicted chunk is emptied and unlinked: a reader that
holds it has fallen out of the ring, and keeps nothing alive.

The ring's law: from `floor` up to `tip` every record is in it.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from proxy.consume.feeds.position import Layout, Mark, Marks, after
from proxy.consume.run import weigh
from proxy.record import Fetched, Partition


class FeedEvent:
    """A record as all its readers share it (`seams.FeedEvent`)."""

    __slots__ = ("_chunk", "_index", "_position", "frames", "record", "verdicts")

    def __init__(self, record: Fetched, chunk: "Chunk", index: int) -> None:
        self.record = record
        self.frames: dict[str, bytes] = {}
        self.verdicts: Any = None
        self._chunk = chunk
        self._index = index
        self._position: str | None = None

    def __repr__(self) -> str:
        return f"<FeedEvent {self.record.topic}-{self.record.partition} offset {self.record.offset}>"

    @property
    def position(self) -> str:
        """The position after this event, signed. Worked out once."""
        if self._position is None:
            self._position = self._chunk.layout.token(self._chunk.marks_after(self._index + 1))
        return self._position


class Chunk:
    """Records that were fetched together, and the position `before` the first of them."""

    __slots__ = (
        "_at",
        "_done",
        "_known",
        "_steps",
        "after",
        "before",
        "events",
        "is_evicted",
        "layout",
        "next",
        "size_bytes",
    )

    def __init__(self, layout: Layout, before: Marks, records: Sequence[Fetched] = ()) -> None:
        self.layout = layout
        self.before = before
        self.events = [FeedEvent(record, self, index) for index, record in enumerate(records)]
        self.size_bytes = weigh(records)
        self.next: Chunk | None = None
        self.is_evicted = False
        index = layout.index
        self._steps = [(index[Partition(record.topic, record.partition)], after(record)) for record in records]
        self._at, self._done = list(before), 0
        self._known: dict[tuple[Partition, int], Mark] | None = None
        self.after = self.marks_after(len(records))

    def __repr__(self) -> str:
        return f"<Chunk {'evicted' if self.is_evicted else len(self.events)}>"

    @property
    def position(self) -> str:
        """The position after all of it, signed."""
        return self.layout.token(self.after)

    def marks_after(self, count: int) -> Marks:
        """The position after the first `count` records. Cheap when asked for in order."""
        if count < self._done:
            self._at, self._done = list(self.before), 0
        for partition, mark in islice(self._steps, self._done, count):
            self._at[partition] = mark
        self._done = count
        return tuple(self._at)

    def count_to(self, marks: Marks) -> int:
        """After how many of its events the position is just `marks`, of its own layout; 0 if that is nowhere."""
        count = 0
        for index, mark in self._steps:
            if mark.next_offset > marks[index].next_offset:
                break
            count += 1
        here = self.marks_after(count)
        is_there = all(mine.next_offset == mark.next_offset for mine, mark in zip(here, marks, strict=True))
        return count if is_there else 0

    def mark_at(self, partition: Partition, next_offset: int) -> Mark | None:
        """The position after its record just before that offset, if it has it."""
        if self._known is None:  # worked out for the first of many who come back together
            partitions = self.layout.partitions
            self._known = {(partitions[index], mark.next_offset): mark for index, mark in self._steps}
        return self._known.get((partition, next_offset))

    def hand_over(self) -> list[FeedEvent]:
        """Its events, to their only reader: nothing else holds them, no cycle that waits to be collected."""
        events, self.events = self.events, []
        return events

    def evict(self) -> None:
        self.is_evicted, self.events, self.next = True, [], None


class Place(NamedTuple):
    """Where a reader is in the ring: before this event of this chunk, or behind its last."""

    chunk: Chunk
    event: int


class Ring:
    """Holds at most about so many records and bytes (and what fronts keep in `frames` comes on top)."""

    def __init__(self, layout: Layout, start: Marks, *, max_records: int, max_bytes: int) -> None:
        self.generation = 0  # goes up when what comes does not continue what was there, or may not
        self._scanned: Mapping[Partition, int] = {}
        self._max_records = max_records
        self._max_bytes = max_bytes
        self._chunks = deque([Chunk(layout, start)])
        self._records = 0
        self._bytes = 0

    def __repr__(self) -> str:
        return f"<Ring {self._records} records, {self._bytes} bytes, {len(self._chunks)} chunks>"

    @property
    def layout(self) -> Layout:
        return self._chunks[-1].layout

    @property
    def floor(self) -> Marks:
        return self._before(self._chunks[0])

    @property
    def tip(self) -> Marks:
        return self._chunks[-1].after

    def append(self, records: Sequence[Fetched]) -> None:
        """Records that continue `tip`, in order per partition."""
        self._link(Chunk(self.layout, self.tip, records))

    def scan(self, scanned: Mapping[Partition, int]) -> None:
        """Up to these offsets there are no records but those appended. Past `tip` where the log has none at its end."""
        self._scanned = scanned

    def reduce(self, marks: Marks) -> Marks:
        """Marks beyond the tip, but with no record in between, as the tip itself.

        Not those that know a record there: then this is another log than the one that was read, or about to be.
        """
        scanned = [self._scanned.get(partition, 0) for partition in self.layout.partitions]
        return tuple(
            newest if mark.timestamp_ms is None and newest.next_offset < mark.next_offset <= offset else mark
            for mark, newest, offset in zip(marks, self.tip, scanned, strict=True)
        )

    def grow(self, layout: Layout) -> None:
        """Partitions have appeared: from here on in another layout."""
        self._link(Chunk(layout, layout.marks(self.layout.by_partition(self.tip))))

    def clear(self, layout: Layout, tip: Marks) -> None:
        """What comes now may not continue what was there: all readers fall out, and check where they are."""
        self.generation += 1
        self._scanned = {}
        for chunk in self._chunks:
            chunk.evict()
        self._chunks = deque([Chunk(layout, tip)])
        self._records = self._bytes = 0

    def place(self, marks: Marks) -> Place | None:
        """Where a reader goes on that has read up to `marks`; None if the ring no longer has all that follows.

        If no place is just there, the chunk found, or later ones, may hold records that the reader has seen: it skips
        those below its marks.
        `marks` are in the ring's layout.
        """

        def is_ahead(chunk: Chunk) -> bool:
            """Some of what is before this chunk, the reader has not seen."""
            return _exceeds(self._before(chunk), marks)

        found = bisect_right(self._chunks, False, key=is_ahead)
        if not found:
            return None
        if found == len(self._chunks) and not _exceeds(self.tip, marks):
            return Place(self._chunks[-1], len(self._chunks[-1].events))
        chunk = self._chunks[found - 1]
        return Place(chunk, chunk.count_to(marks) if chunk.layout is self.layout else 0)

    def marks_at(self, place: Place) -> Marks:
        """The position at a place that `place` has found, in the layout of now."""
        return self._before(place.chunk) if place.event == 0 else place.chunk.marks_after(place.event)

    def beyond(self, place: Place, marks: Marks) -> set[Partition]:
        """The partitions of which `marks` are further on than the place: up to there, their records were seen."""
        pairs = zip(self.layout.partitions, self.marks_at(place), marks, strict=True)
        return {partition for partition, here, mark in pairs if mark.next_offset > here.next_offset}

    def is_short_of(self, marks: Marks) -> bool:
        """Some of `marks` are further on than all there is."""
        return _exceeds(marks, self.tip)

    def _before(self, chunk: Chunk) -> Marks:
        """The position before a chunk, in the layout of now."""
        layout = self.layout
        return chunk.before if chunk.layout is layout else layout.marks(chunk.layout.by_partition(chunk.before))

    def _link(self, chunk: Chunk) -> None:
        self._chunks[-1].next = chunk
        self._chunks.append(chunk)
        self._records += len(chunk.events)
        self._bytes += chunk.size_bytes
        while len(self._chunks) > 1 and (self._records > self._max_records or self._bytes > self._max_bytes):
            oldest = self._chunks.popleft()
            self._records -= len(oldest.events)
            self._bytes -= oldest.size_bytes
            oldest.evict()


def _exceeds(marks: Marks, others: Marks) -> bool:
    """Some partition is further on."""
    return any(mark.next_offset > other.next_offset for mark, other in zip(marks, others, strict=True))


def differs(place: Place, layout: Layout, marks: Marks) -> set[Partition]:
    """The partitions whose record before `marks` is another one in the ring: made anew since the marks were taken.

    And those whose record before `marks` is just before the ring, so that only the log can say.
    """
    expected = layout.by_partition(marks)
    before = place.chunk.layout.by_partition(place.chunk.before)
    found = {p for p, mark in before.items() if is_other(mark, expected.get(p)) or _says_less(mark, expected.get(p))}
    chunk: Chunk | None = place.chunk
    while chunk is not None:
        for partition, mark in expected.items():
            known = chunk.mark_at(partition, mark.next_offset)
            if known is not None and is_other(known, mark):
                found.add(partition)
        chunk = chunk.next
    return found


def is_other(mark: Mark, expected: Mark | None) -> bool:
    """The same offset, but not after the same record. Where one timestamp is not known, nothing speaks against it."""
    if expected is None or mark.next_offset != expected.next_offset:
        return False
    known = mark.timestamp_ms is not None and expected.timestamp_ms is not None
    return known and mark.timestamp_ms != expected.timestamp_ms


def _says_less(mark: Mark, expected: Mark | None) -> bool:
    """The same offset, after a record that only one of them knows."""
    if expected is None or mark.next_offset != expected.next_offset:
        return False
    return mark.timestamp_ms is None and expected.timestamp_ms is not None
