"""Topics that are not there, come later, change, take less than the bridge does, or go away."""

import asyncio
import json
import re
import time

import httpx
import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.bridge import StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.records import numbered, until, written
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll


async def limit(kafka: Kafka, topic: str, max_message_bytes: int) -> None:
    """Change what the topic takes, behind the bridge's back."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(max_message_bytes)})
    async with kafka.admin() as admin:
        await admin.alter_configs([wanted])


# ---- not there


async def test_a_missing_topic_is_503_and_is_not_made_by_asking(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await shared.add(produce("POST /w", name), consume("GET /r", name, group=name))
    for answer in [await http.post("/w"), await http.get("/r?wait=1"), await http.post("/w")]:
        assert (answer.status_code, answer.json()["code"]) == (503, "topic_missing")
        assert int(answer.headers["retry-after"]) >= 1
        assert name in answer.json()["detail"]
    assert name not in await kafka.list_topics()


async def test_a_topic_made_later_is_written_to_and_read_without_anybody_doing_anything(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await shared.add(produce("POST /w", name), consume("GET /r", name, group=name))
    assert (await http.post("/w", content=b"0")).status_code == 503
    assert (await http.get("/r?wait=0")).status_code == 503
    await kafka.create_topic(name)

    async def taken() -> bool:
        return (await http.post("/w", content=b"1")).status_code == 201

    async def read() -> bool:
        answer = await http.get("/r?wait=1")
        return answer.status_code == 200 and [record["value"] for record in answer.json()["records"]] == [1]

    await until(taken, within_s=5)
    await until(read, within_s=10)


async def test_where_the_file_says_so_a_missing_topic_is_made(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    running = await bridge(config(kafka, produce("POST /w", name), topics={"create": True}))
    async with client(running.base_url) as http:
        answer = await http.post("/w", content=b"1")
    assert answer.status_code == 201, answer.text
    assert [record.value for record in await kafka.consume_all(name)] == [b"1"]


# ---- what a topic takes


async def test_a_record_larger_than_its_topic_takes_is_413_with_the_limit(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, config={"max.message.bytes": "2000"})
    await shared.add(produce("POST /w", name, key="{query.key}"))
    answer = await http.post("/w?key=a", content=b"x" * 2_000)
    problem = answer.json()
    assert (answer.status_code, problem["code"], problem["limit_bytes"]) == (413, "record_too_large", 2_000)
    assert await written(kafka, name) == 0
    assert (await http.post("/w?key=a", content=b"x" * 1_900)).status_code == 201


async def test_records_that_fit_one_by_one_are_written_however_many_come_at_once(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    """The broker holds a whole batch against the topic's limit, and the client library splits none."""
    await kafka.create_topic(name, config={"max.message.bytes": "2000"})
    await shared.add(produce("POST /w", name))
    answers = await asyncio.gather(*(http.post("/w", content=b"x" * 900) for _ in range(50)))
    assert {answer.status_code for answer in answers} == {201}
    assert await written(kafka, name) == 50


async def test_a_limit_lowered_behind_the_bridges_back_costs_only_the_record_that_is_too_large(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    """The broker refuses a whole batch for one record in it; what came with it, and after it, is still written."""
    await kafka.create_topic(name)
    await shared.add(produce("POST /w", name))
    assert (await http.post("/w", content=b"first")).status_code == 201
    await limit(kafka, name, 2_000)
    values = [*numbered(20), b"x" * 3_000, *numbered(20, start=20)]
    answers = await asyncio.gather(*(http.post("/w", content=value) for value in values))
    refused = [answer for answer in answers if answer.status_code != 201]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(413, "record_too_large")]
    assert (await http.post("/w", content=b"last")).status_code == 201
    found = [record.value for record in await consume_all(name)]
    assert sorted(found) == sorted([b"first", *numbered(40), b"last"])
    async with client(shared.admin_url) as admin:
        metrics = (await admin.get("/metrics")).text
    assert re.search(r"^stepbridge_producers_replaced_total [1-9]", metrics, re.MULTILINE)
    assert "MessageSizeTooLargeError" in metrics
    events = {json.loads(line)["event"] for line in shared.process.log.splitlines()}
    assert {"batch_failed", "producer_replaced"} <= events


async def test_a_record_without_a_key_is_422_for_a_compacted_topic_and_harms_no_other(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, config={"cleanup.policy": "compact"})
    await shared.add(produce("POST /without", name), produce("POST /with", name, key="a"))
    answer = await http.post("/without", content=b"1")
    assert (answer.status_code, answer.json()["code"]) == (422, "key_required")
    assert (await http.post("/with", content=b"2")).status_code == 201
    assert [record.value for record in await kafka.consume_all(name)] == [b"2"]


async def test_where_the_broker_sets_the_time_the_receipt_has_the_brokers(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, config={"message.timestamp.type": "LogAppendTime"})
    await shared.add(produce("POST /w", name, timestamp="{query.at}"))
    before_ms = time.time_ns() // 1_000_000
    answer = await http.post("/w?at=1000", content=b"1")
    (record,) = await kafka.consume_all(name)
    assert answer.json()["timestamp_ms"] == record.timestamp
    assert record.timestamp >= before_ms


# ---- and goes away


@pytest.mark.long
async def test_a_topic_deleted_under_the_bridge_is_not_made_again_and_works_when_it_is_back(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    await shared.add(produce("POST /w", name, timeout_ms=1_000))
    for number in range(3):
        assert (await http.post("/w", content=b"before %d" % number)).status_code == 201
    await kafka.delete_topic(name)

    async def missed() -> bool:
        answer = await http.post("/w", content=b"meanwhile")
        assert answer.status_code in (503, 504), answer.text
        return answer.status_code == 503 and answer.json()["code"] == "topic_missing"

    await until(missed, within_s=30)
    assert name not in await kafka.list_topics()
    await kafka.create_topic(name)

    async def taken() -> bool:
        return (await http.post("/w", content=b"after")).status_code == 201

    await until(taken, within_s=10)
    values = [record.value for record in await kafka.consume_all(name)]
    assert values.count(b"after") == 1
    assert b"before 0" not in values
