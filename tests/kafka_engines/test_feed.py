"""A feed on a real broker: the ring, the log, and what is told when records are lost."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from proxy.consume.feeds.catchup import CatchUp
from proxy.consume.feeds.cursor import Cursor
from proxy.consume.feeds.feed import Feed
from proxy.consume.token import Signer
from proxy.errors import Gone
from proxy.kafka.tail import Tail
from tests.kafka.cluster import Kafka
from tests.kafka_engines.readers import knowing, settings, write

SIGNER = Signer(["secret"])


@asynccontextmanager
async def feeding(kafka: Kafka, topic: str, *, ring: int = 100) -> AsyncIterator[Feed]:
    new_tail = partial(Tail, settings(kafka))
    async with knowing(kafka, topic) as topics, CatchUp(new_tail) as catch_up:
        feed = Feed([topic], new_tail, topics, SIGNER, catch_up, ring_records=ring)
        running = asyncio.create_task(feed.run())
        try:
            yield feed
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def _values(cursor: Cursor, count: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    async with asyncio.timeout(20):
        while len(found) < count:
            found += [event.record.value for event in await cursor.next(100)]
    return found


def _numbers(first: int, end: int) -> list[bytes]:
    return [b"%d" % n for n in range(first, end)]


async def test_clients_from_the_log_from_the_ring_and_from_now_all_see_what_follows(kafka: Kafka, topic: str) -> None:
    await write(kafka, topic, *_numbers(0, 200))
    async with feeding(kafka, topic, ring=20) as feed:
        earliest = await feed.cursor(None, start="earliest")
        assert await _values(earliest, 200) == _numbers(0, 200)
        latest = await feed.cursor(None, start="latest")
        resumed = await feed.cursor(earliest.position, start="latest")
        await write(kafka, topic, *_numbers(200, 210))
        for cursor in (earliest, latest, resumed):
            assert await _values(cursor, 10) == _numbers(200, 210)


async def test_a_position_outlives_the_process(kafka: Kafka, topic: str) -> None:
    await write(kafka, topic, *_numbers(0, 50))
    async with feeding(kafka, topic) as feed:
        page = await feed.read(None, start="earliest", max_records=30, wait_s=5)
        assert [event.record.value for event in page.events] == _numbers(0, 30)
    async with feeding(kafka, topic, ring=4) as feed:
        page = await feed.read(page.next, start="latest", max_records=100, wait_s=5)
        assert [event.record.value for event in page.events] == _numbers(30, 50)


async def test_what_retention_has_taken_is_told(kafka: Kafka, topic: str) -> None:
    await write(kafka, topic, *_numbers(0, 50))
    async with feeding(kafka, topic, ring=4) as feed:
        page = await feed.read(None, start="earliest", max_records=10, wait_s=5)
        async with kafka.admin() as admin:
            await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(30)})
        cursor = await feed.cursor(page.next, start="latest")
        with pytest.raises(Gone) as gone:
            await _values(cursor, 1)
        [lost] = gone.value.extra["lost"]
        assert (lost["position"], lost["begins"], lost["ends"]) == (10, 30, 50)
        assert await _values(cursor, 20) == _numbers(30, 50)


async def test_a_topic_deleted_and_made_anew_is_told_to_who_reads_it_and_to_who_comes_back(
    kafka: Kafka, topic: str
) -> None:
    await write(kafka, topic, *_numbers(0, 5))
    async with feeding(kafka, topic) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await _values(cursor, 5) == _numbers(0, 5)
        position = cursor.position
        await kafka.delete_topic(topic)
        await asyncio.sleep(0.5)  # so that it is missing for a moment
        await kafka.create_topic(topic, 2)
        await write(kafka, topic, *_numbers(100, 108))
        with pytest.raises(Gone):
            await _values(cursor, 1)
        assert await _values(cursor, 8) == _numbers(100, 108)
    async with feeding(kafka, topic) as feed:
        cursor = await feed.cursor(position, start="latest")
        with pytest.raises(Gone):
            await _values(cursor, 1)
        assert await _values(cursor, 8) == _numbers(100, 108)


async def test_partitions_that_are_added_are_read_by_all(kafka: Kafka, topic: str) -> None:
    async with feeding(kafka, topic) as feed:
        cursor = await feed.cursor(None, start="latest")
        async with kafka.admin() as admin:
            await admin.create_partitions({topic: NewPartitions(3)})
        await write(kafka, topic, b"new", partition=2)
        assert await _values(cursor, 1) == [b"new"]


async def test_a_broker_that_freezes_and_dies_costs_no_record(own_kafka: Kafka, topic: str) -> None:
    await write(own_kafka, topic, *_numbers(0, 20))
    async with feeding(own_kafka, topic, ring=6) as feed:
        cursor, behind = [await feed.cursor(None, start="earliest") for _ in range(2)]
        assert await _values(cursor, 20) == _numbers(0, 20)
        own_kafka.freeze()
        page = await feed.read(cursor.position, start="latest", max_records=1, wait_s=0.2)
        assert (page.events, page.next) == ((), cursor.position)
        own_kafka.thaw()
        await write(own_kafka, topic, *_numbers(20, 40))
        assert await _values(cursor, 20) == _numbers(20, 40)
        await own_kafka.restart()
        await write(own_kafka, topic, *_numbers(40, 60))
        assert await _values(cursor, 20) == _numbers(40, 60)
        assert await _values(behind, 60) == _numbers(0, 60)
