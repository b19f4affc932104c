"""The bench's own topics: made, filled, counted, read back, removed."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import cycle, islice
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.kafka.cluster import Kafka
from tests.load.loader.payload import SKUS, STORES, stock_body

PARTITIONS = 6


@asynccontextmanager
async def broker(directory: Path) -> AsyncIterator[Kafka]:
    """The cluster that KAFKA_BOOTSTRAP_SERVERS names, else one of our own that ends with the block."""
    if elsewhere := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield Kafka.at(elsewhere)
    else:
        async with Kafka(directory) as ours:
            yield ours


class Topics:
    """Topics of one run: every name begins with `run`, and leaving the block removes them all."""

    def __init__(self, kafka: Kafka, run: str) -> None:
        self.bootstrap = kafka.bootstrap
        self.run = run
        self._kafka = kafka
        self._reader = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, enable_auto_commit=False)
        self._made: list[str] = []

    async def __aenter__(self) -> "Topics":
        await self._reader.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reader.stop()
        for topic in self._made:
            await self._kafka.delete_topic(topic)

    async def make(self, name: str) -> str:
        """A new topic of six partitions; its full name."""
        topic = f"{self.run}-{name}"
        await self._kafka.create_topic(topic, PARTITIONS)
        self._made.append(topic)
        return topic

    async def count(self, topic: str) -> int:
        """How many records were ever written (there are no transactions here, so offsets have no gaps)."""
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        return sum((await self._reader.end_offsets(partitions)).values())

    async def read(self, topic: str, partition: int, offset: int) -> tuple[bytes | None, bytes | None]:
        """Key and value of the record at that place. Raises TimeoutError if there is none."""
        place = TopicPartition(topic, partition)
        self._reader.assign([place])
        self._reader.seek(place, offset)
        record = await asyncio.wait_for(self._reader.getone(place), 10)
        return record.key, record.value

    async def fill(self, topic: str, count: int) -> None:
        """Write that many stock levels in large batches; returns when all are acknowledged."""
        async with AIOKafkaProducer(
            bootstrap_servers=self.bootstrap, acks="all", linger_ms=20, max_batch_size=512 * 1024
        ) as producer:
            for key, value in islice(_stock_levels(), count):
                written = await producer.send(topic, value, key)
            await producer.flush()
            await written


def _stock_levels() -> Iterator[tuple[bytes, bytes]]:
    return cycle([(f"{store}:{sku}".encode(), stock_body(sku)) for sku in SKUS for store in range(STORES)])
