"""The pricing service: reads stock, promotions and sales as Server-Sent Events, in a group, and answers with prices."""

from collections.abc import Mapping

import aiohttp

from proxy.demo.clients.post import Sender
from proxy.demo.clients.sse import SseLines
from proxy.demo.clients.stream import Event, Stream
from proxy.demo.retail import PRICES, PRICING, PROMOTIONS, SALES, STOCK, Shelf, number_of, shelf_of
from proxy.demo.rules import PriceBook
from proxy.demo.watch import Seen, Watch


class PricingService:
    def __init__(
        self, http: aiohttp.ClientSession, sender: Sender, watch: Watch, base_cents: Mapping[str, int]
    ) -> None:
        self.stream = Stream(http, "/pricing/changes", SseLines())
        self._sender = sender
        self._watch = watch
        self._book = PriceBook(base_cents)

    async def run(self) -> None:
        """Follow the stream for ever."""
        await self.stream.follow(self._handle)

    async def _handle(self, event: Event) -> None:
        if event.name != "message":
            return
        record = event.json()
        self._watch.seen(PRICING, record)
        shelf = shelf_of(record)
        price_cents = self._price(shelf, record) if shelf else None
        if shelf and price_cents is not None:
            await self._sender.post(
                "/prices", PRICES, shelf.key, store=shelf.store, sku=shelf.sku, price_cents=price_cents
            )
        self._watch.accepted(PRICING, [record])  # from here on our Last-Event-ID covers it

    def _price(self, shelf: Shelf, record: Seen) -> int | None:
        """The price that follows from the record, in cents, if it is a new one."""
        change = {PROMOTIONS: self._book.promotion, STOCK: self._book.stock, SALES: self._book.sale}[record["topic"]]
        number = number_of(record, "percent_off" if record["topic"] == PROMOTIONS else "quantity")
        return change(shelf, number) if number is not None else None
