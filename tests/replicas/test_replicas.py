"""The replicas themselves, in short and at length: nothing is lost, and nothing that was acknowledged comes back."""

import logging
from pathlib import Path

import pytest

from tests.chaos.tracks import Fault
from tests.kafka.cluster import Kafka
from tests.replicas.harms import GROW, schedule
from tests.replicas.report import report, summary
from tests.replicas.run import Plan, Round, run

SHORT = Plan(
    seed=1,
    lasts_s=10,
    tracks=(
        [
            Fault(1.0, 1.5, "freeze worker", aim=0, amount=0),
            Fault(6.0, 0.0, "kill worker", aim=2, amount=0.9),
        ],
        [Fault(3.0, 0.5, "kill replica", aim=1, amount=0)],
        [Fault(4.0, 0.0, GROW, aim=0, amount=0)],
    ),
)
LONG_S = 25.0
SEEDS = range(1, 11)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "aiokafka")


async def played(plan: Plan, kafka: Kafka, directory: Path) -> Round:
    one = await run(plan, kafka, directory)
    told = f"{report(one)}\n  everybody's log: {directory}"
    assert one.verdict.is_clean, told
    assert len(one.happened) >= 4, told
    assert one.verdict.written > plan.lasts_s * plan.per_s / 2, told
    return one


@pytest.mark.timeout(180)
async def test_nothing_is_lost_or_comes_back_while_workers_freeze_and_die_and_the_topic_grows(
    kafka: Kafka, tmp_path: Path
) -> None:
    await played(SHORT, kafka, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", SEEDS)
async def test_nothing_is_lost_or_comes_back_whatever_happens_to_three_replicas(
    seed: int, kafka: Kafka, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = await played(Plan(seed, LONG_S, schedule(seed, LONG_S)), kafka, tmp_path)
    with capsys.disabled():
        print(f"\n{summary([one])}")
