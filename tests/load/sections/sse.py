"""Many SSE clients that all see every event: of a plain route, and of one with a filter, which is bound in ten ways."""

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go
from tests.load.servers import Server
from tests.load.session import Round, Rounds, Session

FILTERED = "bridge-filtered"


async def measure(session: Session) -> Rounds:
    plan, bootstrap = session.plan, session.topics.bootstrap
    candidates = []
    if session.with_bridge:
        topic = await session.topics.make("sse-bridge")
        config = session.write_config("sse", [bridge_config.stock(topic), bridge_config.feed(topic)])
        candidates.append(bridge(config, topic))
        topic = await session.topics.make("sse-filtered")
        config = session.write_config("sse-filtered", [bridge_config.stock(topic), bridge_config.filtered_feed(topic)])
        candidates.append(bridge(config, topic, name=FILTERED))
    if session.go:
        candidates.append(go(session.go, bootstrap, await session.topics.make("sse-go")))

    async def one(candidate: Candidate, server: Server) -> Round:
        return await session.load(
            server,
            "stream",
            target="/filtered?least=-100{n}" if candidate.name == FILTERED else "/feed",  # below every event's number
            clients=plan.sse_clients,
            events=plan.sse_events,
            events_per_s=plan.sse_events_per_s,
            bootstrap=bootstrap,
            topic=candidate.topic,
        )

    return await session.interleave("sse", candidates, plan.sse_rounds, one)
