"""Reading on from a position, one record early: to see that the record before it is still the same one.

Kafka keeps no mark of a topic that was deleted and made anew under its name; the record just before a position
does. So a reader begins with that one, compares its timestamp, and drops it. Where it is gone (retention, compaction)
nothing can be compared, and nothing is lost by that.
"""

from collections.abc import Mapping, Sequence

from proxy.consume.feeds.position import Mark
from proxy.record import Fetched, Partition

Bounds = Mapping[Partition, tuple[int, int]]


class MadeAnew(Exception):
    """The record before a position is another one than it was."""

    def __init__(self, partition: Partition) -> None:
        super().__init__(f"{partition.topic}-{partition.partition} was made anew")
        self.partition = partition


class Overlap:
    """Where to begin (`starts`), and what of the first records is new (`admit`)."""

    def __init__(self, marks: Mapping[Partition, Mark], bounds: Bounds) -> None:
        """`marks` are within `bounds`."""
        followed = {partition: mark for partition, mark in marks.items() if mark.next_offset > bounds[partition][0]}
        self._expected = {partition: mark for partition, mark in followed.items() if mark.timestamp_ms is not None}
        self.is_blind = len(self._expected) < len(followed)  # somewhere the record before is not known
        self.starts = {partition: mark.next_offset - (partition in self._expected) for partition, mark in marks.items()}

    def __repr__(self) -> str:
        return f"<Overlap on {len(self._expected)} of {len(self.starts)} partitions>"

    def admit(self, records: Sequence[Fetched]) -> Sequence[Fetched]:
        """The records from the marks on. Raises MadeAnew; none of `records` is to be used then."""
        return [record for record in records if self._is_new(record)] if self._expected else records

    def is_settled(self, scanned: Mapping[Partition, int]) -> bool:
        """Up to these offsets the log was read: every record that was to be compared has been, or is no more."""
        return all(scanned[partition] >= mark.next_offset for partition, mark in self._expected.items())

    def _is_new(self, record: Fetched) -> bool:
        expected = self._expected.pop(partition := Partition(record.topic, record.partition), None)
        if expected is None or record.offset >= expected.next_offset:
            return True
        if record.timestamp != expected.timestamp_ms:
            raise MadeAnew(partition)
        return False
