"""The broker as pytest fixtures: `kafka`, `own_kafka`, `cluster`, `topic`, `consume_all`.

KAFKA_BOOTSTRAP_SERVERS points the tests at another cluster; what must kill its broker is then NOT RUN (tests/needs.py).
"""

import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from aiokafka import ConsumerRecord

from tests.kafka.cluster import Kafka

ConsumeAll = Callable[[str], Awaitable[list[ConsumerRecord[bytes, bytes]]]]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def kafka(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """The session's broker: shared, so use topics and groups of your own, and leave it as it was."""
    if elsewhere := os.environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        yield Kafka.at(elsewhere)
        return
    async with Kafka(tmp_path_factory.mktemp("broker")) as ours:
        yield ours


@pytest_asyncio.fixture
async def own_kafka(kafka: Kafka) -> AsyncIterator[Kafka]:
    """The session's broker, to be killed, frozen, restarted; afterwards it runs and answers again."""
    yield kafka
    await kafka.mend()


@pytest_asyncio.fixture
async def cluster(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Kafka]:
    """Three brokers of the test's own: replication 3, two in sync. 1 GB and 10 seconds, so only for what needs it."""
    async with Kafka(tmp_path_factory.mktemp("cluster"), brokers=3) as three:
        yield three


@pytest_asyncio.fixture
async def topic(kafka: Kafka) -> str:
    """The name of a fresh topic of 2 partitions."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    await kafka.create_topic(name, 2)
    return name


@pytest.fixture
def consume_all(kafka: Kafka) -> ConsumeAll:
    """Read a topic to its end: `await consume_all(topic)`."""
    return kafka.consume_all
