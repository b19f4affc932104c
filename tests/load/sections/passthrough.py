"""What a request costs that only goes through: beside the least that aiohttp needs for it, and nginx."""

from pathlib import Path

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, forwarder, legacy, nginx
from tests.load.servers import Server, serving
from tests.load.session import Round, Rounds, Session


async def measure(session: Session) -> Rounds:
    """All candidates pass on to one service, which is not measured."""
    behind = legacy()
    async with serving(behind, session.log(behind)) as service:
        url = f"http://127.0.0.1:{service.port}"
        candidates = [forwarder(url)]
        if session.with_bridge:
            candidates.insert(0, bridge(_config(session, url), None))
        if found := nginx(url, session.directory):
            candidates.append(found)

        async def one(candidate: Candidate, server: Server) -> Round:
            return await session.post(candidate, server, session.plan.passthrough_connections)

        return await session.interleave("passthrough", candidates, session.plan.passthrough_rounds, one)


def _config(session: Session, url: str) -> Path:
    path = session.directory / "passthrough.yaml"
    upstreams = {"legacy": {"url": url}}
    return bridge_config.write(path, session.topics.bootstrap, [bridge_config.passthrough()], upstreams=upstreams)
