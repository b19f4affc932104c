"""What a second worker costs: as many requests a second for one worker and for two.

So many that one is busy, for nobody starts a second one before: a share of what one alone bears in a closed loop. At
few requests a second each worker has fewer to gather into a batch, and a request costs more for that.
"""

import asyncio
from collections.abc import Awaitable, Callable

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge
from tests.load.servers import START_S, Server
from tests.load.session import NoFigure, Round, Rounds, Session

Measure = Callable[[Candidate, Server], Awaitable[Round]]

COUNTS = (1, 2)
LOOK_EVERY_S = 0.05


async def measure(session: Session) -> Rounds:
    """By number of workers: `workers-1`, `workers-2`. The CPU is that of all processes, the supervisor's too."""
    if not session.with_bridge:
        return {}
    plan, topic = session.plan, await session.topics.make("workers")
    config = session.write_config("workers", [bridge_config.stock(topic)])
    candidates = [bridge(config, topic, name=f"workers-{count}", workers=count) for count in COUNTS]
    peak = await session.interleave("workers, peak of one", candidates[:1], 1, _closed_loop(session))
    if not peak:
        return {}
    per_s = peak[candidates[0].name][0]["per_s"] * plan.workers_share
    return await session.interleave("workers", candidates, plan.workers_rounds, _open_loop(session, per_s))


def _closed_loop(session: Session) -> Measure:
    async def measure(candidate: Candidate, server: Server) -> Round:
        return await session.post(candidate, server, session.plan.workers_connections)

    return measure


def _open_loop(session: Session, per_s: float) -> Measure:
    plan = session.plan

    async def measure(candidate: Candidate, server: Server) -> Round:
        await all_serve(session, candidate)
        return await session.post_by(
            candidate,
            server,
            "open_loop",
            per_s=per_s,
            connections=plan.workers_connections,
            warmup_s=plan.warmup_s,
            window_s=plan.window_s,
        )

    return measure


async def all_serve(session: Session, candidate: Candidate) -> None:
    """Wait until the log says so: the first answer came from whichever was first. Raises NoFigure."""
    try:
        async with asyncio.timeout(START_S):
            while '"event":"listening"' not in session.log(candidate).read_text(errors="replace"):
                await asyncio.sleep(LOOK_EVERY_S)
    except TimeoutError:
        raise NoFigure(f"not all workers serve after {START_S:g} s") from None
