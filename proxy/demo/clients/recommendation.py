"""The recommendation service: reads sales as NDJSON, in a group of its own, and keeps the top sellers."""

import aiohttp

from proxy.demo.clients.ndjson import JsonLines
from proxy.demo.clients.stream import Event, Stream
from proxy.demo.retail import RECOMMENDATION, number_of, shelf_of
from proxy.demo.rules import Bestsellers
from proxy.demo.watch import Watch


class RecommendationService:
    def __init__(self, http: aiohttp.ClientSession, watch: Watch) -> None:
        self.stream = Stream(http, "/recommendations/sales", JsonLines())
        self.bestsellers = Bestsellers()
        self._watch = watch

    async def run(self) -> None:
        """Follow the stream for ever."""
        await self.stream.follow(self._handle)

    async def _handle(self, event: Event) -> None:
        if event.name != "message":
            return
        record = event.json()
        self._watch.seen(RECOMMENDATION, record)
        shelf, quantity = shelf_of(record), number_of(record, "quantity")
        if shelf and quantity is not None:
            self.bestsellers.sale(shelf.sku, quantity)
        self._watch.accepted(RECOMMENDATION, [record])
