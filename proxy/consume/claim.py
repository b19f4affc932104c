"""Claims: what a lease token, or the id of a group stream's event, says. Signed, so that any owner can believe it.

A claim tells which records of which partitions a reader holds, for which group, under which lease and until when.
That is all an owner needs to take an acceptance for records that a former owner handed out.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from proxy.consume.ranges import Range, Ranges
from proxy.consume.token import Kind, Signer
from proxy.consume.varint import Reader, Torn, put, put_text
from proxy.errors import BadToken, ForeignToken
from proxy.record import Partition

Held = Mapping[Partition, Sequence[Range]]  # ascending ranges; a gap between records belongs to the one behind it

MAX_IDS = 1_000  # in one list of an ack; no lease holds more


@dataclass(frozen=True, slots=True)
class Claim:
    """What a reader may accept or give back."""

    group: str
    lease_id: int
    until_ms: int  # wall clock
    records: int  # how many it holds
    held: Held
    stream_id: int = 0  # of the stream it was handed to; 0: a poll

    def seal(self, signer: Signer, kind: Kind = Kind.LEASE) -> str:
        """The token that a client gets."""
        out = self.head(len(self.held))
        for partition, ranges in self.held.items():
            put_partition(out, partition)
            put_ranges(out, ranges)
        return signer.sign(kind, out)

    def head(self, entries: int) -> bytearray:
        """The token's payload up to what is held: so many times a partition and its ranges follow."""
        out = bytearray()
        put_text(out, self.group)
        for number in (self.lease_id, self.until_ms, self.records, self.stream_id, entries):
            put(out, number)
        return out

    @classmethod
    def open(cls, signer: Signer, token: str, *, group: str, kind: Kind = Kind.LEASE) -> "Claim":
        """What a token says. Raises BadToken, ForgedToken, and ForeignToken if it is another group's."""
        reader = Reader(signer.open(kind, token))
        try:
            claim = cls._read(reader)
        except Torn as exc:
            raise BadToken(f"The {kind.word} is of another version of the bridge. Start again without it.") from exc
        if claim.group != group:
            raise ForeignToken(f"The {kind.word} belongs to another group. Send it to the route that it came from.")
        return claim

    @classmethod
    def _read(cls, reader: Reader) -> "Claim":
        group = reader.text()
        lease_id, until_ms, records, stream_id = (reader.number() for _ in range(4))
        held: dict[Partition, Sequence[Range]] = {}
        for _ in range(reader.count()):
            partition = Partition(reader.text(), reader.number())
            ranges = _read_ranges(reader)
            before = held.get(partition)
            held[partition] = list(Ranges([*before, *ranges])) if before else ranges
        reader.end()
        return cls(group, lease_id, until_ms, records, held, stream_id)


def token_bytes(partition: Partition, ranges: int) -> int:
    """About how many a partition with so many ranges takes in a token's payload."""
    return len(partition.topic) + 12 + 4 * ranges


def put_partition(out: bytearray, partition: Partition) -> None:
    put_text(out, partition.topic)
    put(out, partition.partition)


def put_ranges(out: bytearray, ranges: Sequence[Range] | Ranges) -> None:
    put(out, len(ranges))
    edge = 0
    for start, end in ranges:
        put(out, start - edge)
        put(out, end - start)
        edge = end


def _read_ranges(reader: Reader) -> list[Range]:
    ranges, edge = [], 0
    for _ in range(reader.count()):
        start = edge + reader.number()
        edge = start + reader.number()
        ranges.append((start, edge))
    return ranges


def beyond(held: Held, seen: Mapping[Partition, Iterable[Range]]) -> Held:
    """What of `held` is not in `seen`."""
    rest: dict[Partition, list[Range]] = {}
    for partition, ranges in held.items():
        known = Ranges(seen.get(partition, ()))
        left = [part for start, end in ranges for part in known.without(start, end)]
        if left:
            rest[partition] = left
    return rest


# ---- ids of records


def read_id(record_id: str) -> tuple[Partition, int] | None:
    """`topic:partition:offset`, or None if it is not written like that."""
    topic, _, rest = record_id.partition(":")
    partition, _, offset = rest.partition(":")
    if not (partition.isdecimal() and offset.isdecimal() and len(partition) < 11 and len(offset) < 20):
        return None
    return Partition(topic, int(partition)), int(offset)


def ids(held: Held, limit: int = MAX_IDS) -> list[str]:
    """The ids of offsets, the first `limit` of them; where offsets have gaps, some name no record."""
    every = (
        f"{partition.topic}:{partition.partition}:{offset}"
        for partition, ranges in held.items()
        for start, end in ranges
        for offset in range(start, end)
    )
    return list(islice(every, limit))
