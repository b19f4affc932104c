"""What a request costs on the only route of a file, and on the last of a thousand."""

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge
from tests.load.servers import Server
from tests.load.session import Round, Rounds, Session

COUNTS = (1, 1000)
KINDS = {"literal": bridge_config.literal, "templated": bridge_config.templated}


async def measure(session: Session) -> Rounds:
    """By kind and number of routes: `literal-1`, `templated-1000`. All requests go to the route written last."""
    if not session.with_bridge:
        return {}
    topic = await session.topics.make("routes")
    candidates = [_candidate(session, topic, kind, count) for kind in KINDS for count in COUNTS]

    async def one(candidate: Candidate, server: Server) -> Round:
        return await session.post(candidate, server, session.plan.route_connections)

    return await session.interleave("routes", candidates, session.plan.route_rounds, one)


def _candidate(session: Session, topic: str, kind: str, count: int) -> Candidate:
    name = f"{kind}-{count}"
    routes = KINDS[kind](topic, count)
    last = routes[-1]["route"].partition(" ")[2]
    return bridge(session.write_config(name, routes), topic, name=name, path=last)
