"""A record that waits anywhere reaches a poll that waits anywhere."""

from pathlib import Path

import pytest

from tests.kafka.cluster import Kafka
from tests.load.loader.arrivals import arrivals
from tests.replicas.stage import PATH, WRITE_PATH, Stage

AT_ONCE_MS = 100  # half of them; on a machine that does nothing else it is 99 of 100, which `make bench` looks at
SOON_MS = 1_000


@pytest.mark.long
@pytest.mark.timeout(120)
async def test_a_record_posted_at_one_replica_soon_reaches_a_poll_that_waits_at_another(
    kafka: Kafka, tmp_path: Path
) -> None:
    async with Stage(kafka, tmp_path) as stage:
        posted, _, read = stage.ports
        measured = await arrivals(
            posted,
            path=WRITE_PATH,
            target=f"{PATH}?max=100",
            read_port=read,
            readers=4,
            records=200,
            per_s=20,
            cpu_s=lambda: 0.0,
        )
    assert measured["repeated"] == 0, measured
    assert measured["p50_ms"] < AT_ONCE_MS, measured
    assert measured["p99_ms"] < SOON_MS, measured
