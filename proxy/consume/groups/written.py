"""What was written to one stream: of each hand-out, and of all that are not confirmed, in one.

The second is what the id of an event names. It is in every event, so it has a bound: of the oldest hand-outs nothing
is named when all would be too long, as it is where many streams share a partition record by record.
"""

from collections import deque
from collections.abc import Iterator, Mapping

from proxy.consume.claim import Claim, Held, token_bytes
from proxy.consume.ranges import Range, Ranges
from proxy.record import Partition

MAX_BYTES = 500  # of an id, for hand-outs before the one that is being written


class Part:
    """One hand-out, and what of it was written: in each partition up to, but without, an offset."""

    __slots__ = ("_written", "claim")

    def __init__(self, claim: Claim) -> None:
        self.claim = claim
        self._written: dict[Partition, int] = {}

    def __repr__(self) -> str:
        return f"<Part {self.claim.lease_id}: {self._written}>"

    def write(self, partition: Partition, offset: int) -> Iterator[Range]:
        """A record was written, and so was all of its partition before it in this hand-out. What that adds."""
        before = self._written.get(partition, 0)
        self._written[partition] = max(before, offset + 1)
        for start, end in self.claim.held.get(partition, ()):
            if start > offset:
                return
            if end > before:
                yield max(start, before), min(end, offset + 1)

    def written(self) -> Iterator[tuple[Partition, Range]]:
        for partition, up_to in self._written.items():
            for start, end in self.claim.held.get(partition, ()):
                if start >= up_to:
                    break
                yield partition, (start, min(end, up_to))

    def unwritten(self) -> Held:
        """Ready to be given back; no partition without ranges."""
        rest: dict[Partition, list[Range]] = {}
        for partition, ranges in self.claim.held.items():
            up_to = self._written.get(partition, 0)
            left = [(max(start, up_to), end) for start, end in ranges if end > up_to]
            if left:
                rest[partition] = left
        return rest


class Written:
    """Of the youngest hand-outs that are not confirmed."""

    def __init__(self) -> None:
        self._parts: deque[Part] = deque()
        self._ranges: dict[Partition, Ranges] = {}

    def __repr__(self) -> str:
        return f"<Written {self._ranges} of {len(self._parts)} hand-outs>"

    def begin(self, part: Part, *, alone: bool) -> None:
        """The next records are of this hand-out. `alone`: those before are none of an id's business."""
        while self._parts and (alone or self._size_bytes() > MAX_BYTES):
            self.forget(self._parts[0])
        self._parts.append(part)

    def _size_bytes(self) -> int:
        return sum(token_bytes(partition, len(ranges)) for partition, ranges in self._ranges.items())

    def add(self, part: Part, partition: Partition, offset: int) -> Ranges:
        """A record was written. All that is named of its partition."""
        ranges = self._ranges.setdefault(partition, Ranges())
        for start, end in part.write(partition, offset):
            ranges.add(start, end)
        return ranges

    def without(self, partition: Partition) -> Mapping[Partition, Ranges]:
        """All that is named of the others."""
        return {place: ranges for place, ranges in self._ranges.items() if place != partition}

    def forget(self, part: Part) -> None:
        """It was confirmed: an id needs to say nothing of it. Repeatable."""
        if part not in self._parts:
            return
        self._parts.remove(part)
        for partition, (start, end) in part.written():
            ranges = self._ranges[partition]
            ranges.remove(start, end)
            if not ranges:
                del self._ranges[partition]
