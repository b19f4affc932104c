"""A Kafka that does what the test says: batches wait until they are answered, refused, or never."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from proxy.clock import Deadline
from proxy.errors import TopicMissing
from proxy.record import Partition, Record, Topic
from proxy.seams.produce import Batch, Written


@dataclass
class ScriptedBatch:
    most: int
    poison: bytes | None = None
    records: list[Record] = field(default_factory=list)
    timestamps: list[int] = field(default_factory=list)

    def append(self, record: Record, timestamp_ms: int) -> bool:
        if len(self.records) >= self.most:
            return False
        if record.value == self.poison:
            raise ValueError("cannot be encoded")
        self.records.append(record)
        self.timestamps.append(timestamp_ms)
        return True


@dataclass
class Sent:
    """One batch that Kafka has, and the answer the test gives it."""

    values: list[bytes | None]
    partition: Partition
    answer: "asyncio.Future[Written]"


class ScriptedBatches:
    """`seams.Batches`. `sent` holds each batch handed over, in order."""

    def __init__(self, *, most: int = 1_000, poison: bytes = b"\0") -> None:
        self.sent: list[Sent] = []
        self.is_ready = asyncio.Event()
        self.is_ready.set()
        self._most = most
        self._poison = poison
        self._arrived = asyncio.Condition()

    async def ready(self) -> None:
        await self.is_ready.wait()

    def open(self, topic: Topic) -> Batch:
        return ScriptedBatch(self._most, self._poison)

    async def send(self, batch: Batch, partition: Partition) -> Written:
        assert isinstance(batch, ScriptedBatch)
        answer: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        async with self._arrived:
            self.sent.append(Sent([r.value for r in batch.records], partition, answer))
            self._arrived.notify_all()
        return await answer

    async def until(self, count: int) -> Sent:
        """The `count`th batch, as soon as it was handed over."""
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: len(self.sent) >= count)
        return self.sent[count - 1]


class KnownTopics:
    """`seams.Topics` of topics that are just there."""

    def __init__(self, *topics: Topic) -> None:
        self.topics: Mapping[str, Topic] = {topic.name: topic for topic in topics}

    def get(self, name: str) -> Topic:
        if name not in self.topics:
            raise TopicMissing(f"no {name}")
        return self.topics[name]

    async def find(self, name: str, deadline: Deadline) -> Topic:
        return self.get(name)

    def cluster_id(self) -> str:
        return "scripted"
