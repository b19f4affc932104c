"""Which faults come when, for a seed; and letting them come.

Two tracks run side by side: one for brokers and the lines to them, one for bridges and the lines to those. Within a
track one fault has healed before the next begins, so a schedule's times are the earliest. Each track deals its deck
out before it shuffles again: a run that is long enough has every kind.
"""

import asyncio
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.chaos.harms import BROKER_KINDS, REPLICA_KINDS, Kind
from tests.chaos.stage import Stage

APART_S = (1.0, 4.0)  # from the end of one fault to the next
KINDS = BROKER_KINDS | REPLICA_KINDS


@dataclass(frozen=True, slots=True)
class Fault:
    """Due `at_s` seconds after the load began. What `aim` and `amount` (0 to 1) mean is its kind's."""

    at_s: float
    lasts_s: float
    kind: str
    aim: int
    amount: float


@dataclass(frozen=True, slots=True)
class Happened:
    """A fault as it came: whom it hit, when it began, and when all was well again."""

    fault: Fault
    hit: int
    began_s: float
    healed_s: float


Track = Sequence[Fault]


def schedule(seed: int, lasts_s: float) -> list[Track]:
    """The tracks for a load of so many seconds. The same for the same arguments."""
    decks = {"brokers": BROKER_KINDS, "replicas": REPLICA_KINDS}
    return [_track(random.Random(f"{seed}/{name}"), deck, lasts_s) for name, deck in decks.items()]


def _track(dice: random.Random, kinds: Mapping[str, Kind], lasts_s: float) -> Track:
    faults: list[Fault] = []
    deck: list[str] = []
    at_s = dice.uniform(*APART_S)
    while at_s < lasts_s:
        deck = deck or dice.sample(list(kinds), len(kinds))
        name = deck.pop()
        fault_s = dice.uniform(kinds[name].least_s, kinds[name].most_s)
        faults.append(Fault(at_s, fault_s, name, dice.randrange(1_000), dice.random()))
        at_s += fault_s + dice.uniform(*APART_S)
    return faults


async def play(stage: Stage, track: Track, over: asyncio.Event, began_s: float) -> list[Happened]:
    """Let these faults come, until all have or the load is over. On return all are healed."""
    happened: list[Happened] = []
    for fault in track:
        await _pause(over, began_s + fault.at_s - time.monotonic())
        if over.is_set():
            break
        kind = KINDS[fault.kind]
        hit, at_s = await kind.aim(stage, fault.aim), time.monotonic() - began_s
        async with kind.harm(stage, hit, fault.amount):
            await _pause(over, fault.lasts_s)
        happened.append(Happened(fault, hit, at_s, time.monotonic() - began_s))
    return happened


async def _pause(over: asyncio.Event, seconds: float) -> None:
    """So long, or until the load is over."""
    try:
        await asyncio.wait_for(over.wait(), max(0.0, seconds))
    except TimeoutError:
        return
