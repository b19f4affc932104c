"""`stepbridge demo --check`: the scenario once, with a few accidents, and then the judgement."""

import asyncio
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from uuid import uuid4

import aiohttp
from rich.console import Console

from proxy.clock import Deadline
from proxy.demo.clients.stores import Till
from proxy.demo.clients.stream import Stream
from proxy.demo.crew import Crew
from proxy.demo.disturbance import Doubts, Drops
from proxy.demo.journal import Journal
from proxy.demo.process import DemoFailed
from proxy.demo.report import print_verdict
from proxy.demo.retail import DASHBOARD, READS
from proxy.demo.stage import Options, Say, client_session, set_stage
from proxy.demo.verdict import Verdict, judge

LOOK_EVERY_S = 0.1


@dataclass(frozen=True, slots=True)
class Script:
    """How much is played, and what goes wrong."""

    rounds: int = 16  # of each till through its articles
    tills_per_store: int = 4
    open_within_s: float = 10.0  # the dashboard's stream
    arrive_within_s: float = 25.0  # the last record to the last reader, leases that run out included
    quiet_s: float = 11.0  # in which nothing may come again: longer than the lease in retail.yaml
    drops: Mapping[str, Sequence[int]] = field(default_factory=lambda: {DASHBOARD: (400, 1200)})


async def check(options: Options, console: Console) -> int:
    """Play, judge, print. Returns 0 if every reader saw what it should, else 1. Raises DemoFailed."""

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    async with set_stage(options, say) as bridge, client_session(bridge.url) as http:
        verdict = await play(http, Script(), say, bridge.lasts())
    if bridge.child.killed:
        verdict.failures.append("the bridge had to be killed: it did not end in time when it was asked to")
    print_verdict(console, verdict)
    return 0 if verdict.good else 1


async def play(http: aiohttp.ClientSession, script: Script, say: Say, *lasting: Coroutine[None, None, None]) -> Verdict:
    """The scenario against the bridge behind `http`, whatever that is. `lasting` ends only if something is wrong."""
    doubts, drops = Doubts(), Drops(script.drops)
    journal = Journal(run=f"{uuid4().hex[:8]}-", sighted=drops.sighted)
    crew = Crew(http, journal, run=journal.run, judge=doubts)
    drops.streams = crew.streams
    async with crew:
        for each in lasting:
            crew.start(each, name="the bridge")
        await crew.during(_perform(crew, journal, script, say))
    verdict = judge(journal, READS)
    return replace(verdict, failures=[*verdict.failures, *doubts.shortfalls(), *drops.shortfalls()])


async def _perform(crew: Crew, journal: Journal, script: Script, say: Say) -> None:
    """Everything is sent, everything arrives, and then for a while nothing may come again."""
    await _open(crew.dashboard.stream, script.open_within_s)  # it has no group: it sees what is sent from here on
    tills = crew.tills(per_store=script.tills_per_store, dice=Random(1))
    say("the stores begin to send")
    await _work(tills, script.rounds // 2)
    await _arrival(journal, crew.streams, script.arrive_within_s, say)
    _drop(crew.streams)
    say(f"{len(journal.posts)} records were sent, and all streams lost their connection; the stores go on")
    await _work(tills, script.rounds - script.rounds // 2)
    say(f"{len(journal.posts)} records were sent; waiting for the last of them to reach every reader")
    await _arrival(journal, READS, script.arrive_within_s, say)
    _drop(crew.streams)
    say(f"all streams lost their connection again; for {script.quiet_s:g} s nothing may come a second time")
    await asyncio.sleep(script.quiet_s)


async def _open(stream: Stream, within_s: float) -> None:
    try:
        await asyncio.wait_for(stream.opened.wait(), within_s)
    except TimeoutError:
        raise DemoFailed(f"{stream!r} did not open within {within_s:g} s: {stream.trouble}") from None


async def _work(tills: Iterable[Till], rounds: int) -> None:
    async def work(till: Till) -> None:
        for _ in range(rounds):
            async for _ in till.round():
                pass

    await asyncio.gather(*(work(till) for till in tills))


async def _arrival(journal: Journal, readers: Iterable[str], within_s: float, say: Say) -> None:
    """Until these have accepted everything, or time is up: what is missing then is for the verdict to say."""
    reads = {reader: READS[reader] for reader in readers}
    deadline = Deadline.after(within_s)
    while any((waiting := journal.waiting(reads)).values()):
        if not deadline.remaining_s():
            say("time is up; not accepted yet: " + ", ".join(f"{reader} {count}" for reader, count in waiting.items()))
            return
        await asyncio.sleep(LOOK_EVERY_S)


def _drop(streams: Mapping[str, Stream]) -> None:
    for stream in streams.values():
        stream.drop()
