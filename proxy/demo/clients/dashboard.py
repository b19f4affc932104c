"""The dashboard: reads everything as Server-Sent Events, without a group, and keeps what a screen would show.

Every dashboard sees every record. Its position is its own: the id of the last event, which any replica understands.
"""

from collections import deque
from dataclasses import dataclass, field

import aiohttp

from proxy.demo.clients.sse import SseLines
from proxy.demo.clients.stream import Event, Stream
from proxy.demo.retail import DASHBOARD, PRICES, STOCK, number_of, shelf_of
from proxy.demo.watch import Seen, Watch

PATH = "/dashboard/events"
LATEST = 50  # events


@dataclass(slots=True)
class Board:
    """What the dashboard knows, as JSON would say it."""

    stock: dict[str, int] = field(default_factory=dict)  # by "store:sku"
    prices: dict[str, int] = field(default_factory=dict)  # cents, by "store:sku"
    latest: deque[Seen] = field(default_factory=lambda: deque(maxlen=LATEST))

    def update(self, record: Seen) -> None:
        self.latest.append(record)
        shelf = shelf_of(record)
        if shelf and record["topic"] == STOCK and (quantity := number_of(record, "quantity")) is not None:
            self.stock[shelf.key] = quantity
        if shelf and record["topic"] == PRICES and (price_cents := number_of(record, "price_cents")) is not None:
            self.prices[shelf.key] = price_cents


class Dashboard:
    def __init__(self, http: aiohttp.ClientSession, watch: Watch) -> None:
        self.stream = Stream(http, PATH, SseLines())
        self.board = Board()
        self.gaps = 0
        self._watch = watch

    async def run(self) -> None:
        """Follow the stream for ever."""
        await self.stream.follow(self._handle)

    async def _handle(self, event: Event) -> None:
        if event.name == "gap":  # we were away for longer than the log reaches back
            self.gaps += 1
        if event.name != "message":
            return
        record = event.json()
        self._watch.seen(DASHBOARD, record)
        self.board.update(record)
        self._watch.accepted(DASHBOARD, [record])
