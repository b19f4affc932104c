"""What is harmed: three replicas of two workers each, on one broker, which read one topic for one group."""

import asyncio
import os
import signal
import uuid
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewPartitions

from tests.bridge import Bridge, is_worker
from tests.chaos.run import troubles
from tests.e2e.configuration import config, consume, produce
from tests.kafka.cluster import Kafka
from tests.kafka.node import free_ports

REPLICAS, WORKERS = 3, 2
PARTITIONS, GROWN = 8, 12
LEASE_MS = 4_000
PATH, WRITE_PATH = "/records", "/written"
PEER_SECRET = "a secret that only these replicas know"
STARTS_WITHIN_S = 60.0
ENDS_WITHIN_S = 30.0


class Replica:
    """A supervisor and its workers."""

    def __init__(self, text: str, directory: Path) -> None:
        directory.mkdir()
        self.bridge = Bridge(text, directory)

    def __repr__(self) -> str:
        return f"<Replica {self.bridge!r} {self.processes}>"

    @property
    def workers(self) -> list[int]:
        """The process ids of those that run, in the order of their numbers."""
        return [pid for _, pid in sorted(self.bridge.workers.items()) if is_worker(pid)]

    @property
    def processes(self) -> list[int]:
        """The supervisor, if it runs, and the workers."""
        return [*([self.bridge.pid] if self.bridge.returncode is None else []), *self.workers]

    async def start(self) -> None:
        """Start it and wait until its workers serve."""
        self.bridge.start("--workers", str(WORKERS))
        await self.bridge.ready(STARTS_WITHIN_S, workers=WORKERS)

    async def end(self) -> None:
        """SIGTERM, and wait for its drain: 1 says that a worker, frozen perhaps, did not take part in it."""
        code = await self.bridge.stop(ENDS_WITHIN_S)
        assert code in (0, 1), f"{self!r} ended with {code}:\n{self.bridge.log[-5_000:]}"

    def kill(self) -> None:
        """SIGKILL to all of it: a supervisor that still ran would start others, a worker without one would drain."""
        if self.bridge.returncode is None:
            self.bridge.signal(signal.SIGSTOP)
        tell(signal.SIGKILL, self.workers)
        self.bridge.kill()


class Stage:
    """`async with` makes the topic, starts the replicas, and ends them. Replicas count from 0."""

    def __init__(self, kafka: Kafka, directory: Path) -> None:
        self.kafka = kafka
        self.topic = self.group = f"replicas-{uuid.uuid4().hex[:8]}"
        self.replicas = [self._replica(directory / f"replica-{number}") for number in range(REPLICAS)]

    def _replica(self, directory: Path) -> Replica:
        read = consume(f"GET {PATH}", self.topic, group=self.group, lease_ms=LEASE_MS)
        write = produce(f"POST {WRITE_PATH}", self.topic, key="{body.sku}")
        peer = {"listen": f"127.0.0.1:{free_ports(WORKERS)}", "secret": PEER_SECRET}
        text = config(self.kafka, read, write, peer=peer, drain={"delay_ms": 300, "timeout_ms": 5_000})
        return Replica(text, directory)

    async def __aenter__(self) -> "Stage":
        await self.kafka.create_topic(self.topic, PARTITIONS)
        try:
            await asyncio.gather(*(replica.start() for replica in self.replicas))
        except BaseException:
            self.kill()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    @property
    def ports(self) -> list[int]:
        return [replica.bridge.port for replica in self.replicas]

    def kill(self) -> None:
        """SIGKILL to everything at once."""
        for replica in self.replicas:
            replica.kill()

    async def restart(self) -> None:
        """Start everything anew after `kill`: all that is known then is what Kafka has."""
        await asyncio.gather(*(replica.start() for replica in self.replicas))

    async def whole(self) -> None:
        """Wait until every worker runs, also where a supervisor is starting one anew."""
        async with asyncio.timeout(STARTS_WITHIN_S):
            while any(len(replica.workers) < WORKERS for replica in self.replicas):
                await asyncio.sleep(0.05)

    async def grow(self) -> None:
        async with self.kafka.admin() as admin:
            await admin.create_partitions({self.topic: NewPartitions(GROWN)})

    async def commits(self) -> list[tuple[str, int, int]]:
        """Of each partition: its name, the group's commit (-1 without), and its end."""
        partitions = [TopicPartition(self.topic, number) for number in await self.kafka.partitions(self.topic)]
        async with self.kafka.admin() as admin:
            offsets = await admin.list_consumer_group_offsets(self.group)
        async with AIOKafkaConsumer(bootstrap_servers=self.kafka.bootstrap) as reader:
            ends = await reader.end_offsets(partitions)
        return [(f"{self.topic}:{p.partition}", offsets[p].offset if p in offsets else -1, ends[p]) for p in partitions]

    def troubles(self) -> Counter[str]:
        """What the bridges warned of in their logs, and how often."""
        return Counter(event for replica in self.replicas for event in troubles(replica.bridge.log))


def tell(number: signal.Signals, workers: Iterable[int], supervisors: Iterable[int] = ()) -> None:
    """To those that are still there."""
    for pid in [*supervisors, *filter(is_worker, workers)]:
        os.kill(pid, number)
