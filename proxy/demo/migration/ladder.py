"""Up and down the ladder, as an operator would climb it: through the admin side, with the numbers at each rung."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import aiohttp

from proxy.clock import Deadline
from proxy.demo.process import DemoFailed

ROUTE = "stock"
LOOK_S = 0.2
WITHIN_S = 20.0
TRIES = 8  # of a change that is abandoned: nobody noticed
BEHIND = 500  # records that a replay which follows may lie behind stores that never stop


@dataclass(frozen=True, slots=True)
class Rung:
    stage: str
    rollout: str | None
    why: str

    @property
    def shown(self) -> str:
        return f"{self.stage} {self.rollout}" if self.rollout else self.stage


UP = (
    Rung("shadow", "25%", "a quarter of the keys, to see whether they make records"),
    Rung("shadow", None, "all of them"),
    Rung("dual", None, "both take each movement; the old service answers"),
    Rung("kafka", "25%", "a quarter of the keys without the old service"),
    Rung("kafka", None, "all of them"),
)
DOWN = (
    Rung("dual", None, "back, after the old service was sent what it had not seen"),
    Rung("shadow", None, "the old service alone has the last word again"),
    Rung("legacy", None, "where it began"),
)


class Ladder:
    """`refused` collects what the bridge would not do without more."""

    def __init__(self, admin: aiohttp.ClientSession, say: Callable[[str], None]) -> None:
        self._admin = admin
        self._say = say

    async def known(self) -> None:
        """Until the bridge knows where the route stands."""
        deadline = Deadline.after(WITHIN_S)
        while not (await self._ask("GET", "")).get("is_fresh"):
            if not deadline.remaining_s():
                raise DemoFailed("the bridge does not read its control topic")
            await asyncio.sleep(LOOK_S)

    async def climb(self, rung: Rung) -> None:
        """Raises DemoFailed if the bridge does not go there."""
        query = {"stage": rung.stage, "why": rung.why, "who": "the walk-through"}
        if rung.rollout:
            query["rollout"] = rung.rollout
        for _ in range(TRIES):
            done = await self._ask("POST", "/set", query)
            if done.get("status", 200) != 503:
                break
            self._say(f"not yet: {done['detail']}")
            await asyncio.sleep(1.0)
        if done.get("status", 200) != 200:
            raise DemoFailed(f"`migrate set {ROUTE} {rung.shown}` was answered {done['status']}: {done.get('detail')}")

    async def descent_is_refused(self) -> int:
        """A descent from kafka that nobody was prepared for: how many records stand against it."""
        done = await self._ask("POST", "/set", {"stage": "dual", "why": "too soon"})
        if done.get("code") != "step_refused":
            raise DemoFailed(f"a descent with records that the old service has not seen was answered {done}")
        return int(done["legacy_missed"])

    async def replay(self) -> None:
        """Have the old service sent what it has not seen, and what comes, until a descent ends that."""
        await self._ask("POST", "/replay", {"follow": "1"})
        deadline = Deadline.after(WITHIN_S)
        while (state := await self._ask("GET", "/replay")).get("left", BEHIND + 1) > BEHIND:
            if not deadline.remaining_s():
                raise DemoFailed(f"the replay does not get there: {state}")
            await asyncio.sleep(LOOK_S)

    async def stop_replay(self) -> None:
        await self._ask("POST", "/replay/stop")

    async def report(self) -> dict[str, Any]:
        """What the bridge says of the route."""
        return await self._ask("GET", "/report")

    async def _ask(self, method: str, what: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        async with self._admin.request(method, f"/admin/migration/{ROUTE}{what}", params=query) as answer:
            told: dict[str, Any] = await answer.json(content_type=None)
            return told
