"""Runs: neighbouring records of one partition that are all in the same place, waiting or out under one lease.

A ledger moves runs, not records: a poll's hundred records are one run, and cost as much to account for as one.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from operator import attrgetter

from proxy.consume.ranges import Range
from proxy.record import Fetched

_offset = attrgetter("offset")


class Run:
    """Records from `start` to `end - 1`, in order; the offsets between them belong to no record, or to a settled one.

    `start` is one past the record before the first, so that settling a run settles the gap in front of it, too.
    """

    __slots__ = ("deliveries", "end", "records", "size_bytes", "start")

    def __init__(self, start: int, records: Sequence[Fetched], deliveries: int, size_bytes: int) -> None:
        self.start = start
        self.end = records[-1].offset + 1
        self.records = records  # never empty
        self.deliveries = deliveries  # how often they were handed out
        self.size_bytes = size_bytes

    def __repr__(self) -> str:
        return f"<Run {self.start}-{self.end - 1} {len(self.records)} records, delivered {self.deliveries}>"

    @classmethod
    def of(cls, start: int, records: Sequence[Fetched], deliveries: int) -> "Run":
        return cls(start, records, deliveries, weigh(records))

    def head(self, records: int, size_bytes: int) -> int:
        """How many of the first records are within both limits; the first may be 0."""
        if self.size_bytes <= size_bytes:
            return min(records, len(self.records))
        for count, record in enumerate(self.records[:records]):
            size_bytes -= weigh((record,))
            if size_bytes < 0:
                return count
        return min(records, len(self.records))

    def split(self, count: int) -> tuple["Run", "Run"]:
        """The first `count` records and the others; neither may be empty. Bytes are shared out by count."""
        size_bytes = self.size_bytes * count // len(self.records)
        head = Run(self.start, self.records[:count], self.deliveries, size_bytes)
        return head, Run(head.end, self.records[count:], self.deliveries, self.size_bytes - head.size_bytes)

    def singles(self) -> Iterable["Run"]:
        """Each record as a run of its own."""
        start = self.start
        for record in self.records:
            yield Run.of(start, [record], self.deliveries)
            start = record.offset + 1

    def cut(self, ranges: Iterable[Range]) -> tuple[list["Run"], list["Run"]]:
        """The parts that the ascending `ranges` name, and the parts left over; this run itself is not changed."""
        named: list[Run] = []
        left: list[Run] = []
        rest: Run | None = self
        for start, end in ranges:
            if rest is None or end <= rest.start:
                continue
            for offset, place in ((start, left), (end, named)):
                rest = rest._pass_on(offset, place) if rest is not None else None
        if rest is not None:
            left.append(rest)
        return named, left

    def _pass_on(self, offset: int, place: list["Run"]) -> "Run | None":
        """Put the records below `offset` to `place`; what remains, if anything."""
        count = bisect_left(self.records, offset, key=_offset)
        if count == 0:
            return self
        if count == len(self.records):
            place.append(self)
            return None
        head, rest = self.split(count)
        place.append(head)
        return rest


def weigh(records: Iterable[Fetched]) -> int:
    """Bytes that records hold in memory, roughly: their objects, keys, values and headers."""
    size = 0
    for record in records:
        size += 400
        if record.value:
            size += len(record.value)
        if record.key:
            size += len(record.key)
        if record.headers:
            size += sum(100 + len(value or b"") for _, value in record.headers)
    return size
