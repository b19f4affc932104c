"""All clients of one run, and their tasks."""

import asyncio
from collections.abc import Coroutine, Iterable
from random import Random
from types import TracebackType
from typing import Any, Self

import aiohttp

from proxy.demo.clients.dashboard import Dashboard
from proxy.demo.clients.inventory import InventoryManager, Judge, trust
from proxy.demo.clients.post import Sender
from proxy.demo.clients.pricing import PricingService
from proxy.demo.clients.recommendation import RecommendationService
from proxy.demo.clients.stores import Till
from proxy.demo.clients.stream import Stream
from proxy.demo.process import DemoFailed
from proxy.demo.retail import ASSORTMENT, DASHBOARD, PRICING, RECOMMENDATION, STORES
from proxy.demo.watch import Watch


class Crew:
    """`async with` starts the readers; what else is started with `start` ends with them."""

    def __init__(self, http: aiohttp.ClientSession, watch: Watch, *, run: str, judge: Judge = trust) -> None:
        self._sender = Sender(http, watch, run=run)
        self._tasks: list[asyncio.Task[Any]] = []
        base_cents = {article.sku: article.price_cents for article in ASSORTMENT}
        self.inventory = InventoryManager(http, self._sender, watch, judge)
        self.pricing = PricingService(http, self._sender, watch, base_cents)
        self.recommendation = RecommendationService(http, watch)
        self.dashboard = Dashboard(http, watch)

    @property
    def streams(self) -> dict[str, Stream]:
        """Those that can be dropped, by the name of their reader."""
        return {
            PRICING: self.pricing.stream,
            RECOMMENDATION: self.recommendation.stream,
            DASHBOARD: self.dashboard.stream,
        }

    def tills(self, *, per_store: int, dice: Random) -> list[Till]:
        """The tills of all stores; those of one store share its articles out among them."""
        return [
            Till(store, ASSORTMENT[number::per_store], self._sender, dice)
            for store in STORES
            for number in range(per_store)
        ]

    async def __aenter__(self) -> Self:
        for reader in (self.inventory, self.pricing, self.recommendation, self.dashboard):
            self.start(reader.run(), name=type(reader).__name__)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, Any], *, name: str) -> None:
        """Run something that lasts as long as the crew."""
        self._tasks.append(asyncio.create_task(work, name=name))

    async def during(self, work: Coroutine[Any, Any, None]) -> None:
        """Do `work` while the crew is at its own. Raises DemoFailed if one of them ends, which none should."""
        main = asyncio.create_task(work)
        try:
            await asyncio.wait([main, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
            _raise_first_end(self._tasks)
            await main
        finally:
            main.cancel()
            await asyncio.gather(main, return_exceptions=True)


def _raise_first_end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    for task in tasks:
        if task.done():
            error = task.exception()
            raise (
                error if isinstance(error, DemoFailed) else DemoFailed(f"{task.get_name()} ended: {error!r}")
            ) from error
