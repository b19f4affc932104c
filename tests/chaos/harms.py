"""Everything that can be done to the stage: whom it hits, what it does, how it is undone.

A harm is done on entering, and healed on leaving: whoever was hit works again then.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from tests.chaos.link import Link
from tests.chaos.stage import BROKERS, PARTITIONS, REPLICAS, Stage

CLOCK_JUMPS_MS = (-86_400_000, 1_800_000, 7_200_000)  # a day back; half an hour on; two hours on: Kafka refuses that
SLOW_S = (0.05, 0.3)

Aim = Callable[[Stage, int], Awaitable[int]]  # any number, to a broker or a replica, which count from 0
Harm = Callable[[Stage, int, float], AbstractAsyncContextManager[None]]  # whom; how much, from 0 to 1


# ---- whom


async def leader(stage: Stage, number: int) -> int:
    return await stage.leader(number % PARTITIONS)


async def controller(stage: Stage, number: int) -> int:
    return stage.controller()


async def broker(stage: Stage, number: int) -> int:
    return number % BROKERS


async def replica(stage: Stage, number: int) -> int:
    return number % REPLICAS


# ---- what


@asynccontextmanager
async def killed(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    stage.kafka.kill(target)
    yield
    stage.kafka.nodes[target].start()
    await stage.whole()


@asynccontextmanager
async def frozen(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    stage.kafka.freeze(target)
    yield
    stage.kafka.thaw(target)
    await stage.whole()


@asynccontextmanager
async def outnumbered(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    """The broker is killed and the next one frozen: one alone may write nothing."""
    other = (target + 1) % BROKERS
    stage.kafka.freeze(other)
    stage.kafka.kill(target)
    yield
    stage.kafka.thaw(other)
    stage.kafka.nodes[target].start()
    await stage.whole()


def front(spoil: Callable[[Link, float], None]) -> Harm:
    """The line from the bridges to a broker."""

    @asynccontextmanager
    async def harm(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
        spoil(stage.fronts[target], amount)
        yield
        stage.fronts[target].heal()

    return harm


def door(spoil: Callable[[Link, float], None]) -> Harm:
    """The line from the clients to a replica."""

    @asynccontextmanager
    async def harm(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
        spoil(stage.replicas[target].door, amount)
        yield
        stage.replicas[target].door.heal()

    return harm


def stall(line: Link, amount: float) -> None:
    line.stall()


def mute(line: Link, amount: float) -> None:
    line.mute()


def cut(line: Link, amount: float) -> None:
    line.cut()


def slow(line: Link, amount: float) -> None:
    line.slow(SLOW_S[0] + amount * (SLOW_S[1] - SLOW_S[0]))


@asynccontextmanager
async def crashed(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    stage.replicas[target].bridge.kill()
    yield
    await stage.replicas[target].start()


@asynccontextmanager
async def stopped(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    await stage.replicas[target].end()
    yield
    await stage.replicas[target].start()


@asynccontextmanager
async def paused(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    stage.replicas[target].freeze()
    yield
    stage.replicas[target].thaw()


@asynccontextmanager
async def mistimed(stage: Stage, target: int, amount: float) -> AsyncIterator[None]:
    """Its wall clock is wrong, from a restart to the next one."""
    one = stage.replicas[target]
    await one.end()
    await one.start(clock_offset_ms=CLOCK_JUMPS_MS[int(amount * len(CLOCK_JUMPS_MS))])
    yield
    await one.end()
    await one.start()


# ---- all of them


@dataclass(frozen=True, slots=True)
class Kind:
    aim: Aim
    harm: Harm
    least_s: float  # it lasts so long at least,
    most_s: float  # and at most


BROKER_KINDS = {
    "kill leader": Kind(leader, killed, 2, 6),
    "freeze leader": Kind(leader, frozen, 2, 7),  # a broker not heard of for 3 s loses its partitions
    "freeze leader for long": Kind(leader, frozen, 11, 13),  # longer than the bridge waits for Kafka's answer
    "kill controller": Kind(controller, killed, 1, 4),
    "freeze controller": Kind(controller, frozen, 3, 7),
    "kill one, freeze another": Kind(broker, outnumbered, 2, 5),
    "stall line to leader": Kind(leader, front(stall), 2, 6),
    "stall line to leader for long": Kind(leader, front(stall), 11, 13),
    "mute line to leader": Kind(leader, front(mute), 2, 6),
    "cut lines to leader": Kind(leader, front(cut), 0, 0.1),
    "slow line to leader": Kind(leader, front(slow), 3, 6),
}
REPLICA_KINDS = {
    "kill replica": Kind(replica, crashed, 0, 2),
    "restart replica": Kind(replica, stopped, 0, 1),
    "freeze replica": Kind(replica, paused, 1, 8),
    "shift clock of replica": Kind(replica, mistimed, 2, 6),
    "stall line to replica": Kind(replica, door(stall), 1, 8),
    "mute line to replica": Kind(replica, door(mute), 1, 5),
    "cut lines to replica": Kind(replica, door(cut), 0, 0.1),
    "slow line to replica": Kind(replica, door(slow), 2, 6),
}
