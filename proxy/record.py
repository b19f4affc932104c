"""The values that travel through the bridge: what is written, where it went, what is read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Partition(NamedTuple):
    """One partition of one topic. Equal to, and hashes like, the plain tuple (and aiokafka's TopicPartition)."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record to be written, complete: nothing after this looks at the request again."""

    topic: str
    key: bytes | None
    value: bytes | None  # None is a tombstone
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None  # None: now, when it is handed to Kafka
    partition: int | None = None  # None: by the key, else sticky


@dataclass(frozen=True, slots=True)
class Receipt:
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
