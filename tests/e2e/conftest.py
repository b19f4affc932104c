"""What the tests of the whole bridge share: a bridge a module, and, for readers, a topic with a group that reads it."""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

import httpx
import pytest
import pytest_asyncio

from tests.bridge import LOGS
from tests.e2e.client import client
from tests.e2e.configuration import consume
from tests.e2e.reader import Reader
from tests.e2e.records import Commit, Put, committed, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka


@pytest.fixture(scope="module")
def sections() -> dict[str, Any]:
    """What a module's bridge has in its file beside routes. A module may say otherwise."""
    return {}


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    """How many topics of one partition, and of two, a module's tests need. A module may say otherwise."""
    return {1: 10, 2: 10}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def module_bridge(
    kafka: Kafka, tmp_path_factory: pytest.TempPathFactory, spare: dict[int, int], sections: dict[str, Any]
) -> AsyncIterator[SharedBridge]:
    """Use `shared`. It ends as every bridge should: by SIGTERM, with 0."""
    one = SharedBridge(kafka, tmp_path_factory.mktemp("bridge"), spare, sections)
    try:
        await one.start()
        yield one
        assert await one.process.stop() == 0, one.process.log
    finally:
        one.process.kill()


@pytest_asyncio.fixture
async def shared(request: pytest.FixtureRequest, module_bridge: SharedBridge) -> AsyncIterator[SharedBridge]:
    """The module's bridge, with no routes but what the test adds. Its log is shown when the test fails."""
    request.node.stash.setdefault(LOGS, []).append(module_bridge.process.log_path)
    assert module_bridge.process.returncode is None, "an earlier test has ended the bridge"
    yield module_bridge
    await module_bridge.clear()


@pytest.fixture
def topic(shared: SharedBridge) -> str:
    """The name of a topic of 2 partitions that nobody has used."""
    return shared.topic()


@pytest.fixture
def name() -> str:
    """A name of the test's own, for a topic that nobody has made, or a group."""
    return f"e2e-{uuid.uuid4().hex[:12]}"


@pytest_asyncio.fixture
async def http(shared: SharedBridge) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the module's bridge."""
    async with client(shared.base_url) as one:
        yield one


@dataclass(frozen=True, slots=True)
class Work:
    """A topic, a group that reads it through the module's bridge, and a client of its route."""

    kafka: Kafka
    topic: str
    group: str
    path: str
    reader: Reader

    async def write(self, *records: Put | bytes) -> None:
        await write(self.kafka, self.topic, *records)

    async def committed(self, partition: int = 0) -> Commit | None:
        return await committed(self.kafka, self.group, self.topic, partition)


StartWork = Callable[..., Awaitable[Work]]


@pytest_asyncio.fixture
async def work(kafka: Kafka, shared: SharedBridge) -> AsyncIterator[StartWork]:
    """`await work(b"1", b"2", lease_ms=500)`: a topic of one partition with these records, and a group to read it."""
    readers = []

    async def start(*records: Put | bytes, partitions: Literal[1, 2] = 1, **keys: Any) -> Work:
        topic = shared.topic(partitions)
        group, path = f"group-of-{topic}", f"/{topic}"
        if records:
            await write(kafka, topic, *records)
        await shared.add(consume(f"GET {path}", topic, group=group, **keys))
        readers.append(Reader(shared.base_url, path))
        return Work(kafka, topic, group, path, readers[-1])

    yield start
    for reader in readers:
        await reader.http.aclose()
