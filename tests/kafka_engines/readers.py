"""What the tests of the engines share: settings, a producer, and a session that writes down what it is told."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaProducer

from proxy.clock import Deadline
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.member import Member
from proxy.kafka.topics import Topics
from proxy.record import Fetched, Partition
from proxy.seams.groups import Committed
from tests.kafka.cluster import Kafka

WITHIN_S = 20.0


def settings(kafka: Kafka) -> KafkaSettings:
    return KafkaSettings(kafka.bootstrap, session_timeout_ms=6_000, request_timeout_ms=3_000)


async def until(true: Callable[[], object], within_s: float = WITHIN_S) -> float:
    """Wait for it; returns the seconds it took. Raises AssertionError when it does not become true in time."""
    began_s = time.monotonic()
    while not true():
        assert time.monotonic() - began_s < within_s, f"not within {within_s:g} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began_s


async def write(kafka: Kafka, topic: str, *values: bytes, partition: int = 0) -> None:
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for value in values:
            await producer.send_and_wait(topic, value, partition=partition)


class Session:
    """A member's listener that fetches in a task of its own, as a real session does."""

    def __init__(self, member: Member, *, commits: bool = False) -> None:
        self.member = member
        self.mine: set[Partition] = set()
        self.told: list[tuple[str, list[Partition]]] = []
        self.records: list[Fetched] = []
        self.commits = commits
        self._next: dict[Partition, int] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def values(self) -> list[bytes | None]:
        return [record.value for record in self.records]

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        self.told.append(("revoked", list(partitions)))
        if self.commits and self._next:
            await self.member.commit({p: Committed(offset, "") for p, offset in self._next.items()})
        self.mine.clear()
        self._next.clear()

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        found = await self.member.committed(partitions)
        for partition, commit in found.items():
            self.member.seek(partition, commit.offset)
        self.told.append(("assigned", list(partitions)))
        self.mine.update(partitions)

    async def _fetch(self) -> None:
        while True:
            for record in await self.member.fetch(timeout_s=0.5, max_records=100):
                partition = Partition(record.topic, record.partition)
                assert partition in self.mine, f"{record} of {partition}, which is not ours"
                self.records.append(record)
                self._next[partition] = record.offset + 1

    async def __aenter__(self) -> "Session":
        await self.member.open(self)
        self._task = asyncio.create_task(self._fetch())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()

    async def leave(self) -> None:
        """As a worker that drains: the last commit, then away. Raises what the fetching task has raised."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
        await self.member.close()
        if task is not None and not task.cancelled():
            task.result()


@asynccontextmanager
async def knowing(kafka: Kafka, *names: str, create: bool = False) -> AsyncIterator[Topics]:
    """Topics that have been looked at once."""
    async with Topics(settings(kafka), names, create=create, refresh_s=1.0) as topics:
        for name in names:
            await topics.find(name, Deadline.after(10))
        yield topics


def owners(*sessions: Session) -> Mapping[Partition, int]:
    """How many of the sessions have each partition."""
    return {p: sum(p in each.mine for each in sessions) for p in set().union(*(each.mine for each in sessions))}
