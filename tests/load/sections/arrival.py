"""A record on its way from a POST to a poll that waits for it: in one process, in two workers, between two replicas."""

from contextlib import AsyncExitStack
from itertools import product

from tests.kafka.node import free_ports
from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge, go
from tests.load.sections.workers import all_serve
from tests.load.servers import ServerFailed, serving
from tests.load.session import NoFigure, Round, Rounds, Session

WORKERS = {"bridge": (1,), "workers-2": (2,), "replicas": (1, 1)}  # of each replica
BETWEEN = 0.1  # of the rate, between replicas: that is about the way, not about the load


async def measure(session: Session) -> Rounds:
    """`bridge`, `workers-2`, `go`, and `replicas`: posted to one and read from the other."""
    plan = session.plan
    names = [*(WORKERS if session.with_bridge else ()), *(["go"] if session.go else [])]
    results: Rounds = {name: [] for name in names}
    for number, name in product(range(1, plan.arrival_rounds + 1), names):
        if name not in results:
            continue
        session.say(f"arrival: round {number} of {plan.arrival_rounds}, {name}")
        candidates = await _candidates(session, name, number)
        try:
            results[name].append(await _one(session, candidates, BETWEEN if name == "replicas" else 1))
        except (NoFigure, ServerFailed) as reason:
            session.fail(candidates[0], "arrival", reason)
            del results[name]
    return results


async def _candidates(session: Session, name: str, number: int) -> list[Candidate]:
    """One, or where it is posted and where it is read. Each round has a topic and a group of its own."""
    topic = await session.topics.make(f"arrival-{name}-{number}")
    if name == "go":
        assert session.go is not None
        return [go(session.go, session.topics.bootstrap, topic, group=topic)]
    routes = [bridge_config.stock(topic), bridge_config.drain(topic, topic)]
    found = []
    for replica, workers in enumerate(WORKERS[name]):
        config = session.write_config(f"arrival-{name}-{replica}", routes, free_ports(workers))
        found.append(bridge(config, topic, name=f"arrival-{name}-{replica}", workers=workers))
    return found


async def _one(session: Session, candidates: list[Candidate], share: float) -> Round:
    plan = session.plan
    async with AsyncExitStack() as stack:
        servers = [await stack.enter_async_context(serving(one, session.log(one))) for one in candidates]
        for one in candidates:
            if one.name != "go":
                await all_serve(session, one)
        return await session.load(
            servers[0],
            "arrivals",
            path=candidates[0].path,
            target="/drain?max=100",
            read_port=servers[-1].port,
            readers=plan.arrival_readers,
            records=round(plan.arrival_records * share),
            per_s=plan.arrival_per_s * share,
        )
