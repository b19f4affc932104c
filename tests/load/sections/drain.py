"""Records that lie ready, read to the end by one long-poll client."""

from itertools import product

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go
from tests.load.plan import WAYS
from tests.load.servers import ServerFailed, serving
from tests.load.session import NoFigure, Round, Rounds, Session

TIMEOUT_S = 30.0  # a reader that is slower than this has no figure, and the others get their turn


async def measure(session: Session) -> Rounds:
    """By candidate and way, `bridge-group` and so on. Each round is a new process, and for a group a new group."""
    topic = await session.topics.make("drain")
    session.say(f"drain: writing {session.plan.drain_records:,} records")
    await session.topics.fill(topic, session.plan.drain_records)

    results: Rounds = {}
    failed: set[str] = set()
    for number, way in product(range(1, session.plan.drain_rounds + 1), WAYS):
        for candidate in _candidates(session, topic, way, number):
            if candidate.name in failed:
                continue
            session.say(f"drain: round {number} of {session.plan.drain_rounds}, {candidate.name}")
            try:
                results.setdefault(candidate.name, []).append(await _one(session, candidate, topic))
            except (NoFigure, ServerFailed) as reason:
                session.fail(candidate, "drain", reason)
                failed.add(candidate.name)
    return {name: rounds for name, rounds in results.items() if name not in failed}


def _candidates(session: Session, topic: str, way: str, number: int) -> list[Candidate]:
    found = []
    if session.with_bridge:
        group = f"{topic}-bridge-{number}" if way == "group" else None
        routes = [bridge_config.stock(topic), bridge_config.drain(topic, group)]
        found.append(bridge(session.write_config(f"drain-{way}", routes), topic, name=f"bridge-{way}"))
    if session.go:
        group = f"{topic}-go-{number}" if way == "group" else ""
        found.append(go(session.go, session.topics.bootstrap, topic, name=f"go-{way}", group=group))
    return found


async def _one(session: Session, candidate: Candidate, topic: str) -> Round:
    async with serving(candidate, session.log(candidate)) as server:
        return await session.load(
            server,
            "drain",
            target="/drain?max=1000",
            expected=await session.topics.count(topic),  # with what the probes have added
            timeout_s=TIMEOUT_S,
            cpu_before_s=server.ready_cpu_s,
        )
