"""Changes of stage over a real Kafka: several replicas' controls in one process, on one control topic."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio

from proxy.config.model import Config
from proxy.errors import TopicMissing
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.internal import COMPACTED, make_internal
from proxy.kafka.producer import Producer
from proxy.kafka.tail import Tail
from proxy.kafka.topics import Topics
from proxy.migrate.changing import Wish
from proxy.migrate.refusals import ChangeLost
from proxy.migrate.stages import Setting
from proxy.migrations import Migrations
from proxy.produce.submitter import ProduceQueues
from proxy.steering import Steering
from tests.kafka.cluster import Kafka
from tests.unit.wait import until


def configuration(kafka: Kafka, prefix: str, stage: str = "legacy") -> Config:
    return Config.model_validate(
        {
            "kafka": {"bootstrap_servers": kafka.bootstrap, "internal": {"prefix": prefix}},
            "auth": "none",
            "upstreams": {"old": {"url": "http://127.0.0.1:1"}},
            "routes": [
                {
                    "route": "POST /orders",
                    "name": "orders",
                    "upstream": "old",
                    "migrate": {"stage": stage},
                    "produce": {"topic": "orders"},
                }
            ],
        }
    )


class Replicas:
    """Migrations of one process each, as `app.py` wires them."""

    def __init__(self, kafka: Kafka) -> None:
        self.prefix = f"p{uuid.uuid4().hex[:8]}"
        self._kafka = kafka
        self._stack = AsyncExitStack()

    async def add(self, worker: int) -> Steering:
        settings = KafkaSettings(self._kafka.bootstrap)
        enter = self._stack.enter_async_context
        topics = await enter(Topics(settings))
        producer = await enter(Producer(settings, on_error=lambda *_: None, on_refused=topics.recheck))
        queues = ProduceQueues(topics, producer, {})
        self._stack.push_async_callback(queues.close)
        config = configuration(self._kafka, self.prefix)
        migrations = await enter(Migrations(config, settings, topics, lambda: Tail(settings), queues, worker=worker))
        migrations.follow(config)
        return Steering(migrations.control, config.kafka.internal.migrations)

    async def close(self) -> None:
        await self._stack.aclose()


@pytest_asyncio.fixture
async def replicas(kafka: Kafka) -> AsyncIterator[Replicas]:
    made = Replicas(kafka)
    yield made
    await made.close()


def stage(replica: Steering) -> str:
    return str(replica.control.standing("orders").setting)


async def test_a_change_reaches_all_and_is_there_for_those_who_come_later(replicas: Replicas) -> None:
    first, second = await replicas.add(0), await replicas.add(1)
    await until(lambda: first.control.is_fresh and second.control.is_fresh)
    done = await first.change(Wish("orders", Setting("shadow", 2_500), who="ann", why="to see"))
    assert len(done["confirmed"]) == 2
    assert done["unconfirmed"] == []
    assert (stage(first), stage(second)) == ("shadow 25%", "shadow 25%")
    third = await replicas.add(2)
    await until(lambda: third.control.is_fresh)
    assert third.stage("orders") == {"stage": "shadow", "rollout": "25%", "source": "control topic"}
    [change] = third.one("orders")["history"]
    assert (change["who"], change["why"], change["outcome"], change["epoch"]) == ("ann", "to see", "activated", 1)


async def test_of_two_changes_at_once_one_is_lost(replicas: Replicas) -> None:
    first, second = await replicas.add(0), await replicas.add(1)
    await until(lambda: first.control.is_fresh and second.control.is_fresh)
    results = await asyncio.gather(
        first.change(Wish("orders", Setting("shadow"), who="ann")),
        second.change(Wish("orders", Setting("shadow", 5_000), who="bob")),
        return_exceptions=True,
    )
    assert sum(isinstance(each, ChangeLost) for each in results) == 1, results
    assert stage(first) == stage(second) != "legacy"


async def test_the_topic_is_compacted_and_has_no_more_replicas_than_there_are_brokers(kafka: Kafka) -> None:
    settings, name = KafkaSettings(kafka.bootstrap), f"c{uuid.uuid4().hex[:8]}.migrations"
    with pytest.raises(TopicMissing, match=r"cleanup\.policy=compact"):
        await make_internal(settings, name, COMPACTED, partitions=1, replication=3, create=False)
    await make_internal(settings, name, COMPACTED, partitions=1, replication=3, create=True)
    await make_internal(settings, name, COMPACTED, partitions=1, replication=3, create=False)
    async with Topics(settings, [name]) as topics:
        await until(lambda: topics.state().reachable)
        topic = topics.get(name)
    assert (topic.partitions, topic.replicas, topic.compacted) == (1, 1, True)
