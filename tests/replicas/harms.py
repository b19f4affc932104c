"""Everything that is done to the replicas: whom it hits, what it does, how it is undone.

A harm is done on entering, and healed on leaving: whoever was hit works again then, or soon.
"""

import random
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from tests.chaos.tracks import Fault, Track, deal
from tests.replicas.stage import REPLICAS, Replica, Stage, tell

APART_S = (3.0, 9.0)  # Kafka takes a session, 6 s, to give up a member: a group is to find itself now and then
EVERYBODY = REPLICAS  # hit, where it is not one replica alone

Harm = Callable[[Stage, Replica, float], AbstractAsyncContextManager[None]]  # how much, from 0 to 1


@asynccontextmanager
async def worker_killed(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    """Its supervisor starts another one."""
    tell(signal.SIGKILL, _one_of(replica.workers, amount))
    yield


@asynccontextmanager
async def worker_frozen(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    hit = _one_of(replica.workers, amount)
    tell(signal.SIGSTOP, hit)
    yield
    tell(signal.SIGCONT, hit)


@asynccontextmanager
async def killed(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    replica.kill()
    yield
    await replica.start()


@asynccontextmanager
async def frozen(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    workers = replica.workers
    tell(signal.SIGSTOP, workers, [replica.bridge.pid])
    yield
    tell(signal.SIGCONT, workers, [replica.bridge.pid])


@asynccontextmanager
async def restarted(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    await replica.end()
    yield
    await replica.start()


@asynccontextmanager
async def all_restarted(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    """One after the other, the next when the one before serves again."""
    for one in stage.replicas:
        await one.end()
        await one.start()
    yield


@asynccontextmanager
async def grown(stage: Stage, replica: Replica, amount: float) -> AsyncIterator[None]:
    await stage.grow()
    yield


def _one_of(workers: list[int], amount: float) -> list[int]:
    """None, where there is none."""
    return [workers[int(amount * len(workers))]] if workers else []


@dataclass(frozen=True, slots=True)
class Kind:
    harm: Harm
    least_s: float = 0  # it lasts so long at least,
    most_s: float = 0  # and at most
    hits_all: bool = False


WORKER_KINDS = {
    "kill worker": Kind(worker_killed),
    "freeze worker": Kind(worker_frozen, 1, 4),
    "freeze worker for long": Kind(worker_frozen, 6.5, 10),  # longer than its session lasts: others take its partitions
}
REPLICA_KINDS = {
    "kill replica": Kind(killed, 0, 3),
    "freeze replica": Kind(frozen, 1, 4),
    "freeze replica for long": Kind(frozen, 6.5, 10),
    "restart replica": Kind(restarted, 0, 1),
    "rolling restart": Kind(all_restarted, hits_all=True),
}
GROW = "grow topic"
KINDS = WORKER_KINDS | REPLICA_KINDS | {GROW: Kind(grown, hits_all=True)}


def schedule(seed: int, lasts_s: float, apart_s: tuple[float, float] = APART_S) -> list[Track]:
    """For a load of so many seconds: workers, replicas, and in the middle more partitions. The same for a seed."""
    decks = {"workers": WORKER_KINDS, "replicas": REPLICA_KINDS}
    tracks = [deal(random.Random(f"{seed}/{name}"), deck, lasts_s, apart_s) for name, deck in decks.items()]
    return [*tracks, [Fault(lasts_s / 2, 0, GROW, aim=0, amount=0)]]


@asynccontextmanager
async def strike(stage: Stage, fault: Fault) -> AsyncIterator[int]:
    """Do it; on leaving it is healed. Tells whom it hit."""
    kind, hit = KINDS[fault.kind], fault.aim % REPLICAS
    async with kind.harm(stage, stage.replicas[hit], fault.amount):
        yield EVERYBODY if kind.hits_all else hit
