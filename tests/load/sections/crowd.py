"""Up to ten thousand SSE clients that all see every event, beside a bare broadcast of the same bytes."""

from functools import partial

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, broadcast, go
from tests.load.plan import Size
from tests.load.servers import Server
from tests.load.session import Round, Rounds, Session


async def measure(session: Session) -> dict[str, Rounds]:
    """By the number of clients."""
    return {str(size.clients): await _one_size(session, size) for size in session.plan.crowds}


async def _one_size(session: Session, size: Size) -> Rounds:
    name, bootstrap = f"crowd-{size.clients}", session.topics.bootstrap
    candidates = []
    if session.with_bridge:
        topic = await session.topics.make(f"{name}-bridge")
        routes = [bridge_config.stock(topic), bridge_config.feed(topic)]
        candidates.append(bridge(session.write_config(name, routes, streams=size.clients + 100), topic))
    candidates.append(broadcast())
    if session.go:
        candidates.append(go(session.go, bootstrap, await session.topics.make(f"{name}-go")))
    return await session.interleave(name, candidates, session.plan.crowd_rounds, partial(_load, session, size))


async def _load(session: Session, size: Size, candidate: Candidate, server: Server) -> Round:
    return await session.load(
        server,
        "crowd",
        target="/feed",
        clients=size.clients,
        events=size.events,
        events_per_s=size.events_per_s,
        bootstrap=session.topics.bootstrap,
        topic=candidate.topic,
    )
