"""Writes batches: one idempotent producer, acks from all in-sync replicas, retried in place while Kafka is away.

While Kafka is slow or away the producer is never replaced: its retry of the same batch with the same sequence is
what keeps order and uniqueness. Its client asks only for the metadata of *all* topics, never of one by name: a
request with names would make a missing topic (`auto.create.topics.enable`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from itertools import chain, repeat

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from proxy.errors import TopicMissing
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.errors import outcome
from proxy.observe.logs import logger
from proxy.record import Partition, Record, Topic
from proxy.seams import Batch, Written

MAX_BATCH_BYTES = 512 * 1024  # 16 KiB, the library's default, collapses at 1,000 requests in flight
RECONNECT_S = (0.1, 0.2, 0.5)  # waits between attempts to start, then one a second
STOP_S = 5.0  # stopping an idempotent producer on a frozen broker would never end by itself

log = logger("kafka")


class ProducerBatch:
    """Records for one partition, in the form they are sent in (`seams.Batch`)."""

    __slots__ = ("builder",)

    def __init__(self, limit_bytes: int) -> None:
        self.builder = BatchBuilder(limit_bytes, 0)

    def append(self, record: Record, timestamp_ms: int) -> bool:
        headers = record.headers if isinstance(record.headers, list) else list(record.headers)
        taken = self.builder.append(timestamp=timestamp_ms, key=record.key, value=record.value, headers=headers)
        return taken is not None


class Producer:
    """The process's one producer (`seams.Batches`). `async with` starts it in the background, and stops it."""

    def __init__(self, settings: KafkaSettings, on_error: Callable[[str, BaseException], None]) -> None:
        self._settings = settings
        self._on_error = on_error
        self._producer: AIOKafkaProducer | None = None
        self._started = asyncio.Event()
        self._starting: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Producer {'started' if self._started.is_set() else 'waiting for Kafka'}>"

    async def __aenter__(self) -> "Producer":
        self._starting = asyncio.create_task(self._start(), name="producer start")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait([self._starting])
        if self._producer is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._producer.stop(), STOP_S)

    async def ready(self) -> None:
        """See `seams.Batches.ready`."""
        await self._started.wait()

    def open(self, topic: Topic) -> Batch:
        return ProducerBatch(min(MAX_BATCH_BYTES, topic.max_message_bytes))

    async def send(self, batch: Batch, partition: Partition) -> Written:
        """See `seams.Batches.send`."""
        assert self._producer is not None
        assert isinstance(batch, ProducerBatch)
        await self._know(partition)
        try:
            sent = await self._producer.send_batch(batch.builder, partition.topic, partition=partition.partition)
            metadata = await sent
        except KafkaError as exc:
            self._on_error("produce", exc)
            log.warning("batch_failed", topic=partition.topic, partition=partition.partition, error=repr(exc))
            raise outcome(exc, partition.topic, retried=False) from exc
        return Written(metadata.offset, metadata.timestamp if metadata.timestamp != -1 else None)

    async def _know(self, partition: Partition) -> None:
        """See that the client knows the partition before it is asked for by name (which would make the topic)."""
        assert self._producer is not None
        cluster = self._producer.client.cluster
        if partition.partition not in (cluster.partitions_for_topic(partition.topic) or ()):
            await self._producer.client.force_metadata_update()
            if partition.partition not in (cluster.partitions_for_topic(partition.topic) or ()):
                raise TopicMissing(f"Topic {partition.topic!r} has no partition {partition.partition} (any more).")

    async def _start(self) -> None:
        """Try until it works: the bridge may be up before Kafka is."""
        for wait_s in chain(RECONNECT_S, repeat(1.0)):
            producer = self._settings.producer(max_batch_size=MAX_BATCH_BYTES)
            try:
                await producer.start()
            except (KafkaError, OSError) as exc:
                self._on_error("connect", exc)
                log.warning("producer_not_started", error=repr(exc), retry_in_s=wait_s)
                await producer.stop()
                await asyncio.sleep(wait_s)
            except BaseException:
                await producer.stop()
                raise
            else:
                self._producer = producer
                self._started.set()
                log.info("producer_started")
                return
