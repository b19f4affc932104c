"""Each engine once on librdkafka's mock cluster, on which the demo runs."""

import asyncio
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from proxy.clock import Deadline
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.member import Member
from proxy.kafka.tail import Tail
from proxy.kafka.topics import Topics
from proxy.record import Partition
from proxy.seams.groups import Committed
from tests.kafka_engines.readers import Session, until

TOPIC = "t"


@pytest.fixture(scope="module")
def broker() -> Iterator[Producer]:
    """The producer carries the cluster: it lives as long as this does."""
    producer = Producer({"test.mock.num.brokers": "1", "bootstrap.servers": "mock", "log_level": 0})
    yield producer
    producer.flush(5)


@pytest.fixture
def mock(broker: Producer) -> KafkaSettings:
    [address] = [f"{each.host}:{each.port}" for each in broker.list_topics(timeout=5).brokers.values()]
    return KafkaSettings(address, session_timeout_ms=6_000)


async def test_topics_are_made_tailed_and_read_for_a_group(broker: Producer, mock: KafkaSettings) -> None:
    zero = Partition(TOPIC, 0)
    async with Topics(mock, [TOPIC], create=True) as topics:
        assert (await topics.find(TOPIC, Deadline.after(10))).partitions == 4
        assert topics.cluster_id()
        for number in range(5):
            broker.produce(TOPIC, b"%d" % number, partition=0)
        await asyncio.to_thread(broker.flush, 5)

        tail = Tail(mock)
        assert await tail.bounds([zero], Deadline.after(5)) == {zero: (0, 5)}
        await tail.open({zero: 2})
        assert [r.value for r in await tail.fetch(timeout_s=5, max_records=10)] == [b"2", b"3", b"4"]
        await tail.close()

        member = Member(mock, topics, "g", [TOPIC])
        async with Session(member) as session:
            await until(lambda: session.values == [b"0", b"1", b"2", b"3", b"4"])
            await member.commit({zero: Committed(3, "m" * 4_000)})
            assert await member.committed([zero]) == {zero: Committed(3, "m" * 4_000)}
            assert not member.is_fenced()
            assert member.end_offset(zero) == 5
