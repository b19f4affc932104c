"""Records that lie ready, read to the end by several readers of a group, which acknowledge every hundred of them."""

from itertools import product

from tests.kafka.node import free_ports
from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go
from tests.load.sections.workers import all_serve
from tests.load.servers import ServerFailed, serving
from tests.load.session import NoFigure, Round, Rounds, Session
from tests.load.usage import cpu_s

TIMEOUT_S = 60.0


async def measure(session: Session) -> dict[str, Rounds]:
    """By number of readers: `bridge`, `workers-2`, `go`. Each round is a new process and a new group."""
    plan, topic = session.plan, await session.topics.make("group")
    session.say(f"group: writing {max(plan.group_records.values()):,} records")
    await session.topics.fill(topic, max(plan.group_records.values()))

    results: dict[str, Rounds] = {str(readers): {} for readers in plan.group_records}
    failed: set[str] = set()
    for number, readers in product(range(1, plan.group_rounds + 1), plan.group_records):
        for candidate in _candidates(session, topic, f"{readers}-{number}"):
            if candidate.name in failed:
                continue
            session.say(f"group: round {number} of {plan.group_rounds}, {readers} readers, {candidate.name}")
            try:
                measured = await _one(session, candidate, readers)
            except (NoFigure, ServerFailed) as reason:
                session.fail(candidate, "group", reason)
                failed.add(candidate.name)
            else:
                results[str(readers)].setdefault(candidate.name, []).append(measured)
    for rounds in results.values():
        for name in failed:
            rounds.pop(name, None)
    return results


def _candidates(session: Session, topic: str, name: str) -> list[Candidate]:
    found = []
    if session.with_bridge:
        for candidate, workers in (("bridge", 1), ("workers-2", 2)):
            routes = [bridge_config.stock(topic), bridge_config.drain(topic, f"{topic}-{candidate}-{name}")]
            config = session.write_config(f"group-{candidate}", routes, free_ports(workers))
            found.append(bridge(config, topic, name=candidate, workers=workers))
    if session.go:
        found.append(go(session.go, session.topics.bootstrap, topic, group=f"{topic}-go-{name}"))
    return found


async def _one(session: Session, candidate: Candidate, readers: int) -> Round:
    async with serving(candidate, session.log(candidate)) as server:
        if candidate.name != "go":
            await all_serve(session, candidate)
        return await session.load(
            server,
            "pollers",
            target="/drain?max=100",
            readers=readers,
            expected=session.plan.group_records[readers],
            timeout_s=TIMEOUT_S,
            cpu_before_s=cpu_s(server.pid),
        )
