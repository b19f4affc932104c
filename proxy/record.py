"""The values that travel through the bridge: what is written, where it went, what is read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

BATCH_HEAD_BYTES = 61  # of a record batch, format v2: the record's own bytes come on top


class Partition(NamedTuple):
    """One partition of one topic. Equal to, and hashes like, the plain tuple (and aiokafka's TopicPartition)."""

    topic: str
    partition: int


class Record(NamedTuple):
    """One record to be written, complete: nothing after this looks at the request again.

    A NamedTuple, since a frozen dataclass costs three times as much to make, and one is made for each request.
    """

    topic: str
    key: bytes | None
    value: bytes | None  # None is a tombstone
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None  # None: now, when it is handed to Kafka
    partition: int | None = None  # None: by the key, else sticky


class Receipt(NamedTuple):
    """Where a record is, once all in-sync replicas have it."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int


class Fetched(Protocol):
    """One record as read from Kafka. A Protocol, so that aiokafka's own object fits without being copied."""

    topic: str
    partition: int
    offset: int
    timestamp: int  # milliseconds since the epoch (Kafka's name for it, hence without a unit)
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Topic:
    """What the bridge must know of a topic before it writes to it or reads from it."""

    name: str
    partitions: int
    max_message_bytes: int = 1_048_588  # of a *batch*: the broker holds whole batches against it
    compacted: bool = False  # cleanup.policy contains `compact`: a record without a key would be refused
    log_append_time: bool = False  # message.timestamp.type: the broker's clock replaces our timestamp
    min_insync_replicas: int = 1
    replicas: int = 1
    may_write: bool = True  # False: the cluster says that we may not


def values_size_bytes(records: Iterable[Fetched]) -> int:
    """Bytes of their values together, which is what the metrics count of what was read."""
    return sum(len(record.value) for record in records if record.value is not None)


def record_size_bytes(record: Record) -> int:
    """Bytes of the record alone in a batch, at offset and timestamp delta 0. Exact."""
    key, value = record.key, record.value
    size = 3 + 1  # attributes, timestamp delta, offset delta; the count of headers (up to 63) below
    size += 1 if key is None else _varint_bytes(len(key)) + len(key)
    size += 1 if value is None else _varint_bytes(len(value)) + len(value)
    if record.headers:
        size += _varint_bytes(len(record.headers)) - 1
        for name, content in record.headers:
            name_bytes = len(name) if name.isascii() else len(name.encode())
            size += _varint_bytes(name_bytes) + name_bytes + _varint_bytes(len(content)) + len(content)
    return size + _varint_bytes(size)


def _varint_bytes(number: int) -> int:
    """Bytes of a zigzag varint of a number that is not negative."""
    if number < 64:
        return 1
    if number < 8_192:
        return 2
    if number < 1_048_576:
        return 3
    return 4 if number < 134_217_728 else 5
