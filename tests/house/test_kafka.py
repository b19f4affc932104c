"""The harness itself: what other tests rely on."""

import pytest
from aiokafka import AIOKafkaProducer

from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll


async def _write(kafka: Kafka, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, acks="all") as producer:
        for number, value in enumerate(values):
            await producer.send_and_wait(topic, value, partition=number % 2)


async def test_a_topic_is_read_to_its_end_partition_by_partition(
    kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    await _write(kafka, topic, b"1", b"2", b"3")
    assert [record.value for record in await consume_all(topic)] == [b"1", b"3", b"2"]


async def test_reading_a_topic_that_does_not_exist_says_so_and_does_not_make_it(
    kafka: Kafka, consume_all: ConsumeAll
) -> None:
    with pytest.raises(RuntimeError, match="nowhere does not exist"):
        await consume_all("nowhere")
    assert "nowhere" not in await kafka.list_topics()


async def test_a_topic_is_made_by_producing_to_it_unless_the_bridge_prevents_that(kafka: Kafka) -> None:
    """Kafka's default, kept on purpose: only so can a test prove that the bridge creates nothing."""
    await _write(kafka, "made-by-use", b"1")
    assert "made-by-use" in await kafka.list_topics()
    await kafka.delete_topic("made-by-use")


@pytest.mark.long
async def test_a_killed_broker_comes_back_on_its_port_with_its_records(own_kafka: Kafka, topic: str) -> None:
    await _write(own_kafka, topic, b"before")
    bootstrap = own_kafka.bootstrap
    own_kafka.kill()
    await own_kafka.restart()
    assert own_kafka.bootstrap == bootstrap
    assert [record.value for record in await own_kafka.consume_all(topic)] == [b"before"]


async def test_a_frozen_broker_answers_again_when_thawed(own_kafka: Kafka, topic: str) -> None:
    own_kafka.freeze()
    with pytest.raises(RuntimeError, match="did not answer within 1 s"):
        await own_kafka.answers(within_s=1)
    own_kafka.thaw()
    await _write(own_kafka, topic, b"after")


@pytest.mark.long
async def test_three_brokers_take_writes_while_one_is_down(cluster: Kafka) -> None:
    await cluster.create_topic("t", 2)
    cluster.kill(2)
    await _write(cluster, "t", b"1", b"2")
    assert len(await cluster.consume_all("t")) == 2
    await cluster.restart(2)
