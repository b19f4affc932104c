"""Long-poll readers of one group, side by side, each of which acknowledges every answer before it polls again."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from tests.load.loader.drain import ask, check_values
from tests.load.loader.http1 import Exchange, WrongAnswer, request
from tests.load.stats import percentile


@dataclass(slots=True)
class Tally:
    """What all of them have read so far."""

    expected: int
    seen: set[tuple[int, int]] = field(default_factory=set)
    delivered: int = 0
    polls: int = 0
    acks_s: list[float] = field(default_factory=list)  # how long each ack took

    def take(self, records: list[dict[str, Any]]) -> None:
        check_values(records)
        self.polls += 1
        self.delivered += len(records)
        self.seen.update((record["partition"], record["offset"]) for record in records)

    @property
    def is_full(self) -> bool:
        return len(self.seen) >= self.expected


class Reader:
    """One of them. It ends once all have read enough; `idles` while it waits for an answer with records."""

    def __init__(self, target: str, tally: Tally) -> None:
        self.idles = False
        self._target = target
        self._tally = tally

    async def run(self, port: int) -> None:
        exchange = await Exchange.open(port)
        try:
            while not self._tally.is_full:
                await self._turn(exchange)
        finally:
            exchange.close()

    async def _turn(self, exchange: Exchange) -> None:
        self.idles = True
        answer = await ask(exchange, request("GET", self._target, Prefer="wait=5"))
        self.idles = False
        page = orjson.loads(answer.body)
        self._tally.take(page["records"])
        if page["records"]:
            body = orjson.dumps({"lease": page["lease"], "accept": "all"})
            start_s = time.perf_counter()
            await ask(exchange, request("POST", self._target.partition("?")[0] + "/ack", body))
            self._tally.acks_s.append(time.perf_counter() - start_s)


async def pollers(
    port: int,
    target: str,
    *,
    readers: int,
    expected: int,
    timeout_s: float,
    cpu_before_s: float,
    cpu_s: Callable[[], float],
) -> dict[str, Any]:
    """Poll and acknowledge until all together have seen `expected` different records, and have their acks' answers.

    The server's CPU counts from `cpu_before_s`. Acks are in milliseconds, from the request to its answer.

    Raises:
        WrongAnswer: a status other than 200, a record that is not what was written, or no end in time.
    """
    tally = Tally(expected)
    start_s, own_start_s = time.perf_counter(), time.process_time()
    try:
        async with asyncio.timeout(timeout_s):
            await _read(port, [Reader(target, tally) for _ in range(readers)], tally)
    except TimeoutError:
        raise WrongAnswer(f"only {len(tally.seen)} of {expected} records in {timeout_s:.0f} s") from None
    seconds, used_s = time.perf_counter() - start_s, cpu_s() - cpu_before_s
    ordered = sorted(tally.acks_s)
    return {
        "records": len(tally.seen),
        "repeated": tally.delivered - len(tally.seen),
        "polls": tally.polls,
        "seconds": seconds,
        "per_s": len(tally.seen) / seconds,
        "ack_p50_ms": percentile(ordered, 0.5) * 1000,
        "ack_p99_ms": percentile(ordered, 0.99) * 1000,
        "cpu_s_per_10k": used_s / len(tally.seen) * 10_000,
        "loader_busy": (time.process_time() - own_start_s) / seconds,
    }


async def _read(port: int, readers: list[Reader], tally: Tally) -> None:
    """Until it is full. Who waits then would wait in vain; who has records still acknowledges them."""
    running = {asyncio.create_task(reader.run(port)): reader for reader in readers}
    try:
        while running and not tally.is_full:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                del running[task]
                task.result()
        await asyncio.gather(*(task for task, reader in running.items() if not reader.idles))
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
