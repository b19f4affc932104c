"""A Kafka cluster for tests: one broker, or three for fault tests, or one that somebody else runs.

Every call opens its own connection: a `Kafka` belongs to no event loop, so that one broker serves all tests.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from tests.kafka.node import Guard, Node

ANSWERS_WITHIN_S = 60.0
PROBE_S = 3.0
TRIES = 3  # a free port may be taken by another process before Kafka binds it


class Kafka:
    """`brokers` nodes under `directory`; none, but an address, if the cluster is not ours to start or kill.

    `fronts` are ports of proxies, one a broker, each of which leads to its node's `behind_port`.
    """

    def __init__(
        self, directory: Path, *, brokers: int = 1, fronts: Sequence[int] = (), guard: Guard | None = None
    ) -> None:
        self.nodes: list[Node] = []
        self.bootstrap = ""
        self._directory, self._brokers, self._guard = directory, brokers, guard
        self._fronts: Sequence[int | None] = fronts or [None] * brokers

    @classmethod
    def at(cls, bootstrap: str) -> "Kafka":
        """A cluster that is there already. Its topics are not deleted; it cannot be killed."""
        kafka = cls(Path(), brokers=0)
        kafka.bootstrap = bootstrap
        return kafka

    def __repr__(self) -> str:
        return f"<Kafka {self.bootstrap} {self.nodes}>"

    @property
    def ours(self) -> bool:
        return self._brokers > 0

    # ---- its life

    async def __aenter__(self) -> "Kafka":
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.stop()

    async def start(self) -> None:
        """Format, start, and wait until it answers. Raises RuntimeError with the end of its log."""
        for attempt in range(1, TRIES + 1):
            try:
                self._launch(self._directory / f"start-{attempt}")
                await self.answers()
                return
            except BaseException as failed:
                self.stop()
                if "Address already in use" not in str(failed) or attempt == TRIES:
                    raise

    def stop(self) -> None:
        """End all nodes; their logs stay, their data does not."""
        for node in self.nodes:
            node.kill()
            node.clear()

    async def answers(self, within_s: float = ANSWERS_WITHIN_S) -> None:
        """Wait until every running broker is listed by the cluster and a topic could be made."""
        until_s = time.monotonic() + within_s
        expected = sum(node.running for node in self.nodes) or 1
        while await self._listed(min(PROBE_S, within_s)) < expected:
            for node in self.nodes:
                node.check()
            if time.monotonic() > until_s:
                tails = "\n".join(f"{node.log}:\n{node.tail()}" for node in self.nodes)
                raise RuntimeError(f"{self!r} did not answer within {within_s:g} s.\n{tails}")
            await asyncio.sleep(0.1)

    # ---- its faults; `node` counts from 0

    def kill(self, node: int = 0) -> None:
        self._own(node).kill()

    def freeze(self, node: int = 0) -> None:
        self._own(node).freeze()

    def thaw(self, node: int = 0) -> None:
        self._own(node).thaw()

    async def restart(self, node: int = 0) -> None:
        """Kill it if it runs, start it on the same port and data, and wait until the cluster answers."""
        self._own(node).kill()
        self._own(node).start()
        await self.answers()

    async def mend(self) -> None:
        """Undo what a test left: all nodes thawed, running, answering."""
        for node in self.nodes:
            if node.running:
                node.thaw()
            else:
                node.kill()
                node.start()
        await self.answers()

    # ---- its topics

    async def create_topic(
        self, name: str, partitions: int = 1, config: Mapping[str, str] | None = None, replicas: int | None = None
    ) -> None:
        """Make a topic and wait until it has its leaders. `replicas` None: one a broker, at most 3."""
        copies = replicas or max(1, min(3, len(self.nodes)))
        topic = NewTopic(name, partitions, copies, topic_configs=dict(config or {}))
        async with self.admin() as admin:
            answer = await admin.create_topics([topic])
        for _, code, message, *_ in answer.topic_errors:
            if code:
                raise RuntimeError(f"topic {name} was not made: {message or code}")
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            while len(await self.partitions(name)) < partitions:
                await asyncio.sleep(0.05)

    async def list_topics(self) -> set[str]:
        """All topics but Kafka's own. Asking makes none."""
        return {name for name in await self._topics() if not name.startswith("__")}

    async def partitions(self, name: str) -> list[int]:
        """The topic's partitions that have a leader; none if it does not exist (to ask by its name would make it)."""
        return (await self._topics()).get(name, [])

    async def delete_topic(self, name: str) -> None:
        async with self.admin() as admin:
            await admin.delete_topics([name])

    async def consume_all(self, topic: str, *, within_s: float = 20.0) -> list[ConsumerRecord[bytes, bytes]]:
        """Every committed record of the topic up to its end as it is now, partition after partition, in order."""
        partitions = [TopicPartition(topic, number) for number in await self.partitions(topic)]
        if not partitions:
            raise RuntimeError(f"topic {topic} does not exist")
        reader = AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, isolation_level="read_committed", enable_auto_commit=False
        )
        async with asyncio.timeout(within_s), reader:
            return await _read_to_end(reader, partitions)

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        try:
            await admin.start()
            yield admin
        finally:
            await admin.close()

    # ---- inside

    def _own(self, node: int) -> Node:
        if not self.ours:
            raise RuntimeError(f"{self.bootstrap} is not ours to kill; ask for the fixture own_kafka")
        return self.nodes[node]

    def _launch(self, directory: Path) -> None:
        self.nodes = [
            Node(n, directory / f"node-{n}", front_port=front, guard=self._guard)
            for n, front in enumerate(self._fronts, start=1)
        ]
        self.bootstrap = ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)
        voters = ",".join(f"{node.id}@127.0.0.1:{node.controller_port}" for node in self.nodes)
        for node in self.nodes:
            node.format(voters, self._brokers)
        for node in self.nodes:
            node.start()

    async def _listed(self, within_s: float) -> int:
        """How many brokers the cluster lists; 0 if it does not answer in that time."""
        try:
            async with asyncio.timeout(within_s), self.admin() as admin:
                return len((await admin.describe_cluster())["brokers"])
        except (KafkaError, TimeoutError, OSError):
            return 0

    async def _topics(self) -> dict[str, list[int]]:
        """Every topic with its partitions that have a leader. Asks again if it asked a broker that was just killed."""
        until_s = time.monotonic() + ANSWERS_WITHIN_S
        while True:
            try:
                async with self.admin() as admin:
                    return {topic["topic"]: _led(topic["partitions"]) for topic in await admin.describe_topics()}
            except KafkaError:
                if time.monotonic() > until_s:
                    raise
                await asyncio.sleep(0.1)


def _led(partitions: Sequence[Mapping[str, Any]]) -> list[int]:
    return sorted(p["partition"] for p in partitions if p["leader"] >= 0)


async def _read_to_end(
    reader: AIOKafkaConsumer, partitions: Sequence[TopicPartition]
) -> list[ConsumerRecord[bytes, bytes]]:
    reader.assign(partitions)
    await reader.seek_to_beginning(*partitions)
    ends = await reader.end_offsets(partitions)
    records: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {p: [] for p in partitions}
    while any([await reader.position(p) < ends[p] for p in partitions]):
        for partition, batch in (await reader.getmany(timeout_ms=200)).items():
            records[partition] += [record for record in batch if record.offset < ends[partition]]
    return [record for partition in partitions for record in records[partition]]
