"""A crowd of SSE clients of one stream, and among them one that hardly reads: what it costs them, and what it loses.

It begins far back, so that what it is owed is more than all buffers and the bridge's ring hold, and reads a little now
and then. When the crowd has seen its events it reads on as fast as it gets, to the end of the log.
"""

import asyncio
import re
import socket
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from tests.load.loader.crowd import crowd
from tests.load.loader.http1 import WrongAnswer, request
from tests.load.topics import PARTITIONS

PAUSE_S = 0.1
RECEIVE_BYTES = 16 * 1024  # of its socket: the kernel is not to read in its stead
CAUGHT_UP_S = 60.0
PLACE = re.compile(rb'"partition":(\d+),"offset":(\d+),')


class Slow(asyncio.Protocol):
    """It checks that each partition's records come one after the other."""

    def __init__(self, target: str) -> None:
        self.next: defaultdict[int, int] = defaultdict(int)  # offset by partition
        self.lost = self.repeated = 0
        self.is_over = False
        self.received = asyncio.Event()
        self._request = request("GET", target, Accept="text/event-stream")
        self._rest = b""

    @classmethod
    async def connect(cls, port: int, target: str) -> "Slow":
        """Raises OSError."""
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BYTES)
        narrow.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(narrow, ("127.0.0.1", port))
        _, slow = await loop.create_connection(lambda: cls(target), sock=narrow)
        return slow

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_over = True
        self.received.set()

    def data_received(self, data: bytes) -> None:
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            if found := PLACE.search(event):
                partition, offset = map(int, found.groups())
                self.lost += max(0, offset - self.next[partition])
                self.repeated += offset < self.next[partition]
                self.next[partition] = max(self.next[partition], offset + 1)
        self.received.set()

    async def read_a_little(self) -> None:
        """For ever."""
        while not self.is_over:
            self.received.clear()
            self.transport.resume_reading()
            await self.received.wait()
            self.transport.pause_reading()
            await asyncio.sleep(PAUSE_S)

    async def read_up_to(self, ends: Mapping[int, int]) -> float:
        """The seconds it took. Raises WrongAnswer where that is not in time."""
        start_s = time.monotonic()
        self.transport.resume_reading()
        while any(self.next[partition] < end for partition, end in ends.items()):
            if self.is_over or time.monotonic() > start_s + CAUGHT_UP_S:
                raise WrongAnswer(f"the slow reader was left at {dict(self.next)} of {dict(ends)}")
            await asyncio.sleep(0.02)
        return time.monotonic() - start_s


async def beside_slow(
    port: int,
    target: str,
    slow_target: str | None,
    *,
    bootstrap: str,
    topic: str,
    rss_mb: Callable[[], float],
    **details: Any,
) -> dict[str, Any]:
    """As `crowd`; `slow_target`: with one that reads slowly. Its figures are `slow_...`, in records; CPU is for its
    deliveries too.

    Raises:
        WrongAnswer: as `crowd`, or the slow one's stream ended, or it did not come to the end of the log in time.
    """
    idle_mb = rss_mb()
    slow = await Slow.connect(port, slow_target) if slow_target else None
    reading = asyncio.create_task(slow.read_a_little()) if slow else None
    seen = await crowd(port, target, bootstrap=bootstrap, topic=topic, rss_mb=rss_mb, **details)
    seen["above_idle_mb"] = rss_mb() - idle_mb
    if slow is not None and reading is not None:
        reading.cancel()
        ends = await _ends(bootstrap, topic)
        read = sum(slow.next.values())
        seen["slow_behind"] = sum(ends.values()) - read
        deliveries = seen["delivered_share"] * details["clients"] * details["events"]
        seen["cpu_s_per_10k"] *= deliveries / (deliveries + read)
        seen["slow_caught_up_s"] = await slow.read_up_to(ends)
        seen |= {"slow_lost": slow.lost, "slow_repeated": slow.repeated}
        slow.transport.abort()
    return seen


async def _ends(bootstrap: str, topic: str) -> dict[int, int]:
    """Of the topic's partitions, as they are now."""
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False) as reader:
        return {each.partition: end for each, end in (await reader.end_offsets(partitions)).items()}
