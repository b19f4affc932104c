"""Writing to Kafka and looking into it, past the bridge."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.kafka.cluster import Kafka

MAX_REQUEST = 16_000_000  # bytes: as much as a test may want to write at once


class Put(NamedTuple):
    """One record to be written."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp_ms: int | None = None


async def write(kafka: Kafka, topic: str, *records: Put | bytes) -> None:
    """Write records one after the other; bare bytes are a value in partition 0."""
    async with AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap, acks="all", max_request_size=MAX_REQUEST
    ) as producer:
        for each in records:
            put = each if isinstance(each, Put) else Put(each)
            await producer.send_and_wait(
                topic, put.value, put.key, put.partition, timestamp_ms=put.timestamp_ms, headers=put.headers
            )


def numbered(count: int, *, start: int = 0) -> list[bytes]:
    """Values that tell records apart: 0, 1, 2 as JSON."""
    return [b"%d" % number for number in range(start, start + count)]


async def written(kafka: Kafka, topic: str) -> int:
    """How many records the topic has had, by its end offsets."""
    partitions = [TopicPartition(topic, number) for number in await kafka.partitions(topic)]
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap) as reader:
        return sum((await reader.end_offsets(partitions)).values())


async def contents(kafka: Kafka, topic: str) -> list[Put]:
    """Every record of the topic, by partition and offset."""
    partitions = [TopicPartition(topic, number) for number in sorted(await kafka.partitions(topic))]
    found: list[Put] = []
    async with AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, auto_offset_reset="earliest") as reader:
        reader.assign(partitions)
        for partition, end in (await reader.end_offsets(partitions)).items():
            while await reader.position(partition) < end:
                one = await reader.getone(partition)
                found.append(Put(one.value, one.key, one.partition, tuple(one.headers), one.timestamp))
    return found


class Commit(NamedTuple):
    """What Kafka has of a group for one partition."""

    offset: int
    metadata: str


async def committed(kafka: Kafka, group: str, topic: str, partition: int = 0) -> Commit | None:
    """The group's commit, as Kafka tells it now; None if there is none."""
    async with kafka.admin() as admin:
        offsets = await admin.list_consumer_group_offsets(group)
    found = offsets.get(TopicPartition(topic, partition))
    return Commit(found.offset, found.metadata) if found is not None and found.offset >= 0 else None


async def until(true: Callable[[], Awaitable[object]], within_s: float = 15.0) -> float:
    """Ask again until it is true; returns the seconds it took. Raises AssertionError when that takes longer."""
    began_s = time.monotonic()
    while not await true():
        assert time.monotonic() - began_s < within_s, f"not within {within_s:g} s"
        await asyncio.sleep(0.05)
    return time.monotonic() - began_s
