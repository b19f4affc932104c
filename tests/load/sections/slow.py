"""A thousand SSE clients that keep up, without and with one among them that does not."""

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge
from tests.load.servers import Server
from tests.load.session import Round, Rounds, Session

WITHOUT, WITH = "slow-none", "slow-one"


async def measure(session: Session) -> Rounds:
    """Each has a bridge of its own, so that one's memory is not the other's."""
    if not session.with_bridge:
        return {}
    plan, candidates = session.plan, []
    for name in (WITHOUT, WITH):
        topic = await session.topics.make(name)
        await session.topics.fill(topic, plan.slow_backlog)
        routes = [bridge_config.stock(topic), bridge_config.feed(topic, allow_from=True)]
        config = session.write_config(name, routes, streams=plan.slow_size.clients + 100)
        candidates.append(bridge(config, topic, name=name))

    async def one(candidate: Candidate, server: Server) -> Round:
        return await session.load(
            server,
            "slow",
            target="/feed",
            slow_target="/feed?from=earliest" if candidate.name == WITH else None,
            clients=plan.slow_size.clients,
            events=plan.slow_size.events,
            events_per_s=plan.slow_size.events_per_s,
            bootstrap=session.topics.bootstrap,
            topic=candidate.topic,
        )

    return await session.interleave("slow", candidates, plan.slow_rounds, one)
