"""Which faults come when, for a seed, and how each comes to the stage.

Two tracks run side by side: one for brokers and the lines to them, one for bridges and the lines to those.
"""

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.chaos.harms import BROKER_KINDS, REPLICA_KINDS
from tests.chaos.stage import Stage
from tests.chaos.tracks import Fault, Track, deal

KINDS = BROKER_KINDS | REPLICA_KINDS


def schedule(seed: int, lasts_s: float) -> list[Track]:
    """The tracks for a load of so many seconds. The same for the same arguments."""
    decks = {"brokers": BROKER_KINDS, "replicas": REPLICA_KINDS}
    return [deal(random.Random(f"{seed}/{name}"), deck, lasts_s) for name, deck in decks.items()]


@asynccontextmanager
async def strike(stage: Stage, fault: Fault) -> AsyncIterator[int]:
    """Do it to the stage; on leaving it is healed. Tells whom it hit."""
    kind = KINDS[fault.kind]
    hit = await kind.aim(stage, fault.aim)
    async with kind.harm(stage, hit, fault.amount):
        yield hit
