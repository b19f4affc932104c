"""Writes batches: one idempotent producer, acks from all in-sync replicas, retried in place while Kafka is away.

When the producer is replaced, and when not:

- While Kafka is slow or away: never. Its retry of the same batch with the same sequence is what keeps order and
  uniqueness.
- When a batch was refused: its sequence is broken for that partition, for good. The next batches go to a new producer
  at once; the old one is *retired*: it finishes what it has of other partitions, so that the guilty one costs them
  nothing, and is stopped then. Nothing of the refused partition is left in it, so nothing can come late.
- When its sending task has died: at once. What it had was failed by the library, and a dead task writes nothing.

Its client asks only for the metadata of all topics, never of one by name: a request with names would make a missing
topic (`auto.create.topics.enable`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from itertools import chain, repeat

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from proxy.errors import NotWritten, TopicMissing
from proxy.kafka import internals
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.errors import REFUSED, outcome
from proxy.observe.logs import logger
from proxy.record import Partition, Record, Topic
from proxy.seams.produce import Batch, BatchRefused, Written
from proxy.tasks import Tasks

MAX_BATCH_BYTES = 512 * 1024  # 16 KiB, the library's default, collapses at 1,000 requests in flight
RECONNECT_S = (0.1, 0.2, 0.5)  # waits between attempts to start, then one a second
STOP_S = 3.0  # stopping an idempotent producer on a frozen broker would never end by itself

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


class Life:
    """One aiokafka producer, from its start to its end, and how many batches it has."""

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self.producer = producer
        self.batches = 0
        self.retired = False

    def __repr__(self) -> str:
        return f"<Life {'retired' if self.retired else 'in use'}, {self.batches} batches>"


class Producer:
    """The process's way of writing batches (`seams.Batches`). `async with` starts it in the background and stops it."""

    def __init__(
        self,
        settings: KafkaSettings,
        *,
        on_error: Callable[[str, BaseException], None] = lambda operation, error: None,
        on_refused: Callable[[str], None] = lambda topic: None,
    ) -> None:
        """`on_refused` is told the topic whose settings may not be what we took them for."""
        self._settings = settings
        self._on_error = on_error
        self._on_refused = on_refused
        self._life: Life | None = None
        self._started = asyncio.Event()
        self._tasks = Tasks()
        self.replaced = 0  # so far, for metrics

    def __repr__(self) -> str:
        return f"<Producer {self._life or 'waiting for Kafka'}>"

    async def __aenter__(self) -> "Producer":
        self._tasks.begin(self._start(), name="start a producer")
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._tasks.end()
        if self._life is not None:
            self._life.retired = True
            await self._stop(self._life)

    async def ready(self) -> None:
        """See `seams.Batches.ready`."""
        await self._started.wait()

    def open(self, topic: Topic) -> Batch:
        return ProducerBatch(min(MAX_BATCH_BYTES, topic.max_message_bytes))

    async def send(self, batch: Batch, partition: Partition) -> Written:
        """See `seams.Batches.send`."""
        assert isinstance(batch, ProducerBatch)
        life = self._life
        if life is None:
            raise NotWritten("The bridge's producer is being replaced. Nothing was written; send it again.")
        life.batches += 1
        try:
            await self._know(life.producer, partition)
            return await self._hand_over(life, batch, partition)
        finally:
            life.batches -= 1
            if life.retired and not life.batches:
                self._tasks.begin(self._stop(life), name="stop a producer")

    async def _hand_over(self, life: Life, batch: ProducerBatch, partition: Partition) -> Written:
        topic, number = partition
        try:
            answer = await life.producer.send_batch(batch.builder, topic, partition=number)
        except KafkaError as exc:
            self._note(exc, partition)
            raise NotWritten(f"The producer did not take the record for topic {topic!r}. Send it again.") from exc
        attempts = internals.attempts(life.producer, partition)
        try:
            metadata = await answer
        except KafkaError as exc:
            self._note(exc, partition)
            meant = outcome(exc, topic, attempts=attempts())
            if type(exc) not in REFUSED:
                raise meant from exc
            self._on_refused(topic)
            self._replace(life, reason=type(exc).__name__)
            raise BatchRefused(meant) from exc
        return Written(metadata.offset, metadata.timestamp if metadata.timestamp != -1 else None)

    async def _know(self, producer: AIOKafkaProducer, partition: Partition) -> None:
        """See that the client knows the partition before it is asked for by name (which would make the topic)."""
        topic, number = partition
        cluster = producer.client.cluster
        if number not in (cluster.partitions_for_topic(topic) or ()):
            await producer.client.force_metadata_update()
            if number not in (cluster.partitions_for_topic(topic) or ()):
                raise TopicMissing(f"Topic {topic!r} has no partition {number} (any more).")

    # ---- from one producer to the next

    def _replace(self, life: Life, *, reason: str) -> None:
        if life.retired:
            return
        life.retired = True
        self._life = None
        self._started.clear()
        self.replaced += 1
        log.warning("producer_replaced", reason=reason)
        self._tasks.begin(self._start(), name="start a producer")
        if not life.batches:
            self._tasks.begin(self._stop(life), name="stop a producer")

    def _sender_ended(self, life: Life) -> None:
        """What it had will never be answered: say so to those who wait."""
        if not life.retired:
            self._replace(life, reason="sender ended")
            internals.fail_pending(life.producer)

    async def _start(self) -> None:
        """Try until it works: the bridge may be up before Kafka is."""
        for wait_s in chain(RECONNECT_S, repeat(1.0)):
            life = Life(self._settings.producer(max_batch_size=MAX_BATCH_BYTES))
            try:
                await life.producer.start()
            except (KafkaError, OSError) as exc:
                self._on_error("connect", exc)
                log.warning("producer_not_started", error=repr(exc), retry_in_s=wait_s)
                await self._stop(life)
                await asyncio.sleep(wait_s)
            except BaseException:
                await self._stop(life)
                raise
            else:
                internals.when_sender_ends(life.producer, partial(self._sender_ended, life))
                self._life = life
                self._started.set()
                log.info("producer_started")
                return

    @staticmethod
    async def _stop(life: Life) -> None:
        """Stop it, in bounded time: what does not stop by itself is killed, and writes nothing any more."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(STOP_S):
                await life.producer.stop()
                return
        await internals.kill(life.producer)

    def _note(self, error: KafkaError, partition: Partition) -> None:
        self._on_error("produce", error)
        log.warning("batch_failed", topic=partition.topic, partition=partition.partition, error=repr(error))
