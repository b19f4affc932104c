"""Three times what the bridge can bear: how much of its peak is left, and what the refused and the admitted notice.

The *peak* is a closed loop with as many connections as may be in flight. Each round measures it before and after the
flood, and takes the mean: what else a machine does changes within seconds. The flood offers three times its rate at an
even pace, over many more connections. Then the same against a rate limit of half that peak, of which everything should
be used up.
"""

from statistics import median

from tests.load import bridge_config
from tests.load.candidates import Candidate, bridge
from tests.load.servers import Server
from tests.load.session import Round, Rounds, Session

PEAK = ("per_s", "p50_ms", "p99_ms", "cpu_s_per_10k")


async def measure(session: Session) -> dict[str, Rounds]:
    """By what is at its limit: `in_flight`, `rate`. Each round also has the `peak_per_s` that it is measured by."""
    if not session.with_bridge:
        return {}
    topic = await session.topics.make("overload")
    by_limit = {"in_flight": await _beyond_in_flight(session, topic)}
    if rounds := by_limit["in_flight"].get("bridge"):
        rate = round(median(one["peak_per_s"] for one in rounds) / 2)
        by_limit["rate"] = await _beyond_rate(session, topic, rate)
    return by_limit


async def _beyond_in_flight(session: Session, topic: str) -> Rounds:
    plan = session.plan
    limits = {"in_flight": plan.overload_in_flight}
    config = session.write_config("overload", [bridge_config.stock(topic)], **limits)

    async def one(candidate: Candidate, server: Server) -> Round:
        before = await session.post(candidate, server, plan.overload_in_flight)
        flood = await _flood(session, candidate, server, before["per_s"])
        after = await session.post(candidate, server, plan.overload_in_flight)
        peak = {figure: (before[figure] + after[figure]) / 2 for figure in PEAK}
        return {**flood, "peak": peak, "peak_per_s": peak["per_s"], "share": flood["per_s"] / peak["per_s"]}

    return await session.interleave("overload", [bridge(config, topic)], plan.overload_rounds, one)


async def _beyond_rate(session: Session, topic: str, rate: int) -> Rounds:
    limits = {"rate": {"total": f"{rate}/s"}}
    config = session.write_config("overload-rate", [bridge_config.stock(topic)], **limits)

    async def one(candidate: Candidate, server: Server) -> Round:
        return await _flood(session, candidate, server, rate)

    return await session.interleave("overload, rate", [bridge(config, topic)], session.plan.overload_rounds, one)


async def _flood(session: Session, candidate: Candidate, server: Server, peak_per_s: float) -> Round:
    plan = session.plan
    measured = await session.post_by(
        candidate,
        server,
        "open_loop",
        per_s=peak_per_s * plan.overload_factor,
        connections=plan.overload_connections,
        warmup_s=plan.warmup_s + 2,  # the burst that a rate allows is over, and the pace of refusals found
        window_s=plan.overload_window_s,
    )
    return {**measured, "peak_per_s": peak_per_s, "share": measured["per_s"] / peak_per_s}
