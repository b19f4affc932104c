"""Requests at an even rate, whatever comes back: what a crowd does to a server that cannot bear it.

Each connection has one request out at most. A request goes to the one that has been idle longest; when none is idle it
waits for one, and of those that wait there are at most as many as connections.

Half of the connections are *patient*: refused, they stay away for as long as Retry-After says. The other half ask again
as soon as there is something to ask. Latencies are of the patient: the others may be made to wait, and ask for it.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from httptools import HttpResponseParser

from tests.load.stats import percentile

TICK_S = 0.002
REFUSED = (429, 503)


@dataclass(slots=True)
class Crowd:
    """All connections of one job: who is idle, what is due, and what came back."""

    requests: Iterator[bytes]
    expected_status: int
    idle: deque["Client"] = field(default_factory=deque)
    offered: int = 0
    waiting: int = 0  # requests that wait for a connection
    statuses: Counter[int] = field(default_factory=Counter)  # of the whole job
    unexpected: bytes = b""  # the first answer that is neither expected nor a refusal
    broken: int = 0
    counts: Counter[bool] = field(default_factory=Counter)  # of the window, by whether admitted
    latencies_s: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})  # the same

    def offer(self, count: int, most_waiting: int) -> None:
        """So many more requests. Beyond `most_waiting` they go elsewhere."""
        self.offered += count
        self.waiting = min(self.waiting + count, most_waiting)
        while self.waiting and self.idle:
            self._send(self.idle.popleft())

    def answered(self, client: "Client", status: int, latency_s: float, body: bytes) -> None:
        self.statuses[status] += 1
        admitted = status == self.expected_status
        self.counts[admitted] += 1
        if client.patient:
            self.latencies_s[admitted].append(latency_s)
        if not admitted and status not in REFUSED and not self.unexpected:
            self.unexpected = body or b"(no body)"
        if admitted or not client.patient:
            self.ready(client)
        else:
            client.stay_away()

    def ready(self, client: "Client") -> None:
        """It may ask again."""
        if self.waiting:
            self._send(client)
        else:
            self.idle.append(client)

    def _send(self, client: "Client") -> None:
        self.waiting -= 1
        client.ask(next(self.requests))


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, crowd: Crowd, *, patient: bool) -> None:
        self.patient = patient
        self._crowd = crowd
        self._away_s = 0
        self._parser = HttpResponseParser(self)
        self._body = b""
        self._sent_s = 0.0
        self.owed = False  # an answer
        self.over = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def ask(self, data: bytes) -> None:
        self._sent_s, self.owed = time.perf_counter(), True
        self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"retry-after":
            self._away_s = int(value)

    def stay_away(self) -> None:
        """As long as the last refusal said."""
        asyncio.get_running_loop().call_later(self._away_s, self._crowd.ready, self)

    def on_body(self, chunk: bytes) -> None:
        self._body = chunk

    def on_message_complete(self) -> None:
        latency_s, self.owed = time.perf_counter() - self._sent_s, False
        self._crowd.answered(self, self._parser.get_status_code(), latency_s, self._body)

    def connection_lost(self, exc: Exception | None) -> None:
        self.owed = False
        if not self.over:
            self._crowd.broken += 1


async def offer_evenly(crowd: Crowd, per_s: float, most_waiting: int) -> None:
    """Until cancelled."""
    start_s, due = time.perf_counter(), 0
    while True:
        arrived = int((time.perf_counter() - start_s) * per_s)
        crowd.offer(arrived - due, most_waiting)
        due = arrived
        await asyncio.sleep(TICK_S)


async def open_loop(
    port: int,
    requests: Iterator[bytes],
    *,
    expected_status: int,
    per_s: float,
    connections: int,
    warmup_s: float,
    window_s: float,
    cpu_s: Callable[[], float],
    rss_mb: Callable[[], float],
) -> dict[str, Any]:
    """Offer `per_s` requests a second and measure for `window_s` seconds after `warmup_s`.

    As `closed_loop`, with what was refused beside what was answered: `answers_in_all` counts the expected status only.
    `rss_mb` reads the server's memory, at both ends of the window.
    """
    crowd = Crowd(requests, expected_status)
    clients = await _open(port, crowd, connections)
    sending = asyncio.create_task(offer_evenly(crowd, per_s, connections))
    await asyncio.sleep(warmup_s)

    crowd.counts, crowd.latencies_s = Counter(), {True: [], False: []}
    offered, rss_before_mb = crowd.offered, rss_mb()
    start_s, start_cpu_s, own_start_s = time.perf_counter(), cpu_s(), time.process_time()
    await asyncio.sleep(window_s)
    counts, latencies_s, offered = crowd.counts, crowd.latencies_s, crowd.offered - offered
    seconds, used_s, own_s = time.perf_counter() - start_s, cpu_s() - start_cpu_s, time.process_time() - own_start_s
    rss_after_mb = rss_mb()

    sending.cancel()
    crowd.counts, crowd.latencies_s, crowd.waiting = Counter(), {True: [], False: []}, 0
    unanswered = await _last_answers(clients)
    return {
        "answers": counts[True],
        "answers_in_all": crowd.statuses[expected_status],
        "statuses": {str(status): count for status, count in crowd.statuses.items()},
        "unexpected": crowd.unexpected.decode(errors="replace")[:500],
        "broken": crowd.broken,
        "unanswered": unanswered,
        "offered_per_s": offered / seconds,
        "per_s": counts[True] / seconds,
        "refused_per_s": counts[False] / seconds,
        **_percentiles("", latencies_s[True]),
        **_percentiles("refused_", latencies_s[False]),
        "rss_before_mb": rss_before_mb,
        "rss_after_mb": rss_after_mb,
        "cpu_s_per_10k": used_s / counts[True] * 10_000 if counts[True] else None,
        "server_busy": used_s / seconds,
        "loader_busy": own_s / seconds,
    }


async def _open(port: int, crowd: Crowd, connections: int) -> list[Client]:
    loop = asyncio.get_running_loop()
    clients: list[Client] = []
    for number in range(connections):
        client = Client(crowd, patient=number % 2 == 0)
        await loop.create_connection(lambda client=client: client, "127.0.0.1", port)  # type: ignore[misc]
        clients.append(client)
    crowd.idle.extend(clients)
    return clients


async def _last_answers(clients: list[Client], within_s: float = 30.0) -> int:
    """Wait for what is still out, and hang up. How many had no answer even so."""
    until_s = time.perf_counter() + within_s
    while any(client.owed for client in clients) and time.perf_counter() < until_s:
        await asyncio.sleep(TICK_S)
    unanswered = sum(client.owed for client in clients)
    for client in clients:
        client.over = True
        client.transport.close()
    return unanswered


def _percentiles(name: str, latencies_s: list[float]) -> dict[str, float | None]:
    ordered = sorted(latencies_s)
    return {
        f"{name}p50_ms": percentile(ordered, 0.5) * 1000 if ordered else None,
        f"{name}p99_ms": percentile(ordered, 0.99) * 1000 if ordered else None,
    }
