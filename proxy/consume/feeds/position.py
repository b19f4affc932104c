"""Positions: how far a reader without a group has come. Pure.

A position is the client's, not ours: it is signed, names its topics and its cluster, and holds for every partition
the next offset and the timestamp of the record before it. The timestamp is what tells a topic that was deleted and
made anew: there the record before it is another one.

A token is made for every event, so that each partition's part (a `Mark`) is packed once, and a token is joined from
a head, which only changes with the number of partitions, and the marks.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from proxy.consume.token import MAX_BYTES, Kind, Signer
from proxy.consume.varint import Reader, Torn, put, put_text
from proxy.errors import BadToken, ForeignToken, Gone, TooManyPartitions
from proxy.record import Fetched, Partition

_VERSION: Final = 1
_MARK_BYTES: Final = 13  # of a partition with some 10**12 records, today
_UNKNOWN, _SHIFT = 0, 2  # a timestamp is at least -1 (the record has none)


class Mark:
    """How far one partition was read: up to, but without, `next_offset`."""

    __slots__ = ("next_offset", "packed", "timestamp_ms")

    def __init__(self, next_offset: int, timestamp_ms: int | None = None) -> None:
        """`timestamp_ms`: of the record before it; None where none was read."""
        self.next_offset = next_offset
        self.timestamp_ms = timestamp_ms
        packed = bytearray()
        put(packed, next_offset)
        put(packed, _UNKNOWN if timestamp_ms is None else max(timestamp_ms, -1) + _SHIFT)
        self.packed = bytes(packed)

    def __repr__(self) -> str:
        return f"<Mark {self.next_offset} after {self.timestamp_ms}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mark) and self.packed == other.packed

    def __hash__(self) -> int:
        return hash(self.packed)


START: Final = Mark(0)  # of a partition that has appeared since

Marks = tuple[Mark, ...]  # one for each partition of a layout, in its order


class Layout:
    """The partitions of some topics of one cluster, in the order in which marks stand in a token."""

    def __init__(self, cluster_id: str, counts: Mapping[str, int], signer: Signer) -> None:
        """`counts`: partitions by topic; 0 for a topic that does not exist yet."""
        self.cluster_id = cluster_id
        self._signer = signer
        self.counts = dict(sorted(counts.items()))
        self.partitions = tuple(Partition(topic, n) for topic, count in self.counts.items() for n in range(count))
        self.index = {partition: i for i, partition in enumerate(self.partitions)}
        self._head = self._packed_head()

    def __repr__(self) -> str:
        return f"<Layout {self.counts}>"

    def _packed_head(self) -> bytes:
        out = bytearray([_VERSION])
        put_text(out, self.cluster_id)
        put(out, len(self.counts))
        for topic, count in self.counts.items():
            put_text(out, topic)
            put(out, count)
        return bytes(out)

    def refuse_too_wide(self) -> None:
        """Raises TooManyPartitions if its positions would be longer than `Signer.open` takes."""
        most = (MAX_BYTES - len(self._head)) // _MARK_BYTES
        if len(self.partitions) > most:
            raise TooManyPartitions(
                f"{', '.join(self.counts)} have {len(self.partitions)} partitions, and a position holds {most}. "
                "Read fewer topics by one route, or read them with a group."
            )

    def token(self, marks: Marks) -> str:
        return self._signer.sign(Kind.POSITION, self._head + b"".join([mark.packed for mark in marks]))

    def marks(self, at: Mapping[Partition, Mark]) -> Marks:
        """Those partitions that `at` does not name have appeared since: they are read from their beginning."""
        return tuple([at.get(partition, START) for partition in self.partitions])

    def by_partition(self, marks: Marks) -> dict[Partition, Mark]:
        return dict(zip(self.partitions, marks, strict=True))


def read_token(token: str, signer: Signer, cluster_id: str, topics: Iterable[str]) -> dict[Partition, Mark]:
    """The marks of a position that this route handed out, at whichever replica.

    Raises:
        BadToken, ForgedToken: see `Signer.open`.
        ForeignToken: its topics are not this route's.
        Gone: it was handed out for another cluster.
    """
    try:
        cluster, marks, counts = _unpacked(signer.open(Kind.POSITION, token))
    except Torn as exc:
        raise BadToken("The position is damaged, or of another version of the bridge. Start again without it.") from exc
    if counts.keys() != set(topics):
        raise ForeignToken(
            f"The position is for {', '.join(counts)}, and this route reads {', '.join(sorted(topics))}."
        )
    if cluster != cluster_id:
        raise Gone("The position is for another Kafka cluster than the one the bridge reads now.")
    return marks


def _unpacked(payload: bytes) -> tuple[str, dict[Partition, Mark], dict[str, int]]:
    reader = Reader(payload)
    if reader.number() != _VERSION:
        raise Torn("not a version that this bridge knows")
    cluster = reader.text()
    counts = {reader.text(): reader.number() for _ in range(reader.count())}
    if 2 * sum(counts.values()) > reader.left:  # a mark takes at least two bytes
        raise Torn("more partitions are announced than there are bytes")
    partitions = [Partition(topic, n) for topic, count in counts.items() for n in range(count)]
    marks = {partition: _mark(reader) for partition in partitions}
    reader.end()
    return cluster, marks, counts


def _mark(reader: Reader) -> Mark:
    next_offset, timestamp = reader.number(), reader.number()
    return Mark(next_offset, None if timestamp == _UNKNOWN else timestamp - _SHIFT)


def after(record: Fetched) -> Mark:
    return Mark(record.offset + 1, record.timestamp)


def in_doubt(marks: Mapping[Partition, Mark], made_anew: Iterable[Partition]) -> set[Partition]:
    """The partitions made anew with these, as whole topics are, whose marks know no record by which that would show."""
    topics = {partition.topic for partition in made_anew}
    return {p for p, mark in marks.items() if p.topic in topics and mark.timestamp_ms is None and mark.next_offset}


def gone(lost: Sequence[tuple[Partition, Mark, tuple[int, int] | None]], *, resume: str) -> Gone:
    """What a reader is told whose position is not in the log: per partition where it was, and where the log is now.

    `resume` is a position that takes it to the first record there is. A partition without bounds exists no more.
    """
    extra: list[dict[str, Any]] = [
        {
            "topic": partition.topic,
            "partition": partition.partition,
            "position": mark.next_offset,
            "begins": bounds[0] if bounds else None,
            "ends": bounds[1] if bounds else None,
        }
        for partition, mark, bounds in lost
    ]
    return Gone(
        "Records between the position and the beginning of the log are gone, or the topic was made anew. "
        "`lost` has the range of each partition; `next` goes on with the first record there is.",
        extra={"lost": extra, "next": resume},
    )
