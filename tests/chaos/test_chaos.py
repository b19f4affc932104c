"""The fault suite itself, in short and at length."""

import logging
from pathlib import Path

import pytest

from tests.chaos.faults import schedule
from tests.chaos.report import report
from tests.chaos.run import Plan, run
from tests.chaos.tracks import Fault

SHORT = Plan(
    seed=1,
    records=3_000,
    lasts_s=14,
    tracks=(
        [
            Fault(1.0, 1.5, "freeze leader", aim=0, amount=0),  # it leads on when it wakes,
            Fault(3.0, 4.0, "freeze leader", aim=1, amount=0),  # and here another one leads by then
            Fault(8.0, 3.0, "kill leader", aim=2, amount=0),
        ],
        [Fault(5.0, 1.0, "kill replica", aim=0, amount=0)],
    ),
    clients=24,
)
LONG_S = 110


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Of brokers that are down aiokafka speaks without end, and would drown the report of a round that failed."""
    caplog.set_level(logging.CRITICAL, "aiokafka")


@pytest.mark.timeout(120)
async def test_no_answer_lies_while_a_broker_and_a_bridge_are_killed_and_a_broker_freezes(tmp_path: Path) -> None:
    one = await run(SHORT, tmp_path)
    assert one.verdict.is_clean, report(one)
    assert len(one.happened) == 4, report(one)
    assert one.events["kafka: producer_replaced"] == 0, report(one)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_no_answer_lies_whatever_happens_for_two_minutes(tmp_path: Path) -> None:
    one = await run(Plan(seed=2, records=50_000, lasts_s=LONG_S, tracks=schedule(2, LONG_S)), tmp_path)
    assert one.verdict.is_clean, report(one)
    assert len(one.happened) > 10, report(one)
