"""Replays as one process runs them: what operators read of those before and of the one that runs."""

import asyncio
from collections.abc import AsyncIterator
from typing import cast

import pytest

from proxy.config.model import Config
from proxy.migrate.account import Accounts
from proxy.migrate.chronicle import Replica
from proxy.migrate.control import Control
from proxy.replays import Replays
from proxy.seams.feeds import NewTail
from proxy.seams.topics import Topics
from proxy.seams.upstream import Upstream
from tests.unit.migrate.replayed import ROUTE, TOPIC, ScriptedTail, World, written
from tests.unit.migrate.world import Line
from tests.unit.wait import until

FILE = Config.model_validate(
    {
        "kafka": {"bootstrap_servers": "localhost:9092"},
        "auth": "none",
        "upstreams": {"legacy": {"url": "http://127.0.0.1:1"}},
        "routes": [
            {
                "route": "POST /orders",
                "name": ROUTE,
                "upstream": "legacy",
                "migrate": {"stage": "legacy"},
                "produce": {"topic": TOPIC},
            }
        ],
    }
)


@pytest.fixture
async def world() -> World:
    return World([written(0), written(1)])


@pytest.fixture
async def replays(world: World) -> AsyncIterator[Replays]:
    async with Control(Line([]), Replica("here", "here", 1, 0)) as control:
        new_tail = cast(NewTail, lambda: ScriptedTail(world.records))
        upstream = cast(Upstream, world)
        async with Replays(control, Accounts(), cast(Topics, world), new_tail, lambda _: upstream) as replays:
            replays.follow(FILE)
            await until(lambda: control.is_fresh)
            yield replays


def numbers(replays: Replays) -> dict[str, object]:
    return {sample.name.removeprefix("stepbridge_replay_"): sample.value for sample in replays.samples()}


async def replay(replays: Replays) -> None:
    """From beginning to end, as the control topic tells it."""
    run = (await replays.start(ROUTE, follow=False, skip_refused=True))["run"]
    async with asyncio.timeout(10):
        while [(state := await replays.state(ROUTE))["run"], state["state"]] != [run, "done"]:
            await asyncio.sleep(0.002)


async def test_counters_never_go_back_when_another_replay_begins(replays: Replays, world: World) -> None:
    world.says = [200, 409]
    await replay(replays)
    assert numbers(replays) == {"sent_total": 2, "refused_total": 1, "running": False}
    world.records.append(written(2))
    await replays.start(ROUTE, follow=True, skip_refused=True)
    assert numbers(replays) == {"sent_total": 2, "refused_total": 1, "running": True}
    await until(lambda: numbers(replays)["sent_total"] == 3)
    assert numbers(replays) == {"sent_total": 3, "refused_total": 1, "running": True}
