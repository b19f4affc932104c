"""Many SSE clients of one stream, and the producer of its events: what arrived where, and how late."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from aiokafka import AIOKafkaProducer
from httptools import HttpResponseParser

from tests.load.loader.http1 import WrongAnswer, request
from tests.load.loader.payload import event_body
from tests.load.stats import percentile

CONNECT_S = 20.0  # every client must have seen a first event by then
KINDS = 10  # of clients, by their targets
LATE_S = 5.0  # how long after the last event a delivery still counts


class Listener(asyncio.Protocol):
    """One SSE client. Notes for each event whether it came, how often, and how late."""

    def __init__(self, target: str, latencies_s: list[float], arrivals: "Arrivals") -> None:
        self._target = target
        self._latencies_s = latencies_s
        self._arrivals = arrivals
        self._parser = HttpResponseParser(self)
        self._rest = b""
        self.seen: set[int] = set()

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(request("GET", self._target, Accept="text/event-stream"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_headers_complete(self) -> None:
        if self._parser.get_status_code() != 200:
            self._arrivals.fail(f"GET {self._target}: {self._parser.get_status_code()}")

    def on_body(self, chunk: bytes) -> None:
        *events, self._rest = (self._rest + chunk).split(b"\n\n")
        for event in events:
            if b"data:" in event:
                self._arrived(event)

    def _arrived(self, event: bytes) -> None:
        number, sent_ns = number_after(event, b'"seq":'), number_after(event, b'"sent_ns":')
        if number is None or sent_ns is None:
            self._arrivals.fail(f"an event that was not sent: {event[:300].decode(errors='replace')}")
            return
        self._arrivals.count(repeated=number in self.seen, warmup=number < 0)
        if number >= 0 and number not in self.seen:
            self._latencies_s.append((time.monotonic_ns() - sent_ns) / 1e9)
        self.seen.add(number)

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrivals.fail("a stream ended before the last event")


def number_after(event: bytes, name: bytes) -> int | None:
    """The integer that follows `name`, None where there is none. Much cheaper than reading the whole event."""
    _, found, rest = event.partition(name)
    digits = rest.partition(b",")[0].rstrip(b"}")
    return int(digits) if found and digits.lstrip(b"-").isdigit() else None


class Arrivals:
    """What all listeners saw together; tells its waiter when enough of it has come, or something failed."""

    def __init__(self) -> None:
        self.delivered = 0
        self.repeated = 0
        self.over = False
        self._failure: str | None = None
        self._changed = asyncio.Event()

    def count(self, *, repeated: bool, warmup: bool) -> None:
        self.repeated += repeated
        self.delivered += not repeated and not warmup
        self._changed.set()

    def fail(self, reason: str) -> None:
        if not self.over:
            self._failure = self._failure or reason
            self._changed.set()

    async def until(self, enough: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until `enough()`; False when that took too long. Raises WrongAnswer on a failed stream."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while not self._failure and not enough():
                    self._changed.clear()
                    await self._changed.wait()
        if self._failure:
            raise WrongAnswer(self._failure)
        return enough()


async def stream(
    port: int,
    target: str,
    *,
    clients: int,
    events: int,
    events_per_s: float,
    bootstrap: str,
    topic: str,
    cpu_s: Callable[[], float],
) -> dict[str, Any]:
    """Produce `events` at an even rate once every client is connected, and see what each client gets of them.

    `{n}` in the target is a digit, by client: every tenth has the same. A latency is from before the event is handed to
    Kafka until the client has read it, in milliseconds.

    Raises:
        WrongAnswer: a stream was refused, broke, or carried something that was not written.
    """
    loop = asyncio.get_running_loop()
    latencies_s: list[float] = []
    arrivals = Arrivals()
    listeners: list[Listener] = []
    for number in range(clients):
        listens = partial(Listener, target.replace("{n}", str(number % KINDS)), latencies_s, arrivals)
        _, listener = await loop.create_connection(listens, "127.0.0.1", port)
        listeners.append(listener)
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all", linger_ms=0) as producer:
        await _wait_for_all(listeners, arrivals, producer, topic)
        start_s, start_cpu_s, own_start_s = time.perf_counter(), cpu_s(), time.process_time()
        await _produce(producer, topic, events, events_per_s)
        await arrivals.until(lambda: arrivals.delivered == clients * events, LATE_S)
    seconds, used_s, own_s = time.perf_counter() - start_s, cpu_s() - start_cpu_s, time.process_time() - own_start_s
    arrivals.over = True
    for listener in listeners:
        listener.transport.close()
    if not arrivals.delivered:
        raise WrongAnswer(f"none of {events} events reached any of {clients} clients")
    ordered = sorted(latencies_s)
    return {
        "delivered": arrivals.delivered,
        "delivered_share": arrivals.delivered / (clients * events),
        "repeated": arrivals.repeated,
        "p50_ms": percentile(ordered, 0.5) * 1000,
        "p99_ms": percentile(ordered, 0.99) * 1000,
        "cpu_s_per_10k": used_s / arrivals.delivered * 10_000,
        "loader_busy": own_s / seconds,
    }


async def _wait_for_all(listeners: list[Listener], arrivals: Arrivals, producer: AIOKafkaProducer, topic: str) -> None:
    """Send events (numbered below 0) until every client has seen one: the stream's start is not measured."""
    for attempt in range(1, int(CONNECT_S * 5)):
        await producer.send_and_wait(topic, event_body(-attempt, time.monotonic_ns()), b"17:first")
        if await arrivals.until(lambda: all(listener.seen for listener in listeners), 0.2):
            return
    missing = sum(not listener.seen for listener in listeners)
    raise WrongAnswer(f"{missing} of {len(listeners)} streams had no event after {CONNECT_S:.0f} s")


async def _produce(producer: AIOKafkaProducer, topic: str, events: int, events_per_s: float) -> None:
    start_s = time.perf_counter()
    receipts = []
    for number in range(events):
        await asyncio.sleep(max(0.0, start_s + number / events_per_s - time.perf_counter()))
        receipts.append(await producer.send(topic, event_body(number, time.monotonic_ns()), b"17:%d" % number))
    await asyncio.gather(*receipts)
