"""One round: the stage is set, the load and the faults run side by side, the log is read and judged."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.chaos.faults import strike
from tests.chaos.forms import ARRAY, LINES, ONE
from tests.chaos.load import Client, Pace
from tests.chaos.stage import TOPIC, Stage
from tests.chaos.tracks import Happened, Track, play
from tests.chaos.verdict import Found, Told, Verdict, judge
from tests.chaos.writing import found

CLIENTS = 64
FORMS = (*[ONE] * 6, ARRAY, LINES)  # of every eight clients
READ_WITHIN_S = 60.0
GRACE = 1.25


@dataclass(frozen=True, slots=True)
class Plan:
    """`records` in all, sent evenly over `lasts_s` seconds, or as many as fit into GRACE times that."""

    seed: int
    records: int
    lasts_s: float
    tracks: Sequence[Track]
    clients: int = CLIENTS


@dataclass(frozen=True, slots=True)
class Round:
    """What came of a plan. `events`: what the bridges warned of in their logs, and how often."""

    plan: Plan
    verdict: Verdict
    happened: Sequence[Happened]
    events: Counter[str]
    lasted_s: float


async def run(plan: Plan, directory: Path) -> Round:
    """Play it. What clients were told and what was found stays in `directory`, beside everybody's logs."""
    async with Stage(directory) as stage:
        told, happened, lasted_s = await _play(stage, plan)
        await stage.settle()
        log = await _read(stage)
        events = Counter(event for replica in stage.replicas for event in troubles(replica.bridge.log))
    _keep(directory / "told.jsonl", [[t.at_s, t.id, t.key, t.outcome, t.place, t.why] for t in told])
    _keep(directory / "found.jsonl", [[f.place, f.id, f.key] for f in log])
    return Round(plan, judge(told, log, lasted_s=lasted_s), happened, events, lasted_s)


async def _play(stage: Stage, plan: Plan) -> tuple[list[Told], list[Happened], float]:
    """What clients were told, what was done meanwhile, and how long the load lasted."""
    doors = [replica.door.port for replica in stage.replicas]
    clients = [Client(n, doors, plan.seed, FORMS[n % len(FORMS)]) for n in range(plan.clients)]
    shares = [len(range(number, plan.records, plan.clients)) for number in range(plan.clients)]
    over, began_s = asyncio.Event(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        tracks = [group.create_task(play(partial(strike, stage), track, over, began_s)) for track in plan.tracks]
        pace = Pace(began_s, plan.lasts_s / max(shares), plan.lasts_s * GRACE)
        await asyncio.gather(*(client.run(share, pace) for client, share in zip(clients, shares, strict=True)))
        lasted_s = time.monotonic() - began_s
        over.set()
    happened = sorted((one for track in tracks for one in track.result()), key=lambda one: one.began_s)
    return [told for client in clients for told in client.told], happened, lasted_s


async def _read(stage: Stage) -> list[Found]:
    records = await stage.kafka.consume_all(TOPIC, within_s=READ_WITHIN_S)
    return [found(record) for record in records]


def troubles(log: str) -> Iterator[str]:
    """What a bridge warned of, as often as it did; not what aiokafka says of brokers that are down."""
    for line in log.splitlines():
        if not line.startswith("{"):
            yield f"no log line: {line}"
            continue
        entry = json.loads(line)
        if entry["level"] in ("warning", "error") and not entry["logger"].startswith("aiokafka"):
            yield from [f"{entry['logger']}: {entry['event'].splitlines()[0]}"] * (1 + entry.get("suppressed", 0))


def _keep(path: Path, rows: Sequence[object]) -> None:
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
