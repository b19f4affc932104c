"""The stores: each posts one movement after the other, and has no idea that anything is moving."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from random import Random

import aiohttp

STORES = ("berlin", "hamburg", "koeln", "leipzig", "muenchen", "stuttgart", "dresden", "bremen")
ARTICLES = ("espresso", "green-tea", "oat-drink", "butter", "honey")
PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Accepted:
    """A movement that was answered 200, and the stage that the answer named."""

    key: str
    movement: str
    stage: str


@dataclass(slots=True)
class Stores:
    """All of them. Every answer but 200 with `ok` is an error that a client sees."""

    http: aiohttp.ClientSession
    accepted: list[Accepted] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    stages: Counter[str] = field(default_factory=Counter)

    async def never_stop(self) -> None:
        """Until cancelled, which waits for the answers that are under way."""
        closing = asyncio.Event()
        tasks = [asyncio.create_task(self._work(store, Random(store), closing)) for store in STORES]
        try:
            await asyncio.gather(*tasks)
        finally:
            closing.set()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, store: str, dice: Random, closing: asyncio.Event) -> None:
        for number in count():
            if closing.is_set():
                return
            await asyncio.shield(asyncio.create_task(self._move(store, dice.choice(ARTICLES), f"{store}-{number}")))
            await asyncio.sleep(PAUSE_S)

    async def _move(self, store: str, sku: str, movement: str) -> None:
        body = {"movement": movement, "sku": sku, "quantity": 1}
        try:
            async with self.http.post(f"/stores/{store}/stock", json=body) as answer:
                text, stage = await answer.text(), answer.headers.get("stepbridge-stage", "?")
                if answer.status != 200 or '"ok"' not in text:
                    self.errors.append(f"{movement}: {answer.status} {text[:200]}")
                    return
        except (aiohttp.ClientError, TimeoutError) as error:
            self.errors.append(f"{movement}: {type(error).__name__} {error}")
            return
        self.accepted.append(Accepted(f"{store}:{sku}", movement, stage))
        self.stages[stage] += 1


def order_by_key(movements: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The movements of each key, in their order, each once."""
    found: dict[str, dict[str, None]] = {}
    for key, movement in movements:
        found.setdefault(key, {})[movement] = None
    return {key: list(each) for key, each in found.items()}
