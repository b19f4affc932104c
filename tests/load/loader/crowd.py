"""Thousands of SSE clients of one stream, one event at a time to all: what arrived where, how late, in what memory.

A client is an `asyncio.Protocol` that looks for the event's number in what arrives and parses nothing else, so that the
loader keeps up with ten thousand of them on one core.
"""

import asyncio
import time
from array import array
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

from aiokafka import AIOKafkaProducer

from tests.load.loader.http1 import Exchange, WrongAnswer, request
from tests.load.loader.payload import event_body
from tests.load.stats import percentile

LIVE_S = 60.0  # within which all must be connected, and have seen a first event
LATE_S = 15.0  # how long after the last event a delivery still counts
NUMBER, SENT = b'"seq":', b'"sent_ns":'
LONGEST = 80  # bytes from NUMBER to the end of what is looked for
POSITION = b"x" * 104  # as long as one of the bridge's

Publish = Callable[[int], Awaitable[object]]


class Crowd:
    """What all clients saw together."""

    def __init__(self, target: str) -> None:
        self.request = request("GET", target, Accept="text/event-stream")
        self.latencies_ms = array("d")
        self.live = 0  # clients that have seen an event
        self.repeated = 0
        self.over = False
        self.failure: str | None = None

    def fail(self, reason: str) -> None:
        if not self.over:
            self.failure = self.failure or reason

    async def until(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it is enough in time. Raises WrongAnswer on a failed stream."""
        until_s = time.monotonic() + timeout_s
        while not self.failure and not enough() and time.monotonic() < until_s:
            await asyncio.sleep(0.02)
        if self.failure:
            raise WrongAnswer(self.failure)
        return enough()


class Client(asyncio.Protocol):
    """One of them."""

    __slots__ = ("_crowd", "_rest", "_seen", "transport")

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._rest: bytes | None = None  # None: nothing has come yet
        self._seen = 0  # a bit for each event's number

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._crowd.request)

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if self._rest is None:
            if not data.startswith(b"HTTP/1.1 200"):
                self._crowd.fail(data[:300].decode(errors="replace"))
            self._rest = b""
        data = self._rest + data
        at = data.find(NUMBER)
        while at >= 0:
            ends = data.find(b",", data.find(SENT, at) + len(SENT)) if SENT in data[at : at + LONGEST] else -1
            if ends < 0:
                break
            self._arrived(data, at, ends, now_ns)
            at = data.find(NUMBER, ends)
        self._rest = data[at:] if at >= 0 else data[-len(NUMBER) :]

    def _arrived(self, data: bytes, at: int, ends: int, now_ns: int) -> None:
        number = int(data[at + len(NUMBER) : data.index(b",", at)])
        if not self._seen:
            self._crowd.live += 1
        bit = 1 << max(0, number)  # those before the first are all one
        if number > 0 and self._seen & bit:
            self._crowd.repeated += 1
        elif number > 0:
            sent_ns = int(data[data.index(SENT, at) + len(SENT) : ends])
            self._crowd.latencies_ms.append((now_ns - sent_ns) / 1e6)
        self._seen |= bit

    def connection_lost(self, exc: Exception | None) -> None:
        self._crowd.fail("a stream ended before the last event")


async def crowd(
    port: int,
    target: str,
    *,
    clients: int,
    events: int,
    events_per_s: float,
    bootstrap: str,
    topic: str | None,
    cpu_s: Callable[[], float],
    rss_mb: Callable[[], float],
) -> dict[str, Any]:
    """Connect them all, then publish `events` at an even rate: into the topic, or without one by POST /publish.

    A latency is from before the event is handed over until the loader has read it, in milliseconds.

    Raises:
        WrongAnswer: a stream was refused or broke, or not all clients saw a first event.
    """
    seen, idle_mb, start_s = Crowd(target), rss_mb(), time.perf_counter()
    everyone = [await _connect(port, seen) for _ in range(clients)]
    async with AsyncExitStack() as stack:
        publish = await _publisher(stack, port, bootstrap, topic)
        await _all_live(seen, clients, publish)
        live_s = time.perf_counter() - start_s
        start_s, start_cpu_s, own_start_s = time.perf_counter(), cpu_s(), time.process_time()
        for number in range(1, events + 1):
            await asyncio.sleep(max(0.0, start_s + (number - 1) / events_per_s - time.perf_counter()))
            await publish(number)
        await seen.until(lambda: len(seen.latencies_ms) == clients * events, LATE_S)
    seconds, used_s, own_s = time.perf_counter() - start_s, cpu_s() - start_cpu_s, time.process_time() - own_start_s
    full_mb, seen.over = rss_mb(), True
    for each in everyone:
        each.transport.abort()
    ordered = sorted(seen.latencies_ms)
    if not ordered:
        raise WrongAnswer(f"none of {events} events reached any of {clients} clients")
    return {
        "delivered_share": len(ordered) / (clients * events),
        "repeated": seen.repeated,
        "live_s": live_s,
        "p50_ms": percentile(ordered, 0.5),
        "p99_ms": percentile(ordered, 0.99),
        "cpu_s_per_10k": used_s / len(ordered) * 10_000,
        "above_idle_mb": full_mb - idle_mb,
        "kb_per_client": (full_mb - idle_mb) * 1024 / clients,
        "loader_busy": own_s / seconds,
    }


async def _connect(port: int, seen: Crowd) -> Client:
    _, client = await asyncio.get_running_loop().create_connection(lambda: Client(seen), "127.0.0.1", port)
    return client


async def _all_live(seen: Crowd, clients: int, publish: Publish) -> None:
    """Publish events that are not measured until every client has seen one."""
    until_s = time.monotonic() + LIVE_S
    while time.monotonic() < until_s:
        await publish(-1)
        if await seen.until(lambda: seen.live == clients, 0.5 + clients / 5_000):
            return
    raise WrongAnswer(f"{clients - seen.live} of {clients} streams had no event after {LIVE_S:.0f} s")


async def _publisher(stack: AsyncExitStack, port: int, bootstrap: str, topic: str | None) -> Publish:
    if topic is not None:
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0)
        await stack.enter_async_context(producer)
        return lambda number: producer.send(topic, event_body(number, time.monotonic_ns()), b"17:%d" % number)
    exchange = await Exchange.open(port)
    stack.callback(exchange.close)
    return lambda number: exchange.ask(
        request("POST", "/publish", frame(number, event_body(number, time.monotonic_ns())))
    )


def frame(number: int, value: bytes) -> bytes:
    """What the bridge makes of a record, but for a few bytes: the broadcast is given it ready-made."""
    about = b'{"id":"bench-crowd:0:%d","topic":"bench-crowd","partition":0,"offset":%d,"timestamp_ms":1795361006959,'
    record = about % (number, number) + b'"key":"17:%d","headers":[],"value":%b,"encoding":"json"}' % (number, value)
    return b"id: %b\ndata: %b\n\n" % (POSITION, record)
