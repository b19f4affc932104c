"""The way of records into Kafka: fronts submit, services batch, the engine sends."""

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.clock import Deadline
from proxy.errors import ProxyError
from proxy.record import Partition, Receipt, Record, Topic


@dataclass(frozen=True, slots=True)
class Written:
    """Where a batch is: record i of it is at `base_offset + i`."""

    base_offset: int
    timestamp_ms: int | None  # what the broker said; it counts where the topic says LogAppendTime


class Batch(Protocol):
    """Records on their way to one partition, in order."""

    def append(self, record: Record, timestamp_ms: int) -> bool:
        """Take the record in, or say False: it is full. An empty batch takes any record."""
        ...


class BatchRefused(Exception):
    """Kafka looked at a batch and said no to all of it, for the sake of one record perhaps. `error`: what it said.

    If `error` is OutcomeUnknown, an earlier attempt may have written the batch all the same. Else nothing was written,
    and the records may be sent again, one by one, so that only the guilty one fails.
    """

    def __init__(self, error: ProxyError) -> None:
        super().__init__(error.detail)
        self.error = error


class Batches(Protocol):
    """Writes whole batches, all in-sync replicas, idempotent (`kafka/producer.py`)."""

    async def ready(self) -> None:
        """Wait until there is a producer to hand batches to. Until then records stay in our own queues."""
        ...

    def open(self, topic: Topic) -> Batch: ...

    async def send(self, batch: Batch, partition: Partition) -> Written:
        """Write one batch. The caller keeps at most one in flight a partition.

        Raises BatchRefused, or a ProxyError by the table in `kafka/errors.py`: NotNow and its kin (not written) or
        OutcomeUnknown. Never cancelled by its caller: a batch handed over cannot be taken back.
        """
        ...


class Submitter(Protocol):
    """The way into Kafka (`produce/submitter.py`)."""

    def submit(self, record: Record, deadline: Deadline) -> Awaitable[Receipt]:
        """Queue one record for its partition and wait until all in-sync replicas have it.

        Raises:
            RecordTooLarge, KeyRequired: its topic would refuse it; nothing was handed over.
            TopicMissing, KafkaAway, Overloaded: nothing was queued.
            NotWritten: it was still in our queue at the deadline; nothing was or will be written.
            OutcomeUnknown: its batch was with Kafka and had no answer in time; it may be written even now.
        Cancelling while it is queued takes it out; later it does not unsend.
        """
        ...

    def submit_many(self, records: Sequence[Record], deadline: Deadline) -> Awaitable[Sequence[Receipt | ProxyError]]:
        """As `submit`, for many at once: an outcome for each, which is what `submit` would return or raise.

        Those for one partition are queued, and written, in their order; one that fails takes no other with it.
        """
        ...
