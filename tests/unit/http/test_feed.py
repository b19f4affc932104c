"""A stream of a feed while its client is behind: what it is written, and what does not end it."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from proxy.errors import Overloaded
from proxy.http.consume import SSE
from proxy.http.end import End
from proxy.http.exchange import Exchange
from proxy.http.feed import View
from proxy.http.upkeep import Upkeep
from proxy.observe.metrics import RouteMetrics
from proxy.seams import FeedCursor, FeedEvent, FeedReader
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
