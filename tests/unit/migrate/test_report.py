"""The readiness report of one route."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.clock import wall_ms
from proxy.config.migration import Compare
from proxy.migrate.account import Account
from proxy.migrate.compare import Comparer
from proxy.migrate.redaction import Redaction
from proxy.migrate.report import losses, losses_together, report, samples
from proxy.migrate.shadow import Shadow
from proxy.migrate.stages import Stage
from proxy.observe.catalogue import FAMILIES
from proxy.observe.metrics import Metrics
from proxy.observe.totals import Totals
from tests.unit.migrate.scripted import ScriptedSubmitter

ANSWERS = [((200, (), b'{"n":1}'), (status, (), body)) for status in (200, 201) for body in (b'{"n":1}', b'{"n":2}')]


@dataclass
class Worker:
    """One process's part in the migration of one route."""

    account: Account = field(default_factory=lambda: Account("orders", Redaction(None), wall_ms=lambda: 5_000))
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.metrics.add_source(lambda: samples(self.account))

    def happens(self, what: str, number: int) -> None:
        account, stage = self.account, get_args(Stage)[number % 4]
        match what:
            case "request":
                account.request(stage, f"caller-{number}")
            case "took":
                account.legacy_took(number / 1_000)
                account.kafka_took(number / 100)
            case "shadowed":
                account.shadowed()
            case "violated":
                account.violated([{"pointer": f"/{number}", "detail": "x"}], b"{}", stage)
            case "lost":
                account.lost(f"reason-{number}")
            case "diverged":
                account.diverged(("kafka_missed", "legacy_missed")[number % 2])
            case _:
                account.compared(Comparer(Compare()).compare(*ANSWERS[number % 4]))


def reported(*workers: Worker, others: Sequence[Worker] = ()) -> dict[str, Any]:
    """With `others` that have died."""
    totals = Totals()
    for number, worker in enumerate((*workers, *others)):
        totals.note(number, worker.metrics.snapshot())
        if worker in others:
            totals.ended(number)
    notes = [orjson.loads(orjson.dumps(worker.account.notes())) for worker in workers]
    return report("orders", totals.merged(range(len(workers))), notes)


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["request", "took", "shadowed", "violated", "lost", "diverged", "compared"]), st.integers(0, 6)
    ),
    max_size=40,
)


@given(EVENTS, EVENTS)
def test_what_two_workers_saw_is_what_one_would_have_seen(one: Any, other: Any) -> None:
    apart, alone = (Worker(), Worker()), Worker()
    for worker, events in zip(apart, (one, other), strict=True):
        for event in events:
            worker.happens(*event)
            alone.happens(*event)
    assert reported(*apart) == reported(alone)


def test_an_untouched_route_has_no_ratios() -> None:
    told = reported(Worker())
    assert told["requests"]["by_stage"]["legacy"] == {"requests": 0, "share": None}
    assert told["shadow"] == {
        "written": 0,
        "lost": 0,
        "success_ratio": None,
        "violations_ratio": None,
        "losses_by_reason": {},
        "last_loss_ms": None,
        "depth": 0,
        "bound": 0,
        "unknown": 0,
    }
    assert told["latency"]["kafka"] == {"count": 0, "p50_ms": None, "p99_ms": None}


def test_the_report_says_how_well_the_shadow_does() -> None:
    worker = Worker()
    for _ in range(6):
        worker.happens("shadowed", 0)
    worker.account.violated([], b"")
    worker.account.lost("schema_violation")
    worker.account.lost("queue_full")
    told = reported(worker)["shadow"]
    assert (told["written"], told["lost"], told["success_ratio"]) == (6, 2, 0.75)
    assert (told["violations_ratio"], told["losses_by_reason"]) == (0.125, {"schema_violation": 1, "queue_full": 1})
    assert told["last_loss_ms"] == 5_000


def test_the_report_tells_which_cases_of_dual_have_parted() -> None:
    worker = Worker()
    for number in (0, 0, 1):
        worker.happens("diverged", number)
    told = reported(worker)["dual"]
    assert (told["diverged"], told["parted"]) == (3, {"kafka_missed": 2, "legacy_missed": 1})


def test_numbers_outlive_a_worker_and_examples_do_not() -> None:
    living, dead = Worker(), Worker()
    for worker in (living, dead):
        worker.happens("violated", 1)
        worker.happens("request", 0)
    told = reported(living, others=[dead])
    assert told["requests"]["total"] == 2
    assert [each["count"] for each in told["violations"]["kinds"]] == [1]


def test_a_loss_is_listed_with_what_it_takes_to_find_it() -> None:
    shadow = Shadow(ScriptedSubmitter(), bound=9, bound_bytes=99, patience_s=1)
    shadow.lose("queue_full", "9 records wait already", "r1", b"k\xff")
    (loss,) = losses(shadow)
    assert loss["time_ms"] == pytest.approx(wall_ms(), abs=60_000)
    assert loss | {"time_ms": 0} == {
        "time_ms": 0,
        "reason": "queue_full",
        "detail": "9 records wait already",
        "request_id": "r1",
        "key": "k\ufffd",
    }


def test_losses_of_all_workers_are_listed_the_newest_first() -> None:
    def lost(*times_ms: int) -> list[dict[str, Any]]:
        return [{"time_ms": time_ms} for time_ms in times_ms]

    together = losses_together([lost(9, 5), lost(7), lost()])
    assert [loss["time_ms"] for loss in together] == [9, 7, 5]
    assert len(losses_together([lost(*range(900)), lost(*range(900))])) == 1_000


def test_each_number_of_a_migration_is_a_metric() -> None:
    worker = Worker()
    for what in ("request", "took", "shadowed", "violated", "lost", "diverged", "compared"):
        worker.happens(what, 1)

    def told() -> Iterator[str]:
        snapshot = worker.metrics.snapshot()
        for values in (snapshot.numbers, snapshot.distributions):
            yield from (name for name, each in values.items() if each and "migration" in name)

    assert set(told()) == {family.name for family in FAMILIES if family.name.startswith("stepbridge_migration_")}
