"""How long a record takes from the request that writes it to the poll that waits for it, and how long its ack.

Records are posted at an even rate, each with the moment at which it was sent; readers wait in polls and poll again at
once, while what they have is acknowledged over other connections.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import orjson

from tests.load.loader.drain import ask
from tests.load.loader.http1 import Exchange, WrongAnswer, request
from tests.load.loader.payload import event_body
from tests.load.stats import percentile

WARMUP = 20  # records until the group has been joined and everything has run once
JOIN_S = 30.0
LATE_S = 10.0  # how long after the last record an arrival still counts


class Mail:
    """What was sent and has come."""

    def __init__(self) -> None:
        self.latencies_s: dict[int, float] = {}  # by number
        self.acks_s: list[float] = []
        self.repeated = 0
        self._changed = asyncio.Event()

    def came(self, value: dict[str, Any]) -> None:
        number = value.get("seq")
        if number is None:
            return  # what was written to see whether the server serves
        if number in self.latencies_s:
            self.repeated += 1
        else:
            self.latencies_s[number] = (time.monotonic_ns() - value["sent_ns"]) / 1e9
        self._changed.set()

    async def has(self, count: int, within_s: float) -> None:
        """Raises WrongAnswer."""
        try:
            async with asyncio.timeout(within_s):
                while len(self.latencies_s) < count:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise WrongAnswer(f"only {len(self.latencies_s)} of {count} records came within {within_s:g} s") from None


class Pool:
    """Connections that are opened as they are needed, each with one request out at most; leaving it closes them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._all: list[Exchange] = []
        self._idle: list[Exchange] = []

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        for exchange in self._all:
            exchange.close()

    async def ask(self, data: bytes, status: int) -> None:
        """Raises WrongAnswer if it is another one."""
        exchange = self._idle.pop() if self._idle else await self._open()
        answer = await exchange.ask(data)
        self._idle.append(exchange)
        if answer.status != status:
            raise WrongAnswer(f"{answer.status} {answer.body[:300].decode(errors='replace')}")

    async def _open(self) -> Exchange:
        self._all.append(exchange := await Exchange.open(self._port))
        return exchange


async def arrivals(
    port: int,
    *,
    path: str,
    target: str,
    read_port: int | None = None,
    readers: int,
    records: int,
    per_s: float,
    cpu_s: Callable[[], float],
) -> dict[str, Any]:
    """Post to `path`, read from `target`: at `read_port`, or where it is posted. Latencies are in milliseconds.

    Raises:
        WrongAnswer: a status that was not expected, or a record that did not come.
    """
    mail, read_port = Mail(), read_port or port
    try:
        with Pool(port) as posts, Pool(read_port) as acks:
            async with asyncio.TaskGroup() as tasks:
                reading = [tasks.create_task(_read(read_port, target, mail, acks, tasks)) for _ in range(readers)]
                measured = await _measure(posts, path, mail, records, per_s, cpu_s)
                for task in reading:
                    task.cancel()
    except ExceptionGroup as group:
        raise _first(group) from None
    return measured


def _first(group: ExceptionGroup[Exception]) -> Exception:
    one = group.exceptions[0]
    return _first(one) if isinstance(one, ExceptionGroup) else one


async def _measure(
    posts: Pool, path: str, mail: Mail, records: int, per_s: float, cpu_s: Callable[[], float]
) -> dict[str, Any]:
    await _post(posts, path, range(-WARMUP, 0), 10 * per_s)
    await mail.has(WARMUP, JOIN_S)
    mail.latencies_s.clear()
    mail.acks_s.clear()
    start_s, start_cpu_s, own_start_s = time.perf_counter(), cpu_s(), time.process_time()
    await _post(posts, path, range(records), per_s)
    await mail.has(records, LATE_S)
    seconds, used_s, own_s = time.perf_counter() - start_s, cpu_s() - start_cpu_s, time.process_time() - own_start_s
    arrived, acked = sorted(mail.latencies_s.values()), sorted(mail.acks_s)
    return {
        "per_s": records / seconds,
        "repeated": mail.repeated,
        "p50_ms": percentile(arrived, 0.5) * 1000,
        "p99_ms": percentile(arrived, 0.99) * 1000,
        "ack_p50_ms": percentile(acked, 0.5) * 1000,
        "ack_p99_ms": percentile(acked, 0.99) * 1000,
        "cpu_s_per_10k": used_s / records * 10_000,
        "loader_busy": own_s / seconds,
    }


async def _post(pool: Pool, path: str, numbers: range, per_s: float) -> None:
    start_s = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for turn, number in enumerate(numbers):
            await asyncio.sleep(max(0.0, start_s + turn / per_s - time.perf_counter()))
            body = event_body(number, time.monotonic_ns())
            tasks.create_task(pool.ask(request("POST", path.replace("{store}", "17"), body), 201))


async def _read(port: int, target: str, mail: Mail, acks: Pool, tasks: asyncio.TaskGroup) -> None:
    """Until cancelled."""
    exchange = await Exchange.open(port)
    try:
        while True:
            page = orjson.loads((await ask(exchange, request("GET", target, Prefer="wait=5"))).body)
            for record in page["records"]:
                mail.came(record["value"])
            if page["records"]:
                body = orjson.dumps({"lease": page["lease"], "accept": "all"})
                tasks.create_task(_ack(acks, request("POST", target.partition("?")[0] + "/ack", body), mail))
    finally:
        exchange.close()


async def _ack(pool: Pool, data: bytes, mail: Mail) -> None:
    start_s = time.perf_counter()
    await pool.ask(data, 200)
    mail.acks_s.append(time.perf_counter() - start_s)
