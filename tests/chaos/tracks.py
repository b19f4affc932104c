"""Faults one after the other: dealt out for a seed, and played against whatever is harmed.

Within a track one fault has healed before the next begins, so a schedule's times are the earliest. A track deals its
deck out before it shuffles again: one that is long enough has every kind.
"""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

APART_S = (1.0, 4.0)  # unless it is said otherwise


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


class Lasting(Protocol):
    """A kind of fault, as far as a track needs to know it."""

    @property
    def least_s(self) -> float: ...

    @property
    def most_s(self) -> float: ...


Track = Sequence[Fault]
Strike = Callable[[Fault], AbstractAsyncContextManager[int]]  # done on entering, healed on leaving; tells whom it hit


def deal(
    dice: random.Random, kinds: Mapping[str, Lasting], lasts_s: float, apart_s: tuple[float, float] = APART_S
) -> Track:
    """Faults of these kinds for a load of so many seconds, the next at least and at most so long after one's end."""
    faults: list[Fault] = []
    deck: list[str] = []
    at_s = dice.uniform(*apart_s)
    while at_s < lasts_s:
        deck = deck or dice.sample(list(kinds), len(kinds))
        name = deck.pop()
        fault_s = dice.uniform(kinds[name].least_s, kinds[name].most_s)
        faults.append(Fault(at_s, fault_s, name, dice.randrange(1_000), dice.random()))
        at_s += fault_s + dice.uniform(*apart_s)
    return faults


async def play(strike: Strike, track: Track, over: asyncio.Event, began_s: float) -> list[Happened]:
    """Let these faults come, until all have or the load is over. On return all are healed."""
    happened: list[Happened] = []
    for fault in track:
        await _pause(over, began_s + fault.at_s - time.monotonic())
        if over.is_set():
            break
        at_s = time.monotonic() - began_s
        async with strike(fault) as hit:
            await _pause(over, fault.lasts_s)
        happened.append(Happened(fault, hit, at_s, time.monotonic() - began_s))
    return happened


async def _pause(over: asyncio.Event, seconds: float) -> None:
    """So long, or until the load is over."""
    try:
        await asyncio.wait_for(over.wait(), max(0.0, seconds))
    except TimeoutError:
        return
