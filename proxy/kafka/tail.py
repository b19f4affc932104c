"""Reads partitions from given offsets, without a group (`seams.Tail`), on aiokafka.

An offset that the log does not have raises Gone, and its partition waits there until `open` puts it elsewhere:
nothing is skipped in silence. `open` may be called again, on the same connection: for partitions that have appeared
(assigned partitions never grow by themselves), or to read something else.
"""

import asyncio
from collections.abc import Mapping, Sequence

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from proxy.clock import Deadline
from proxy.errors import Gone, KafkaAway
from proxy.kafka import internals, offsets
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.fetching import Fetching
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition

OPEN_S = 10.0
CLOSE_S = 1.0
FORBIDDEN_S = 1.0  # between two tries of what the cluster forbids

log = logger("kafka")


class Tail:
    """See `seams.Tail`. Connects when it is first used; what raises KafkaAway may be tried again."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: AIOKafkaConsumer | None = None
        self._fetching: Fetching | None = None
        self._connecting = asyncio.Lock()
        self._seen: set[TopicPartition] = set()  # of what is read: those that the cluster was known to have

    def __repr__(self) -> str:
        return f"<Tail of {len(self._consumer.assignment())} partitions>" if self._consumer else "<Tail not connected>"

    @property
    def skipped_batches(self) -> int:
        """How many batches could not be decoded."""
        return self._fetching.skipped_batches if self._fetching else 0

    async def open(self, starts: Mapping[Partition, int]) -> None:
        """See `seams.Tail.open`. `starts` is not empty."""
        consumer = await self._connected(OPEN_S)
        at = {TopicPartition(*partition): offset for partition, offset in starts.items()}
        internals.drop_all_fetched(consumer)
        consumer.assign(list(at))
        self._seen = set()
        for tp, offset in at.items():
            consumer.seek(tp, offset)

    async def fetch(self, *, timeout_s: float, max_records: int, max_bytes: int | None = None) -> Sequence[Fetched]:
        """See `seams.Tail.fetch`. May be cancelled; nothing is lost by it."""
        if self._fetching is None:
            raise KafkaAway("The reader is not connected to Kafka. Try again.")
        try:
            records = await self._fetching.next(timeout_s=timeout_s, max_records=max_records, max_bytes=max_bytes)
            self._check_topics()
            return records
        except kafka.OffsetOutOfRangeError as exc:
            [(tp, offset)] = exc.args[0].items()
            raise await self._gone(Partition(*tp), offset) from exc
        except kafka.TopicAuthorizationFailedError as exc:
            log.error("read_forbidden", topic=str(exc.args[0]), needs="READ on the topic")
            await asyncio.sleep(min(timeout_s, FORBIDDEN_S))
        except KafkaAway:
            raise
        except Exception as exc:
            log.error("reader_failed", reason=repr(exc))
            await self.close()
            raise KafkaAway("The reader of the topic has failed, and is made anew. Try again.") from exc
        return []

    def position(self, partition: Partition) -> int | None:
        """See `seams.Tail.position`."""
        return internals.position(self._consumer, TopicPartition(*partition)) if self._consumer else None

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        """See `seams.Tail.bounds`."""
        return await offsets.bounds(await self._connected(deadline.remaining_s()), partitions, deadline)

    async def first_since(
        self, partitions: Sequence[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        """See `seams.Tail.first_since`."""
        consumer = await self._connected(deadline.remaining_s())
        return await offsets.first_since(consumer, partitions, time_ms, deadline)

    async def close(self) -> None:
        """Bounded, repeatable; `open` connects again."""
        consumer, self._consumer, self._fetching = self._consumer, None, None
        if consumer is not None:
            await internals.end(consumer, within_s=CLOSE_S)

    def _check_topics(self) -> None:
        """A topic may be deleted and made anew while it is read: its offsets are those of other records then.

        In between the metadata does not have it. Who opens this again, and compares, will see.
        """
        if self._consumer is None:
            return
        known = internals.known_partitions(self._consumer)
        if self._seen - known:
            self._seen = known
            raise KafkaAway("A topic that is read is missing. Try again.")
        self._seen = known

    async def _connected(self, within_s: float) -> AIOKafkaConsumer:
        async with self._connecting:
            return self._consumer or await self._connect(within_s)

    async def _connect(self, within_s: float) -> AIOKafkaConsumer:
        consumer = self._settings.consumer()
        try:
            async with asyncio.timeout(within_s):
                await consumer.start()
        except (kafka.KafkaError, OSError, TimeoutError) as exc:
            await internals.end(consumer, within_s=CLOSE_S)
            raise KafkaAway("Kafka cannot be reached. Try again.") from exc
        except BaseException:
            await internals.end(consumer, within_s=CLOSE_S)
            raise
        self._consumer, self._fetching = consumer, Fetching(consumer)
        return consumer

    async def _gone(self, partition: Partition, position: int) -> Gone:
        begins, ends = (await self.bounds([partition], Deadline.after(OPEN_S)))[partition]
        where = {"topic": partition.topic, "partition": partition.partition}
        return Gone(
            f"{partition.topic}-{partition.partition} has no offset {position}: its log is from {begins} to {ends}.",
            extra={"lost": [{**where, "position": position, "begins": begins, "ends": ends}]},
        )
