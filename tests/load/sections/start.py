"""From exec to the first answered request, and what the process then holds."""

import asyncio

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go, minimal
from tests.load.servers import ServerFailed, serving
from tests.load.session import Round, Rounds, Session
from tests.load.usage import memory

SETTLE_S = 1.5  # groups are joined and first fetches answered by then


async def measure(session: Session) -> Rounds:
    """The bridge runs a retail file: three produce routes, two groups, a stream."""
    topic = await session.topics.make("start")
    candidates = _candidates(session, topic)
    results: Rounds = {}
    for number in range(1, session.plan.starts + 1):
        for candidate in list(candidates):
            session.say(f"start: {number} of {session.plan.starts}, {candidate.name}")
            try:
                results.setdefault(candidate.name, []).append(await _one(session, candidate))
            except ServerFailed as reason:
                session.fail(candidate, "start", reason)
                candidates.remove(candidate)
    return {name: rounds for name, rounds in results.items() if len(rounds) == session.plan.starts}


def _candidates(session: Session, topic: str) -> list[Candidate]:
    bootstrap = session.topics.bootstrap
    found = [minimal(bootstrap, topic)]
    if session.with_bridge:
        config = session.write_config("retail", bridge_config.retail(topic, session.topics.run))
        found.insert(0, bridge(config, topic))
    if session.go:
        found.append(go(session.go, bootstrap, topic))
    return found


async def _one(session: Session, candidate: Candidate) -> Round:
    async with serving(candidate, session.log(candidate)) as server:
        await asyncio.sleep(SETTLE_S)
        held = memory(server.pid)
        return {"started_s": server.started_s, "rss_mb": held.rss_mb, "pss_mb": held.pss_mb}
