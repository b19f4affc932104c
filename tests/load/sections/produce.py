"""A POST of 250 bytes, answered after the acknowledgement of all in-sync replicas."""

import orjson
from aiokafka.errors import KafkaError

from tests.load import bridge_config
from tests.load.candidates import Candidate, bare, bridge, go, minimal
from tests.load.loader.payload import stock_body
from tests.load.servers import PROBE_SKU, PROBE_STORE, Server
from tests.load.session import NoFigure, Round, Rounds, Session


async def measure(session: Session) -> dict[str, Rounds]:
    """By number of connections."""
    candidates = await _candidates(session)
    results = {}
    for connections in session.plan.connections:

        async def one(candidate: Candidate, server: Server, connections: int = connections) -> Round:
            if candidate.topic:
                await _check_receipt(session, server)
            return await session.post(candidate, server, connections)

        section = f"produce, {connections} connections"
        done = await session.interleave(section, candidates, session.plan.rounds, one)
        candidates = [candidate for candidate in candidates if candidate.name in done]
        results[str(connections)] = done
    return results


async def _candidates(session: Session) -> list[Candidate]:
    bootstrap = session.topics.bootstrap
    found = [bare(), minimal(bootstrap, await session.topics.make("produce-minimal"))]
    if session.with_bridge:
        topic = await session.topics.make("produce-bridge")
        config = session.write_config("produce", [bridge_config.stock(topic)])
        found.insert(0, bridge(config, topic))
    if session.go:
        found.append(go(session.go, bootstrap, await session.topics.make("produce-go")))
    return found


async def _check_receipt(session: Session, server: Server) -> None:
    """The record is where the first answer says, under the key and with the bytes that were sent."""
    receipt = orjson.loads(server.first_answer.body)
    try:
        found = await session.topics.read(receipt["topic"], receipt["partition"], receipt["offset"])
    except (KafkaError, TimeoutError) as exc:
        raise NoFigure(f"the record of this receipt cannot be read ({exc!r}): {receipt}") from exc
    if found != (f"{PROBE_STORE}:{PROBE_SKU}".encode(), stock_body(PROBE_SKU)):
        raise NoFigure(f"the record is not where the receipt says: {receipt}")
