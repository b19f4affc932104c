"""A round as text: what was written and read, what must be zero, and what was done to whom when. Pure."""

from collections.abc import Iterator, Sequence

from tests.chaos.tracks import Happened
from tests.replicas.harms import EVERYBODY
from tests.replicas.run import Round
from tests.replicas.stage import GROWN, PARTITIONS, REPLICAS, WORKERS
from tests.replicas.verdict import Span, Verdict

CASES_SHOWN = 10  # of each kind of lie
WIDTH = 52
HEADS = ("written", "accepted", "brought", "again", "crossed", "in doubt", "longest silence", "longest wait")


def report(one: Round) -> str:
    return "\n".join([*_head(one), *_schedule(one), *_counts(one), *_zeros(one.verdict)])


def summary(rounds: Sequence[Round]) -> str:
    """One line a round, as a table in Markdown."""
    heads = ("seed", "faults", *HEADS, *rounds[0].verdict.lies)
    rows = [heads, tuple("---:" for _ in heads), *(_row(one) for one in rounds)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figures(verdict: Verdict) -> tuple[str, ...]:
    """Under HEADS."""
    counts = (verdict.written, verdict.accepted, verdict.brought, verdict.again, verdict.crossed, verdict.doubted)
    return (*map(str, counts), f"{verdict.silence.lasts_s:.1f} s", f"{verdict.wait.lasts_s:.1f} s")


def _row(one: Round) -> tuple[str, ...]:
    zeros = (str(len(cases)) for cases in one.verdict.lies.values())
    return (str(one.plan.seed), str(len(one.happened)), *figures(one.verdict), *zeros)


def _head(one: Round) -> Iterator[str]:
    plan = one.plan
    yield (
        f"  seed {plan.seed}: {plan.clients} clients, {REPLICAS} replicas of {WORKERS} workers, "
        f"{PARTITIONS} to {GROWN} partitions, {plan.per_s:g} records/s for {plan.lasts_s:g} s"
    )


def _schedule(one: Round) -> Iterator[str]:
    yield f"\n  {'from':>6}  {'for':>6}  {'well at':>7}"
    for happened in one.happened:
        fault = happened.fault
        yield f"{happened.began_s:8.1f}{fault.lasts_s:8.1f}{happened.healed_s:9.1f}  {fault.kind}: {whom(happened)}"


def whom(happened: Happened) -> str:
    return "all" if happened.hit == EVERYBODY else f"replica {happened.hit}"


def _counts(one: Round) -> Iterator[str]:
    yield ""
    for name, value in zip(HEADS, figures(one.verdict), strict=True):
        yield _line(name, value)
    for name, span in (("longest silence", one.verdict.silence), ("longest wait", one.verdict.wait)):
        yield _line(f"  {name}: from", _at(span))
    yield _line("all accepted, seconds after the last was written", f"{one.drained_s:.1f} s")
    for answer, count in sorted(one.answers.items()):
        yield _line(f"  {answer}", count)
    for event, count in one.troubles.most_common():
        yield _line(f"  logged: {event}", count)


def _at(span: Span) -> str:
    return f"{span.from_s:.1f} s"


def _zeros(verdict: Verdict) -> Iterator[str]:
    yield "  these must be 0:"
    for lie, cases in verdict.lies.items():
        yield _line(f"  {lie}", len(cases))
        yield from (f"    {case}" for case in cases[:CASES_SHOWN])


def _line(name: str, value: object) -> str:
    return f"  {name:<{WIDTH}}{value!s:>9}"
