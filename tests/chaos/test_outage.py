"""A bridge that is there before Kafka, and one whose Kafka goes away: it says so, and is well again by itself."""

import json
import time

import httpx
import pytest

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, produce
from tests.e2e.records import until
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll

TIMEOUT_MS = 1_000


async def post(http: httpx.AsyncClient, name: str) -> httpx.Response:
    return await http.post("/records", content=json.dumps({"id": name}))


@pytest.mark.long
async def test_a_bridge_that_is_started_before_kafka_is_well_as_soon_as_kafka_is(
    bridge: StartBridge, own_kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    own_kafka.kill()
    running = await bridge(config(own_kafka, produce("POST /records", topic, timeout_ms=TIMEOUT_MS)))
    async with client(running.base_url) as http:
        for attempt in range(2):
            answer = await post(http, f"early-{attempt}")
            assert (answer.status_code, answer.json()["code"]) == (503, "kafka_unavailable"), answer.text
            assert int(answer.headers["retry-after"]) >= 1
        assert not await strictly_ready(running)
        await own_kafka.restart()
        took_s = await until(lambda: is_written(http))
        assert took_s < 10, "it asks again at least every 5 s"
        await until(lambda: strictly_ready(running))
    assert [record.value for record in await consume_all(topic)] == [b'{"id": "late"}']


async def is_written(http: httpx.AsyncClient) -> bool:
    answer = await post(http, "late")
    assert answer.status_code in (201, 503), answer.text
    return answer.status_code == 201


async def strictly_ready(running: Bridge) -> bool:
    async with client(running.admin_url) as admin:
        assert (await admin.get("/readyz")).status_code == 200, "whether Kafka is there does not decide who is ready"
        return (await admin.get("/readyz?strict=1")).status_code == 200


async def test_while_kafka_is_away_answers_come_at_their_deadline_and_the_producer_stays(
    bridge: StartBridge, own_kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    """The first record is in the batch that Kafka has: unknown. Those behind it never leave the bridge: not written."""
    running = await bridge(config(own_kafka, produce("POST /records", topic, partition="0", timeout_ms=TIMEOUT_MS)))
    async with client(running.base_url) as http:
        assert (await post(http, "before")).status_code == 201
        own_kafka.freeze()
        for name, status, code in (("in the batch", 504, "outcome_unknown"), ("behind it", 503, "not_written")):
            began_s = time.monotonic()
            answer = await post(http, name)
            assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
            assert 0.9 < time.monotonic() - began_s < 3
        own_kafka.thaw()
        assert (await post(http, "after")).status_code == 201
    values = [json.loads(record.value or b"")["id"] for record in await consume_all(topic)]
    assert values == ["before", "in the batch", "after"]
    assert "producer_replaced" not in running.log
