"""A round as text: what was sent, told and found, what must be zero, and what was done to whom when."""

from collections.abc import Iterator, Sequence

from tests.chaos.harms import REPLICA_KINDS
from tests.chaos.run import Round
from tests.chaos.stage import BROKERS, REPLICAS
from tests.chaos.tracks import Happened
from tests.chaos.verdict import Outcome

TOLD = (Outcome.WRITTEN, Outcome.NOT_WRITTEN, Outcome.UNKNOWN)
CASES_SHOWN = 10  # of each kind of lie
WIDTH = 44


def report(one: Round) -> str:
    return "\n".join([*_head(one), *_schedule(one), *_counts(one), *_zeros(one)])


def summary(rounds: Sequence[Round]) -> str:
    """One line a round, as a table in Markdown."""
    heads = ("seed", "faults", "sent", *TOLD, "found", *rounds[0].verdict.lies, "longest silence")
    rows = [heads, tuple("---:" for _ in heads), *(_row(one) for one in rounds)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(one: Round) -> tuple[str, ...]:
    verdict = one.verdict
    told = [verdict.told[outcome] for outcome in TOLD]
    counts = [one.plan.seed, len(one.happened), verdict.sent, *told, verdict.found, *map(len, verdict.lies.values())]
    return (*map(str, counts), f"{verdict.silence.lasts_s:.1f} s")


def _head(one: Round) -> Iterator[str]:
    plan = one.plan
    yield f"  {plan.clients} clients, {REPLICAS} replicas, {BROKERS} brokers, {one.lasted_s:.0f} s"


def _schedule(one: Round) -> Iterator[str]:
    yield f"\n  {'from':>6}  {'for':>6}  {'well at':>7}"
    for happened in one.happened:
        fault = happened.fault
        yield f"{happened.began_s:8.1f}{fault.lasts_s:8.1f}{happened.healed_s:9.1f}  {fault.kind}: {whom(happened)}"
    planned = sum(len(track) for track in one.plan.tracks)
    if planned > len(one.happened):
        yield f"  {planned - len(one.happened)} more were planned; the load was over before they were due"


def whom(happened: Happened) -> str:
    return f"{'replica' if happened.fault.kind in REPLICA_KINDS else 'broker'} {happened.hit}"


def _counts(one: Round) -> Iterator[str]:
    verdict = one.verdict
    yield ""
    yield _line("sent", verdict.sent)
    for outcome in TOLD:
        yield _line(f"answered {outcome}", verdict.told[outcome])
    yield _line("found in the log", verdict.found)
    yield _line("  of them unknown to their clients", verdict.unknown_found)
    yield _line("longest time without a success", f"{verdict.silence.lasts_s:.1f} s")
    yield _line("  which began at", f"{verdict.silence.from_s:.1f} s")
    for why, count in verdict.reasons.most_common():
        yield _line(f"  told: {why}", count)
    for event, count in one.events.most_common():
        yield _line(f"  logged: {event}", count)


def _zeros(one: Round) -> Iterator[str]:
    yield "  these must be 0:"
    for lie, cases in one.verdict.lies.items():
        yield _line(f"  {lie}", len(cases))
        yield from (f"    {case}" for case in cases[:CASES_SHOWN])


def _line(name: str, value: object) -> str:
    return f"  {name:<{WIDTH}}{value!s:>9}"
