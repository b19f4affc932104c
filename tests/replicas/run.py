"""One round: the replicas are read from and harmed while records are added, and then read out to the end.

load     writers write, clients read, faults come; the topic grows in the middle
drain    everybody is well again, and the clients read on until each record is accepted
quiet    they read on for longer than a lease lasts: what was not really accepted comes again
anew     all replicas are killed and started again, and are read from: what Kafka does not have comes again
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from tests.chaos.tracks import Happened, Track, play
from tests.kafka.cluster import Kafka
from tests.replicas.harms import strike
from tests.replicas.load import RESTS_S, Client, World, write
from tests.replicas.stage import LEASE_MS, Stage
from tests.replicas.verdict import Judge, Verdict

CLIENTS = 12
PER_S = 200.0
DRAINS_WITHIN_S = 60.0
QUIET_S = LEASE_MS / 1000 + 1
ANEW_S = 3.0

Watch = Callable[[Stage, World], Coroutine[Any, Any, None]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The load lasts `lasts_s`; the rest takes about 20 s more."""

    seed: int
    lasts_s: float
    tracks: Sequence[Track]
    clients: int = CLIENTS
    per_s: float = PER_S


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a plan. `answers`: what clients were answered; `troubles`: what the bridges warned of."""

    plan: Plan
    verdict: Verdict
    happened: Sequence[Happened]
    answers: Counter[str]
    troubles: Counter[str]
    drained_s: float  # how long it took until everything was accepted


async def unwatched(stage: Stage, world: World) -> None: ...


async def run(plan: Plan, kafka: Kafka, directory: Path, watch: Watch = unwatched) -> Round:
    """Play it. Everybody's log stays in `directory`, and in `diary.jsonl` what each client did and saw.

    `watch` may look on, until it is cancelled.
    """
    with (directory / "diary.jsonl").open("w") as diary:
        return await _run(plan, kafka, directory, diary, watch)


async def _run(plan: Plan, kafka: Kafka, directory: Path, diary: TextIO, watch: Watch) -> Round:
    async with Stage(kafka, directory) as stage:
        world = World(stage.ports, Judge(), diary)
        async with reading(world, stage.group, plan), watched(watch(stage, world)):
            happened = await harmed(stage, world, plan)
            drained_s = await drain(stage, world)
            await asyncio.sleep(QUIET_S)
        await anew(stage, world, plan)
        for partition, committed, end in await stage.commits():
            world.judge.left(partition, committed, end)
        return Round(plan, world.judge.verdict(world.now_s), happened, world.answers, stage.troubles(), drained_s)


@asynccontextmanager
async def watched(watching: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(watching, name="watch")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
    if not task.cancelled():
        task.result()


@asynccontextmanager
async def reading(world: World, group: str, plan: Plan) -> AsyncIterator[None]:
    """The clients. On leaving, each has done what it was about to do."""
    world.over.clear()
    async with asyncio.TaskGroup() as tasks:
        for number in range(plan.clients):
            tasks.create_task(Client(number, world, group, plan.seed).run())
        try:
            yield
        finally:
            world.over.set()


async def harmed(stage: Stage, world: World, plan: Plan) -> list[Happened]:
    """Write for as long as the plan says, and let the faults come."""
    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write(stage.kafka.bootstrap, stage.topic, world, plan.per_s, over))
        played = [tasks.create_task(play(partial(strike, stage), one, over, world.began_s)) for one in plan.tracks]
        await asyncio.sleep(plan.lasts_s)
        over.set()
    return sorted((one for track in played for one in track.result()), key=lambda one: one.began_s)


async def drain(stage: Stage, world: World) -> float:
    """Wait until every record is accepted, as far as anybody was told; the seconds it took. Bounded: see the judge."""
    began_s = world.now_s
    await stage.whole()
    while world.judge.missing and world.now_s - began_s < DRAINS_WITHIN_S:
        await asyncio.sleep(RESTS_S)
    return world.now_s - began_s


async def anew(stage: Stage, world: World, plan: Plan) -> None:
    """Forget all that the bridges know, and read again."""
    stage.kill()
    await stage.restart()
    async with reading(world, stage.group, plan):
        await asyncio.sleep(ANEW_S)
