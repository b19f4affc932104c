"""What is known of topics, on a real broker, and what is said while it is away. No topic comes into being by asking."""

import time

import pytest
from aiokafka.admin import NewPartitions

from proxy.clock import Deadline
from proxy.errors import KafkaAway, TopicMissing
from proxy.kafka.topics import Topics
from proxy.record import Topic
from tests.kafka.cluster import Kafka
from tests.kafka_engines.readers import knowing, settings, until


async def test_a_topic_s_settings_are_known(kafka: Kafka, topic: str) -> None:
    name = f"{topic}-set"
    config = {
        "max.message.bytes": "20000",
        "cleanup.policy": "compact,delete",
        "message.timestamp.type": "LogAppendTime",
        "min.insync.replicas": "1",
    }
    await kafka.create_topic(name, 3, config, replicas=1)
    async with knowing(kafka, name, topic) as topics:
        assert topics.get(name) == Topic(name, 3, 20_000, True, True, 1, 1)
        assert topics.get(topic).max_message_bytes == 1_048_588
        assert not topics.get(topic).compacted


async def test_a_missing_topic_is_said_to_be_missing_and_not_made(kafka: Kafka, topic: str) -> None:
    async with knowing(kafka, topic) as topics:
        with pytest.raises(TopicMissing, match=f"Topic '{topic}-not' does not exist"):
            await topics.find(f"{topic}-not", Deadline.after(10))
        with pytest.raises(TopicMissing):
            topics.get(f"{topic}-not")
        assert topics.state().missing == (f"{topic}-not",)
    assert f"{topic}-not" not in await kafka.list_topics()


async def test_a_topic_that_appears_is_found_by_looking_and_noticed_without(kafka: Kafka, topic: str) -> None:
    async with knowing(kafka, topic) as topics:
        await kafka.create_topic(f"{topic}-a")
        assert (await topics.find(f"{topic}-a", Deadline.after(10))).partitions == 1
        topics.watch([f"{topic}-b"])
        await kafka.create_topic(f"{topic}-b")
        await until(lambda: f"{topic}-b" not in topics.state().missing)


async def test_all_who_miss_a_topic_look_together_once_a_second(kafka: Kafka, topic: str) -> None:
    async with knowing(kafka, topic) as topics:
        began_s = time.monotonic()
        for _ in range(20):
            with pytest.raises(TopicMissing):
                await topics.find(f"{topic}-not", Deadline.after(10))
        assert time.monotonic() - began_s < 2, "an answer younger than a second is good enough"


async def test_a_missing_topic_is_made_with_the_broker_s_defaults_where_that_was_asked_for(
    kafka: Kafka, topic: str
) -> None:
    async with knowing(kafka, create=True) as topics:
        made = await topics.find(f"{topic}-made", Deadline.after(10))
        assert (made.partitions, made.replicas) == (1, 1)
        topics.watch([f"{topic}-watched"])  # nobody has looked for this one
        assert await topics.find(f"{topic}-made", Deadline.after(10)) == made
    assert f"{topic}-made" in await kafka.list_topics()
    assert f"{topic}-watched" not in await kafka.list_topics()


async def test_partitions_that_are_added_and_topics_that_are_deleted_are_noticed(kafka: Kafka, topic: str) -> None:
    async with knowing(kafka, topic) as topics:
        async with kafka.admin() as admin:
            await admin.create_partitions({topic: NewPartitions(4)})
        await until(lambda: topics.get(topic).partitions == 4)
        await kafka.delete_topic(topic)
        await until(lambda: topic in topics.state().missing)
        with pytest.raises(TopicMissing):
            topics.get(topic)


async def test_kafka_may_be_away_at_the_start_and_later(own_kafka: Kafka, topic: str) -> None:
    own_kafka.kill()
    async with Topics(settings(own_kafka), [topic], refresh_s=0.5) as topics:
        with pytest.raises(KafkaAway):
            await topics.find(topic, Deadline.after(0.5))
        for ask in (lambda: topics.get(topic), topics.cluster_id):
            with pytest.raises(KafkaAway):
                ask()
        assert not topics.state().reachable
        await own_kafka.restart()
        await until(lambda: topics.state().reachable)
        assert topics.get(topic).partitions == 2
        state = topics.state()
        assert (state.brokers, state.cluster_id, state.missing) == (1, topics.cluster_id(), ())
        own_kafka.freeze()
        await until(lambda: not topics.state().reachable)
        assert topics.get(topic).partitions == 2, "what was last known stays known"
        assert topics.state().since_ms > state.since_ms
        own_kafka.thaw()
        await until(lambda: topics.state().reachable)


async def test_a_look_ends_at_its_deadline_on_a_frozen_broker(own_kafka: Kafka, topic: str) -> None:
    async with knowing(own_kafka, topic) as topics:
        own_kafka.freeze()
        began_s = time.monotonic()
        with pytest.raises(TopicMissing):
            await topics.find(f"{topic}-not", Deadline.after(0.5))
        assert time.monotonic() - began_s < 2
