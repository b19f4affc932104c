"""What a member does, and what is left, when the broker freezes, dies, or hands out something damaged."""

import asyncio
import gc
import time
from functools import partial
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from proxy.errors import KafkaAway
from proxy.kafka.member import Member
from proxy.record import Partition
from proxy.seams.groups import Committed
from tests.kafka.cluster import Kafka
from tests.kafka_engines.readers import Session, knowing, settings, until, write


@pytest.mark.long
async def test_a_frozen_broker_fences_the_member_and_nothing_is_lost_when_it_is_back(
    own_kafka: Kafka, topic: str
) -> None:
    async with knowing(own_kafka, topic) as topics:
        member = Member(settings(own_kafka), topics, f"g-{topic}", [topic])
        async with Session(member, commits=True) as session:
            await write(own_kafka, topic, b"1", b"2")
            await until(lambda: session.values == [b"1", b"2"])
            await member.commit({Partition(topic, 0): Committed(2, "")})
            assert not member.is_fenced()
            own_kafka.freeze()
            took_s = await until(member.is_fenced)
            assert 4 < took_s < 8, "the session timeout is 6 s"
            with pytest.raises(KafkaAway):
                await member.commit({Partition(topic, 0): Committed(2, "")})
            own_kafka.thaw()
            await until(lambda: not member.is_fenced() and session.mine)
            await write(own_kafka, topic, b"3")
            await until(lambda: session.values == [b"1", b"2", b"3"])


async def test_a_broker_that_dies_and_comes_back_loses_and_repeats_nothing(own_kafka: Kafka, topic: str) -> None:
    async with knowing(own_kafka, topic) as topics:
        member = Member(settings(own_kafka), topics, f"g-{topic}", [topic])
        async with Session(member, commits=True) as session:
            await write(own_kafka, topic, *(b"%d" % n for n in range(50)))
            await until(lambda: len(session.values) == 50)
            await member.commit({Partition(topic, 0): Committed(50, "x")})
            own_kafka.kill()
            with pytest.raises(KafkaAway):
                await member.commit({Partition(topic, 0): Committed(50, "y")})
            await own_kafka.restart()
            await write(own_kafka, topic, *(b"%d" % n for n in range(50, 100)))
            await until(lambda: len(session.values) >= 100)
            assert session.values == [b"%d" % n for n in range(100)]
            assert (await member.committed([Partition(topic, 0)]))[Partition(topic, 0)].offset == 50


async def test_closing_on_a_frozen_broker_is_bounded_and_leaves_nothing_open(
    own_kafka: Kafka, topic: str, recwarn: pytest.WarningsRecorder
) -> None:
    complaints: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(str(context)))
    before = asyncio.all_tasks()
    async with knowing(own_kafka, topic) as topics:
        member = Member(settings(own_kafka), topics, f"g-{topic}", [topic])
        async with Session(member) as session:
            await until(partial(bool, session.mine))
            own_kafka.freeze()
            began_s = time.monotonic()
            await session.leave()
            assert time.monotonic() - began_s < 4
            await member.close()
        own_kafka.thaw()
    await until(lambda: asyncio.all_tasks() == before)
    del member, session
    gc.collect()
    assert complaints == []
    assert [str(warning.message) for warning in recwarn] == []


@pytest.mark.long
async def test_a_group_is_not_joined_while_kafka_is_away_and_nothing_stays_open(own_kafka: Kafka, topic: str) -> None:
    async with knowing(own_kafka, topic) as topics:
        own_kafka.kill()
        member = Member(settings(own_kafka), topics, f"g-{topic}", [topic])
        with pytest.raises(KafkaAway, match="could not be joined"):
            await member.open(Session(member))
        await own_kafka.restart()
        async with Session(member) as session:
            await until(lambda: len(session.mine) == 2)


@pytest.mark.parametrize("task", ["_fetch_task", "_coordination_task", "_heartbeat_task"])
async def test_a_consumer_whose_task_has_died_is_replaced_and_nothing_is_lost(
    kafka: Kafka, topic: str, task: str
) -> None:
    async with knowing(kafka, topic) as topics:
        member = Member(settings(kafka), topics, f"g-{topic}", [topic])
        async with Session(member, commits=True) as session:
            await write(kafka, topic, b"1")
            await until(lambda: session.values == [b"1"])
            broken = member._membership
            assert broken is not None
            consumer = broken._consumer
            owner = consumer._fetcher if task == "_fetch_task" else consumer._coordinator
            if task == "_heartbeat_task":  # one that has died of an answer it does not know
                consumer._coordinator._do_heartbeat = _fail
            else:
                getattr(owner, task).cancel()
            await until(lambda: member._membership not in (None, broken) and session.mine)
            await write(kafka, topic, b"2")
            await until(lambda: session.values == [b"1", b"2"])


async def _fail() -> bool:
    raise RuntimeError("unexpected")


async def test_a_batch_damaged_on_disk_is_stepped_over_and_all_around_it_is_read(own_kafka: Kafka, topic: str) -> None:
    for value in (b"before", b"good", b"DAMAGED", b"after"):
        await write(own_kafka, topic, value)
    await write(own_kafka, topic, b"elsewhere", partition=1)
    [log] = _segments(own_kafka, topic)
    _overwrite(log, b"DAMAGED", b"DaMAGED")
    async with knowing(own_kafka, topic) as topics:
        member = Member(settings(own_kafka), topics, f"g-{topic}", [topic])
        async with Session(member) as session:
            await until(lambda: len(session.values) == 4)
            assert sorted(value or b"" for value in session.values) == [b"after", b"before", b"elsewhere", b"good"]
            assert member.skipped_batches == 1


async def test_a_damaged_batch_of_many_records_at_the_end_of_the_log_is_stepped_over(
    own_kafka: Kafka, topic: str
) -> None:
    async with AIOKafkaProducer(bootstrap_servers=own_kafka.bootstrap) as producer:
        await producer.send_and_wait(topic, b"before", partition=0)
        batch = producer.create_batch()
        for _ in range(5):
            batch.append(key=None, value=b"DAMAGED", timestamp=None)
        await (await producer.send_batch(batch, topic, partition=0))
        [log] = _segments(own_kafka, topic)
        _overwrite(log, b"DAMAGED", b"DaMAGED")
        async with knowing(own_kafka, topic) as topics:
            member = Member(settings(own_kafka), topics, f"g-{topic}", [topic])
            async with Session(member) as session:
                await until(lambda: member.skipped_batches == 5)  # its header is not believed: offset by offset
                await producer.send_and_wait(topic, b"after", partition=0)
                await until(lambda: session.values == [b"before", b"after"])


def _segments(kafka: Kafka, topic: str) -> list[Path]:
    """The files of partition 0."""
    [node] = kafka.nodes
    return list((node.directory / "data" / f"{topic}-0").glob("*.log"))


def _overwrite(log: Path, good: bytes, bad: bytes) -> None:
    """The first occurrence, in place: the broker does not look at what it sends."""
    with log.open("r+b") as file:
        at = file.read().index(good)
        file.seek(at)
        file.write(bad)
