"""Many SSE clients that all see every event."""

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go
from tests.load.servers import Server
from tests.load.session import Round, Rounds, Session


async def measure(session: Session) -> Rounds:
    plan, bootstrap = session.plan, session.topics.bootstrap
    candidates = []
    if session.with_bridge:
        topic = await session.topics.make("sse-bridge")
        config = session.write_config("sse", [bridge_config.stock(topic), bridge_config.feed(topic)])
        candidates.append(bridge(config, topic))
    if session.go:
        candidates.append(go(session.go, bootstrap, await session.topics.make("sse-go")))

    async def one(candidate: Candidate, server: Server) -> Round:
        return await session.load(
            server,
            "stream",
            target="/feed",
            clients=plan.sse_clients,
            events=plan.sse_events,
            events_per_s=plan.sse_events_per_s,
            bootstrap=bootstrap,
            topic=candidate.topic,
        )

    return await session.interleave("sse", candidates, plan.sse_rounds, one)
