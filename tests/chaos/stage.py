"""What is harmed: three brokers and several bridge replicas, each behind a line that can be spoilt.

    clients -> door of a replica -> bridge -> front of a broker -> broker

Brokers talk to one another directly, and so do the questions asked here.
"""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from tests.bridge import Bridge
from tests.chaos.link import Link
from tests.kafka.cluster import Kafka

BROKERS, REPLICAS, PARTITIONS = 3, 3, 6
TIMEOUT_MS = 2_500  # of a record: short, so that a run sees many deadlines
HEALS_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 5.0
T = TypeVar("T")
TOPIC = "chaos"
PATH, MANY_PATH = "/records", "/batches"


class Replica:
    """One bridge, and the door through which clients come in."""

    def __init__(self, config: str, directory: Path) -> None:
        directory.mkdir()
        self.bridge = Bridge(config, directory)
        self.door = Link(lambda: self.bridge.port)

    def __repr__(self) -> str:
        return f"<Replica {self.bridge!r} {self.door!r}>"

    async def start(self, *, clock_offset_ms: int = 0) -> None:
        """Start it and wait until it is ready."""
        self.bridge.start(env={"STEPBRIDGE_CLOCK_OFFSET_MS": str(clock_offset_ms)})
        await self.bridge.ready(HEALS_WITHIN_S)

    async def end(self) -> None:
        """SIGTERM, and wait for its drain. Raises AssertionError if it was not clean."""
        code = await self.bridge.stop()
        assert code in (0, 1), f"{self!r} ended with {code}:\n{self.bridge.log[-5_000:]}"

    def freeze(self) -> None:
        self.bridge.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.bridge.signal(signal.SIGCONT)


class Stage:
    """`async with` starts all of it, with the topic, and ends it. Brokers and replicas count from 0."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._stack = AsyncExitStack()
        self.kafka = Kafka(directory, brokers=BROKERS)
        self.fronts = [self._front(number) for number in range(BROKERS)]
        self.replicas: list[Replica] = []

    async def __aenter__(self) -> "Stage":
        try:
            await self._set()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _set(self) -> None:
        enter = self._stack.enter_async_context
        ports = [(await enter(front)).port for front in self.fronts]
        self.kafka = await enter(Kafka(self._directory, brokers=BROKERS, fronts=ports))
        await self.kafka.create_topic(TOPIC, PARTITIONS)
        text = config(ports)
        for number in range(REPLICAS):
            replica = Replica(text, self._directory / f"replica-{number}")
            self.replicas.append(replica)
            self._stack.callback(replica.bridge.kill)
            await enter(replica.door)
        await asyncio.gather(*(replica.start() for replica in self.replicas))

    def _front(self, broker: int) -> Link:
        return Link(lambda: self.kafka.nodes[broker].behind_port)

    # ---- who is who

    async def leader(self, partition: int) -> int:
        """The broker that leads a partition; waits until it has one."""
        found = await eventually(lambda: self._led(partition))
        return found - 1

    def controller(self) -> int:
        """The broker that leads the cluster's own log, as the brokers have it on their disks."""
        known = [json.loads(path.read_text()) for path in self._directory.glob("*/node-*/data/*/quorum-state")]
        return int(max(known, key=lambda state: int(state["leaderEpoch"]))["leaderId"]) - 1

    async def whole(self) -> None:
        """Wait until every partition has all its replicas in sync."""
        await self.kafka.answers(HEALS_WITHIN_S)
        await eventually(self._in_sync)

    async def _led(self, partition: int) -> int | None:
        leaders = {each["partition"]: each["leader"] for each in await self._partitions()}
        return leader if (leader := leaders.get(partition, -1)) > 0 else None

    async def _in_sync(self) -> bool:
        partitions = await self._partitions()
        return bool(partitions) and all(len(each["isr"]) == BROKERS for each in partitions)

    async def _partitions(self) -> Sequence[dict[str, Any]]:
        """The topic's, or none if whoever was asked has just gone."""
        try:
            async with asyncio.timeout(ANSWERS_WITHIN_S), self.kafka.admin() as admin:
                (topic,) = await admin.describe_topics([TOPIC])
        except (KafkaError, TimeoutError):
            return []
        found: Sequence[dict[str, Any]] = topic["partitions"]
        return found

    async def settle(self) -> None:
        """Heal the lines, wait for the brokers, and end the replicas: nothing writes any more."""
        for link in [*self.fronts, *(replica.door for replica in self.replicas)]:
            link.heal()
        await self.whole()
        await asyncio.gather(*(replica.end() for replica in self.replicas))


async def eventually(ask: Callable[[], Awaitable[T | None]], within_s: float = HEALS_WITHIN_S) -> T:
    """The first answer that is neither None nor false."""
    until_s = time.monotonic() + within_s
    while not (answer := await ask()):
        if time.monotonic() > until_s:
            raise TimeoutError(f"{ask} did not come true within {within_s:g} s")
        await asyncio.sleep(0.2)
    return answer


def config(fronts: Sequence[int]) -> str:
    """The bridge's file, as JSON, which YAML takes."""
    produce = {"topic": TOPIC, "key": "{body.key}", "timeout_ms": TIMEOUT_MS}
    return json.dumps(
        {
            "kafka": {"bootstrap_servers": ",".join(f"127.0.0.1:{port}" for port in fronts)},
            "auth": "none",
            "drain": {"delay_ms": 300, "timeout_ms": 5_000},
            "observe": {"log_format": "json"},
            "routes": [
                {"route": f"POST {PATH}", "produce": produce},
                {"route": f"POST {MANY_PATH}", "produce": {**produce, "batch": True}},
            ],
        }
    )
