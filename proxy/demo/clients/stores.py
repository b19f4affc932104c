"""A store: POSTs its sales, its counts and its promotions, as its till has always done.

One till works through its articles one after another, each POST after the answer to the last: that is what keeps the
events of one article in order.
"""

from collections.abc import AsyncIterator, Sequence
from random import Random

from proxy.demo.clients.post import Sender
from proxy.demo.retail import MOST, PROMOTIONS, SALES, STOCK, Article, Shelf

DELIVERY = 40  # pieces: a shelf is filled up to this


class Till:
    """One till of one store, with the shelves it sells from."""

    def __init__(self, store: str, articles: Sequence[Article], sender: Sender, dice: Random) -> None:
        self._store = store
        self._articles = articles
        self._sender = sender
        self._dice = dice
        self._left = {article.sku: dice.randint(MOST, DELIVERY) for article in articles}

    def __repr__(self) -> str:
        return f"<Till {self._store} {len(self._articles)} articles>"

    async def round(self) -> AsyncIterator[None]:
        """Once through the articles, a POST a step, so that the caller sets the pace."""
        for article in self._articles:
            await self._sell(article)
            yield
            emptied = self._left[article.sku] < MOST
            if emptied or self._dice.random() < 0.5:
                await self._count(article)
                yield
            if emptied:  # the lorry comes; the next count tells
                self._left[article.sku] = DELIVERY
            if self._dice.random() < 0.1:
                await self._promote(article)
                yield

    async def _sell(self, article: Article) -> None:
        sold = self._dice.randint(1, article.most)
        self._left[article.sku] -= sold
        await self._post("sales", SALES, article, quantity=sold, price_cents=article.price_cents)

    async def _count(self, article: Article) -> None:
        await self._post("stock", STOCK, article, quantity=self._left[article.sku])

    async def _promote(self, article: Article) -> None:
        await self._post("promotions", PROMOTIONS, article, percent_off=self._dice.choice([0, 0, 10, 20, 30]))

    async def _post(self, what: str, topic: str, article: Article, **fields: int) -> None:
        key = Shelf(self._store, article.sku).key
        await self._sender.post(f"/stores/{self._store}/{what}", topic, key, sku=article.sku, **fields)
