"""The inventory manager: reads changes by long poll, in a group, and raises restock orders.

The group's records are leased to it: it says which it accepts, and which it gives back for another try. What it does
not mention comes again when the lease has run out, so a crash between reading and ordering loses nothing.
"""

import asyncio
from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any

import aiohttp

from proxy.demo.clients.post import Sender, retry_after_s
from proxy.demo.retail import INVENTORY, RESTOCK, STOCK, number_of, shelf_of
from proxy.demo.rules import StockBook
from proxy.demo.watch import Outcome, Seen, Watch

PATH = "/inventory/changes"
WAIT_S = 10


class Choice(StrEnum):
    """What becomes of a leased record. One that is left comes again when its lease has run out."""

    ACCEPT = "accept"
    RELEASE = "release"
    LEAVE = "leave"


Judge = Callable[[Seen], Choice]


def trust(_record: Seen) -> Choice:
    return Choice.ACCEPT


class InventoryManager:
    """`judge` has the first word on each record; one that cannot be acted on is released in any case."""

    def __init__(self, http: aiohttp.ClientSession, sender: Sender, watch: Watch, judge: Judge = trust) -> None:
        self._http = http
        self._sender = sender
        self._watch = watch
        self._judge = judge
        self._book = StockBook()

    async def run(self) -> None:
        """Poll, act, acknowledge, for ever. Ends by cancellation: what was not acknowledged comes again."""
        while True:
            try:
                await self._turn()
            except (aiohttp.ClientError, TimeoutError):
                await asyncio.sleep(1)  # a lost answer loses no record: its lease runs out

    async def _turn(self) -> None:
        async with self._http.get(PATH, headers={"Prefer": f"wait={WAIT_S}"}) as answer:
            if answer.status != 200:
                await asyncio.sleep(retry_after_s(answer, otherwise_s=1))
                return
            page = await answer.json()
        if page["records"]:
            await self._acknowledge(page["lease"], await self._decide(page["records"]))

    async def _decide(self, records: Sequence[Seen]) -> dict[Choice, list[Seen]]:
        decided: dict[Choice, list[Seen]] = {choice: [] for choice in Choice}
        for record in records:
            self._watch.seen(INVENTORY, record)
            choice = self._judge(record)
            if choice is Choice.ACCEPT and not await self._act(record):
                choice = Choice.RELEASE
            decided[choice].append(record)
        return decided

    async def _act(self, record: Seen) -> bool:
        """Take note of a count or a sale, and order if the shelf runs low. False: the order was not taken."""
        shelf, quantity = shelf_of(record), number_of(record, "quantity")
        if shelf is None or quantity is None:
            return True
        notice = self._book.report if record["topic"] == STOCK else self._book.sale
        order = notice(shelf, quantity)
        if order is None:
            return True
        outcome = await self._sender.post(
            "/restock-orders", RESTOCK, shelf.key, store=shelf.store, sku=shelf.sku, quantity=order
        )
        if outcome is Outcome.WRITTEN:
            self._book.ordered(shelf)
        return outcome is Outcome.WRITTEN

    async def _acknowledge(self, lease: str, decided: dict[Choice, list[Seen]]) -> None:
        """Tell the bridge. Only its 200 makes an acceptance true; until then all of it may come again."""
        accepted, released = decided[Choice.ACCEPT], decided[Choice.RELEASE]
        body = {
            "lease": lease,
            "accept": [record["id"] for record in accepted],
            "release": [record["id"] for record in released],
        }
        status = await self._post_ack(body)
        if status == 200:
            self._watch.accepted(INVENTORY, accepted)
            self._watch.returned(INVENTORY, released + decided[Choice.LEAVE])
        else:  # 409: the lease has expired or moved
            self._watch.returned(INVENTORY, accepted + released + decided[Choice.LEAVE])

    async def _post_ack(self, body: dict[str, Any]) -> int:
        """POST it until it is answered for good: a repeated ack is harmless."""
        while True:
            try:
                async with self._http.post(f"{PATH}/ack", json=body) as answer:
                    if answer.status < 500:
                        return answer.status
                    pause_s = retry_after_s(answer, otherwise_s=1)
            except (aiohttp.ClientError, TimeoutError):
                pause_s = 1
            await asyncio.sleep(pause_s)
