"""A dead letter as it is read back: whose it is, where its record came from, and the record as it was.

The headers that `deadletters.py` put behind the record's own tell. A record may have died before, in another group:
only the last set of them counts, the others are the record's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from proxy.record import Fetched, Partition, Record

PREFIX = "stepbridge-dead-"
FIRST = f"{PREFIX}topic"  # of each set
REPLAYED_FROM = "stepbridge-replayed-from"

Headers = Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Letter:
    """`omitted` is why the record is not in it, if it is not; `dead_ms` when it was written."""

    at: Partition
    offset: int
    dead_ms: int
    origin: Partition
    origin_offset: int
    group: str
    deliveries: int
    reason: str
    omitted: str | None
    key: bytes | None
    value: bytes | None
    headers: Headers  # the record's own

    @classmethod
    def read(cls, record: Fetched) -> "Letter | None":
        """None: that is none, or one that nobody can make sense of."""
        own, told = _parted(record.headers)
        try:
            return cls(
                at=Partition(record.topic, record.partition),
                offset=record.offset,
                dead_ms=record.timestamp,
                origin=Partition(told["topic"], int(told["partition"])),
                origin_offset=int(told["offset"]),
                group=told["group"],
                deliveries=int(told["deliveries"]),
                reason=told["reason"],
                omitted=told.get("omitted"),
                key=record.key,
                value=record.value,
                headers=own,
            )
        except (KeyError, ValueError):
            return None

    @property
    def id(self) -> str:
        return f"{self.at.topic}:{self.at.partition}:{self.offset}"

    @property
    def size_bytes(self) -> int:
        return len(self.key or b"") + len(self.value or b"")

    def replayed(self) -> Record:
        """The record as it goes back to where it came from. Its timestamp is new: the old one may be past retention."""
        own = [(name, value) for name, value in self.headers if name != REPLAYED_FROM]
        came = (REPLAYED_FROM, self.id.encode())
        return Record(self.origin.topic, self.key, self.value, [*own, came], partition=self.origin.partition)


def _parted(headers: Sequence[tuple[str, bytes | None]]) -> tuple[Headers, dict[str, str]]:
    """The record's own headers, and what the last set of ours says."""
    told: dict[str, str] = {}
    rest = [(name, value or b"") for name, value in headers]
    while rest and rest[-1][0].startswith(PREFIX) and FIRST.removeprefix(PREFIX) not in told:
        name, value = rest.pop()
        told[name.removeprefix(PREFIX)] = value.decode("utf-8", "replace")
    return rest, told
