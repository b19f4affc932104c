"""The bridge's way into Kafka without HTTP, and senders that note what they were told: for faults aimed at it."""

import asyncio
import itertools
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord

from proxy.clock import Deadline
from proxy.errors import OutcomeUnknown, ProxyError
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.partitioner import HASHES
from proxy.kafka.producer import Producer
from proxy.kafka.topics import Topics
from proxy.produce.submitter import ProduceQueues
from proxy.record import Record
from tests.chaos.verdict import Found, Outcome, Place, Told, Verdict, judge
from tests.kafka.cluster import Kafka

TIMEOUT_S = 1.0  # of a record
REQUEST_TIMEOUT_MS = 1_000  # after which the client library tries a batch again
RESTS_S = 0.05


class WatchedSettings(KafkaSettings):
    """The settings, and every aiokafka producer that was made with them."""

    made: list[AIOKafkaProducer]

    def producer(self, **more: Any) -> AIOKafkaProducer:
        self.made.append(one := super().producer(**more))
        return one


def watched(kafka: Kafka) -> WatchedSettings:
    settings = WatchedSettings(kafka.bootstrap, request_timeout_ms=REQUEST_TIMEOUT_MS)
    object.__setattr__(settings, "made", [])  # KafkaSettings is frozen
    return settings


@dataclass
class Writer:
    """What a process of the bridge has to write with."""

    topic: str
    settings: WatchedSettings
    producer: Producer
    queues: ProduceQueues
    began_s: float = field(default_factory=time.monotonic)
    told: list[Told] = field(default_factory=list)

    @property
    def now_s(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began_s

    def written(self, key: str | None = None) -> list[Told]:
        """What was answered *written*, of one key or of all."""
        return [told for told in self.told if told.outcome is Outcome.WRITTEN and key in (None, told.key)]

    async def send(self, key: str, name: str) -> Told:
        value = json.dumps({"id": name}).encode()
        try:
            record = Record(self.topic, key.encode(), value)
            receipt = await self.queues.submit(record, Deadline.after(TIMEOUT_S))
        except ProxyError as error:
            outcome = Outcome.UNKNOWN if isinstance(error, OutcomeUnknown) else Outcome.NOT_WRITTEN
            told = Told(name, key, outcome, self.now_s, why=error.code)
        else:
            place = Place(receipt.topic, receipt.partition, receipt.offset)
            told = Told(name, key, Outcome.WRITTEN, self.now_s, place)
        self.told.append(told)
        return told

    @asynccontextmanager
    async def sending(self, keys: Sequence[str]) -> AsyncIterator[None]:
        """A sender for each key. On leaving, each has had the answer to its last record."""
        over = asyncio.Event()

        async def until_over(key: str) -> None:
            for number in itertools.count():
                if over.is_set():
                    return
                if (await self.send(key, f"{key}-{number}")).outcome is not Outcome.WRITTEN:
                    await asyncio.sleep(RESTS_S)

        async with asyncio.TaskGroup() as group:
            for key in keys:
                group.create_task(until_over(key))
            try:
                yield
            finally:
                over.set()

    def verdict(self, log: Sequence[ConsumerRecord[bytes, bytes]]) -> Verdict:
        return judge(self.told, [found(record) for record in log], lasted_s=self.now_s)


@asynccontextmanager
async def writer(kafka: Kafka, topic: str) -> AsyncIterator[Writer]:
    """Wired as in `proxy/app.py`."""
    settings = watched(kafka)
    async with Topics(settings, [topic]) as topics, Producer(settings, on_refused=topics.recheck) as producer:
        queues = ProduceQueues(topics, producer, {topic: HASHES["murmur2"]})
        try:
            yield Writer(topic, settings, producer, queues)
        finally:
            await queues.close()


def found(record: ConsumerRecord[bytes, bytes]) -> Found:
    place = Place(record.topic, record.partition, record.offset)
    return Found(json.loads(record.value or b"{}")["id"], (record.key or b"").decode(), place)


async def until(true: Callable[[], object], within_s: float = 15.0) -> float:
    """Wait for it; returns the seconds it took. Raises AssertionError when that takes longer."""
    began_s = time.monotonic()
    while not true():
        assert time.monotonic() - began_s < within_s, f"not within {within_s:g} s"
        await asyncio.sleep(0.01)
    return time.monotonic() - began_s
