"""A stream of a feed while its client is behind: what it is written, and what does not end it."""

import asyncio
import weakref
from collections.abc import Sequence
from typing import Any, cast

from proxy.errors import Overloaded
from proxy.http.consume import SSE
from proxy.http.end import End
from proxy.http.exchange import Exchange
from proxy.http.feed import View
from proxy.http.upkeep import Upkeep
from proxy.observe.metrics import RouteMetrics
from proxy.seams.feeds import FeedCursor, FeedEvent, FeedReader
from tests.unit.http.test_audience import ScriptedFeed
from tests.unit.wait import until


class BehindCursor:
    """It reads the log, for which all readers are in use at first."""

    chunk = None

    def __init__(self, refusals: int, events: Sequence[FeedEvent]) -> None:
        self._refusals = refusals
        self._events = list(events)

    async def next(self, max_events: int) -> Sequence[FeedEvent]:
        if self._refusals:
            self._refusals -= 1
            await asyncio.sleep(0.01)
            raise Overloaded("All readers are in use.", retry_after_s=2)
        while not self._events:
            await asyncio.Event().wait()
        events, self._events = self._events, []
        return events


class Step(list[FeedEvent]):
    """What a cursor delivers at once; a list that can be watched."""


class WritingExchange:
    connection: Any = None

    def __init__(self) -> None:
        self.written = b""

    async def write(self, data: bytes) -> None:
        self.written += data


async def test_a_stream_that_finds_all_readers_of_the_log_in_use_goes_on_when_one_is_free() -> None:
    feed, metrics = ScriptedFeed(), RouteMetrics()
    feed.append(b"1", b"2")
    upkeep = Upkeep(End(), heartbeat_s=0.02)
    view = View(cast(FeedReader, feed), SSE, False, upkeep, metrics)
    exchange, cursor = WritingExchange(), BehindCursor(5, feed.newest.events)
    pumping = asyncio.create_task(view.pump(cast(Exchange, exchange), cast(FeedCursor, cursor), None))
    await until(lambda: exchange.written.count(b"data: ") == 2 or pumping.done())
    assert not pumping.done(), pumping.exception()
    assert exchange.written.startswith(b":\n")  # its heartbeat went on meanwhile
    pumping.cancel()
    await asyncio.wait([pumping])


class OneStep(BehindCursor):
    """It hands its step over, and keeps nothing of it."""

    async def next(self, max_events: int) -> Sequence[FeedEvent]:
        while not self._events:
            await asyncio.Event().wait()
        step, self._events = Step(self._events), []
        self.delivered = weakref.ref(step)
        return step


async def test_while_a_client_does_not_read_only_the_bytes_of_a_step_are_held_not_its_events() -> None:
    feed, metrics = ScriptedFeed(), RouteMetrics()
    feed.append(b"1", b"2")
    view = View(cast(FeedReader, feed), SSE, False, Upkeep(End(), heartbeat_s=60), metrics)
    cursor, is_stuck = OneStep(0, feed.newest.events), asyncio.Event()

    class Stuck(WritingExchange):
        async def write(self, data: bytes) -> None:
            is_stuck.set()
            await asyncio.Event().wait()

    pumping = asyncio.create_task(view.pump(cast(Exchange, Stuck()), cast(FeedCursor, cursor), None))
    async with asyncio.timeout(5):
        await is_stuck.wait()
    assert cursor.delivered() is None
    pumping.cancel()
    await asyncio.wait([pumping])
