"""Many records a request: a JSON array, and NDJSON. The figures are of records, not of requests."""

from typing import Any

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go
from tests.load.loader.payload import RECORDS
from tests.load.servers import Server
from tests.load.session import Payload, Round, Rounds, Session

FORMS = (Payload("array", RECORDS), Payload("ndjson", RECORDS, status=207))


async def measure(session: Session) -> dict[str, Rounds]:
    """By form: `array`, `ndjson`."""
    candidates = await _candidates(session)
    results = {}
    for form in FORMS:

        async def one(candidate: Candidate, server: Server, form: Payload = form) -> Round:
            return by_record(await session.post(candidate, server, session.plan.batch_connections, form), form.records)

        done = await session.interleave(f"batch, {form.name}", candidates, session.plan.batch_rounds, one)
        candidates = [candidate for candidate in candidates if candidate.name in done]
        results[form.name] = done
    return results


async def _candidates(session: Session) -> list[Candidate]:
    found = []
    if session.with_bridge:
        topic = await session.topics.make("batch-bridge")
        found.append(bridge(session.write_config("batch", [bridge_config.many(topic)]), topic))
    if session.go:
        found.append(go(session.go, session.topics.bootstrap, await session.topics.make("batch-go")))
    return found


def by_record(measured: dict[str, Any], records: int) -> Round:
    """A round of requests as one of the records in them."""
    per_record = {"per_s": measured["per_s"] * records, "cpu_s_per_10k": measured["cpu_s_per_10k"] / records}
    return {**measured, **per_record}
