"""The walk-through as its users start it: on a real Kafka, and on the embedded one."""

import subprocess
import sys

import pytest

from tests.kafka.cluster import Kafka

DEMO = [sys.executable, "-m", "proxy", "demo", "--migrate", "--port", "0", "--admin-port", "0"]


def played(*more: str) -> str:
    done = subprocess.run([*DEMO, *more], capture_output=True, text=True, timeout=170, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def assert_nobody_noticed(said: str) -> None:
    assert "No client saw an error, and both sides have what they should." in said
    assert "a descent is refused: the old service has not seen" in said
    for rung in ("shadow 25%", "dual", "kafka 25%", "kafka", "legacy"):
        assert f"at {rung}\n" in said


@pytest.mark.timeout(180)
async def test_the_ladder_is_climbed_and_descended_and_nobody_notices(own_kafka: Kafka) -> None:
    assert_nobody_noticed(played("--bootstrap", own_kafka.bootstrap))


@pytest.mark.long
@pytest.mark.timeout(180)
def test_it_can_be_played_without_a_kafka() -> None:
    assert_nobody_noticed(played())
