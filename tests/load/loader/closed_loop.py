"""N keep-alive connections, each with exactly one request out at any time.

Every answer's status is looked at: one that was not expected is kept for the report, and spoils the round.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from httptools import HttpResponseParser

from tests.load.stats import percentile


@dataclass(slots=True)
class Tally:
    """What all connections of one job share: the requests to send next, and what came back."""

    requests: Iterator[bytes]
    expected_status: int
    running: bool = True  # False: connections stop after the answer they wait for
    statuses: Counter[int] = field(default_factory=Counter)  # of the whole job
    unexpected: bytes = b""  # the first answer with another status
    broken: int = 0  # connections that ended while an answer was owed
    latencies_s: list[float] = field(default_factory=list)  # of the window

    def answered(self, status: int, latency_s: float, body: bytes) -> None:
        self.statuses[status] += 1
        self.latencies_s.append(latency_s)
        if status != self.expected_status and not self.unexpected:
            self.unexpected = body or b"(no body)"


class Connection(asyncio.Protocol):
    """Asks, waits, asks again. `idle` is done once it has its last answer, or the server has hung up."""

    def __init__(self, tally: Tally) -> None:
        self.idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tally = tally
        self._parser = HttpResponseParser(self)
        self._body = b""
        self._sent_s = 0.0

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self.ask()

    def ask(self) -> None:
        self._body = b""
        self._sent_s = time.perf_counter()
        self._transport.write(next(self._tally.requests))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, chunk: bytes) -> None:
        self._body = chunk  # the last chunk is enough to say what went wrong

    def on_message_complete(self) -> None:
        latency_s = time.perf_counter() - self._sent_s
        self._tally.answered(self._parser.get_status_code(), latency_s, self._body)
        if self._tally.running:
            self.ask()
        else:
            self.idle.set_result(None)
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.idle.done():
            self._tally.broken += 1
            self.idle.set_result(None)


async def closed_loop(
    port: int,
    requests: Iterator[bytes],
    *,
    expected_status: int,
    connections: int,
    warmup_s: float,
    window_s: float,
    cpu_s: Callable[[], float],
) -> dict[str, Any]:
    """Drive the server and measure for `window_s` seconds after `warmup_s`. `cpu_s` reads the server's CPU-seconds.

    `answers` counts the window, `answers_in_all` the whole job with what was still out at its end: as many
    records must be in the topic. All latencies are milliseconds, of the window.
    """
    loop = asyncio.get_running_loop()
    tally = Tally(requests, expected_status)
    opened = [await loop.create_connection(lambda: Connection(tally), "127.0.0.1", port) for _ in range(connections)]
    await asyncio.sleep(warmup_s)

    tally.latencies_s = []
    start_s, start_cpu_s, own_start_s = time.perf_counter(), cpu_s(), time.process_time()
    await asyncio.sleep(window_s)
    latencies_s = tally.latencies_s
    seconds, used_s, own_s = time.perf_counter() - start_s, cpu_s() - start_cpu_s, time.process_time() - own_start_s

    tally.latencies_s, tally.running = [], False
    await asyncio.wait([connection.idle for _, connection in opened], timeout=30)
    ordered = sorted(latencies_s)
    return {
        "answers": len(ordered),
        "answers_in_all": tally.statuses[expected_status],
        "statuses": {str(status): count for status, count in tally.statuses.items()},
        "unexpected": tally.unexpected.decode(errors="replace")[:500],
        "broken": tally.broken,
        "unanswered": sum(not connection.idle.done() for _, connection in opened),
        "per_s": len(ordered) / seconds,
        "p50_ms": percentile(ordered, 0.5) * 1000 if ordered else None,
        "p99_ms": percentile(ordered, 0.99) * 1000 if ordered else None,
        "cpu_s_per_10k": used_s / len(ordered) * 10_000 if ordered else None,
        "server_busy": used_s / seconds,
        "loader_busy": own_s / seconds,
    }
