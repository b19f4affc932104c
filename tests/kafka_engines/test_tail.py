"""A tail on a real broker: where it begins, what it says when that is gone, what it does when Kafka is away."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete
from aiokafka.consumer.fetcher import PartitionRecords

from proxy.clock import Deadline
from proxy.errors import Gone, KafkaAway
from proxy.kafka.tail import Tail
from proxy.record import Partition
from tests.kafka.cluster import Kafka
from tests.kafka_engines.readers import WITHIN_S, settings, write


@pytest.fixture
async def tail(kafka: Kafka) -> AsyncIterator[Tail]:
    tail = Tail(settings(kafka))
    yield tail
    await tail.close()


async def _read(tail: Tail, count: int) -> list[bytes | None]:
    found: list[bytes | None] = []
    async with asyncio.timeout(WITHIN_S):
        while len(found) < count:
            found += [record.value for record in await tail.fetch(timeout_s=0.5, max_records=100)]
    return found


async def test_it_reads_each_partition_from_the_offset_it_was_given(kafka: Kafka, topic: str, tail: Tail) -> None:
    await write(kafka, topic, b"a0", b"a1", b"a2")
    await write(kafka, topic, b"b0", b"b1", partition=1)
    await tail.open({Partition(topic, 0): 1, Partition(topic, 1): 2})
    assert await _read(tail, 2) == [b"a1", b"a2"]
    await write(kafka, topic, b"b2", partition=1)
    assert await _read(tail, 1) == [b"b2"]
    assert tail.position(Partition(topic, 0)) == 3
    assert tail.position(Partition("elsewhere", 0)) is None


async def test_what_it_had_fetched_is_gone_at_once_when_it_is_put_elsewhere(
    kafka: Kafka, topic: str, tail: Tail
) -> None:
    await write(kafka, topic, b"1", b"2", b"3")
    gc.collect()
    gc.disable()  # the bridge collects cycles so seldom that they would be its memory
    try:
        for offset in (0, 1, 0, 1):
            await tail.open({Partition(topic, 0): offset})
            async with asyncio.timeout(WITHIN_S):
                while not await tail.fetch(timeout_s=0.5, max_records=1):
                    pass
        assert sum(isinstance(each, PartitionRecords) for each in gc.get_objects()) <= 1
    finally:
        gc.enable()


async def test_it_knows_where_partitions_begin_and_end(kafka: Kafka, topic: str, tail: Tail) -> None:
    await write(kafka, topic, b"1", b"2", b"3")
    await _delete_before(kafka, topic, 2)
    zero, one = Partition(topic, 0), Partition(topic, 1)
    assert await tail.bounds([zero, one], Deadline.after(10)) == {zero: (2, 3), one: (0, 0)}


async def test_a_position_that_retention_has_passed_is_gone_and_nothing_is_skipped(
    kafka: Kafka, topic: str, tail: Tail
) -> None:
    await write(kafka, topic, *(b"%d" % n for n in range(10)))
    await _delete_before(kafka, topic, 6)
    zero = Partition(topic, 0)
    await tail.open({zero: 2})
    for _ in range(2):  # it stays where it is
        with pytest.raises(Gone) as gone:
            await _read(tail, 1)
        assert gone.value.extra == {"lost": [{"topic": topic, "partition": 0, "position": 2, "begins": 6, "ends": 10}]}
    await tail.open({zero: 6})
    assert await _read(tail, 4) == [b"6", b"7", b"8", b"9"]


async def test_a_position_that_the_log_does_not_have_yet_is_gone(kafka: Kafka, topic: str, tail: Tail) -> None:
    await write(kafka, topic, b"1")
    await tail.open({Partition(topic, 0): 5})
    with pytest.raises(Gone, match="has no offset 5: its log is from 0 to 1"):
        await _read(tail, 1)


async def test_added_partitions_are_read_when_it_is_opened_again(kafka: Kafka, topic: str, tail: Tail) -> None:
    zero, two = Partition(topic, 0), Partition(topic, 2)
    await write(kafka, topic, b"1")
    await tail.open({zero: 0})
    assert await _read(tail, 1) == [b"1"]
    async with kafka.admin() as admin:
        await admin.create_partitions({topic: NewPartitions(3)})
    await tail.open({zero: tail.position(zero) or 0, two: 0})
    await write(kafka, topic, b"2")
    await write(kafka, topic, b"3", partition=2)
    assert sorted(value or b"" for value in await _read(tail, 2)) == [b"2", b"3"]


async def test_what_was_aborted_is_not_seen_and_the_position_passes_it(kafka: Kafka, topic: str, tail: Tail) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"tx-{topic}")
    await producer.start()
    try:
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    zero = Partition(topic, 0)
    await tail.open({zero: 0})
    assert await _read(tail, 1) == [b"committed"]
    async with asyncio.timeout(WITHIN_S):
        while tail.position(zero) != 4:  # two records, two markers
            assert not await tail.fetch(timeout_s=0.2, max_records=10)


async def test_a_cancelled_fetch_loses_nothing(kafka: Kafka, topic: str, tail: Tail) -> None:
    await tail.open({Partition(topic, 0): 0})
    fetching = asyncio.create_task(tail.fetch(timeout_s=10, max_records=10))
    await asyncio.wait([fetching], timeout=0.3)
    fetching.cancel()
    await asyncio.wait([fetching])
    await write(kafka, topic, b"1")
    assert await _read(tail, 1) == [b"1"]


async def test_no_more_bytes_are_taken_than_asked_for_but_one_record_always(
    kafka: Kafka, topic: str, tail: Tail
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, compression_type="gzip") as producer:
        for _ in range(60):  # compressed they are fetched together
            await producer.send(topic, b"v" * 10_000, partition=0)
    await tail.open({Partition(topic, 0): 0})
    counts: list[int] = []
    async with asyncio.timeout(WITHIN_S):
        while sum(counts) < 60:
            records = await tail.fetch(timeout_s=0.5, max_records=100, max_bytes=105_000)
            counts += [len(records)] if records else []
    assert max(counts) <= 11
    assert len(counts) <= 12  # and not one by one
    await tail.open({Partition(topic, 0): 0})
    while not (records := await tail.fetch(timeout_s=0.5, max_records=100, max_bytes=10)):
        pass
    assert len(records) == 1


async def test_asking_for_a_topic_that_is_missing_does_not_make_it(kafka: Kafka, topic: str, tail: Tail) -> None:
    with pytest.raises(KafkaAway):
        await tail.bounds([Partition(f"{topic}-not", 0)], Deadline.after(0.5))
    await tail.open({Partition(f"{topic}-not", 0): 0})
    assert await tail.fetch(timeout_s=0.5, max_records=10) == []
    assert f"{topic}-not" not in await kafka.list_topics()


async def test_a_reader_whose_task_has_died_says_so_and_can_be_opened_again(
    kafka: Kafka, topic: str, tail: Tail
) -> None:
    await tail.open({Partition(topic, 0): 0})
    tail._consumer._fetcher._fetch_task.cancel()  # type: ignore[union-attr]
    with pytest.raises(KafkaAway):
        await _read(tail, 1)
    await write(kafka, topic, b"1")
    await tail.open({Partition(topic, 0): 0})
    assert await _read(tail, 1) == [b"1"]


@pytest.mark.long
async def test_it_goes_on_where_it_was_when_the_broker_is_back(own_kafka: Kafka, topic: str) -> None:
    tail = Tail(settings(own_kafka))
    await tail.open({Partition(topic, 0): 0})
    await write(own_kafka, topic, b"1")
    assert await _read(tail, 1) == [b"1"]
    own_kafka.freeze()
    assert await tail.fetch(timeout_s=0.5, max_records=10) == []
    own_kafka.thaw()
    await write(own_kafka, topic, b"2")
    assert await _read(tail, 1) == [b"2"]
    await own_kafka.restart()
    await write(own_kafka, topic, b"3")
    assert await _read(tail, 1) == [b"3"]
    own_kafka.freeze()
    began_s = time.monotonic()
    await tail.close()
    assert time.monotonic() - began_s < 2


@pytest.mark.long
async def test_a_broker_that_is_away_is_said_to_be(own_kafka: Kafka, topic: str) -> None:
    own_kafka.kill()
    tail = Tail(settings(own_kafka))
    with pytest.raises(KafkaAway):
        await tail.open({Partition(topic, 0): 0})
    with pytest.raises(KafkaAway):
        await tail.bounds([Partition(topic, 0)], Deadline.after(1))
    with pytest.raises(KafkaAway):
        await tail.fetch(timeout_s=0.1, max_records=1)


async def _delete_before(kafka: Kafka, topic: str, offset: int) -> None:
    async with kafka.admin() as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(offset)})
