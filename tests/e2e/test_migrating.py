"""A route at each stage of its way: who is asked, what the client gets, and where the record is."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import Route, config, produce
from tests.e2e.legacy import Legacy, legacy_service
from tests.e2e.records import contents, until, written
from tests.kafka.cluster import Kafka

LEGACY = {"ok": True, "by": "legacy"}
OURS = {"ok": True, "by": "bridge"}


@pytest_asyncio.fixture
async def legacy() -> AsyncIterator[Legacy]:
    async with legacy_service() as service:
        yield service


def route(topic: str, stage: str, **migrate: Any) -> Route:
    return produce("POST /stock/{store}", topic, key="{body.sku}", timeout_ms=3_000) | {
        "name": "stock",
        "upstream": "inventory",
        "migrate": {"stage": stage, "stage_header": True, **migrate},
        "response": {"status": 200, "body": OURS},
        "limits": {"max_body_bytes": 10_000},
    }


async def started(
    bridge: StartBridge,
    kafka: Kafka,
    legacy: Legacy,
    topic: str,
    stage: str,
    *,
    prefix: str,
    in_flight_bytes: int = 1 << 20,
    **migrate: Any,
) -> Bridge:
    upstreams = {"inventory": {"url": legacy.url, "timeout_ms": 3_000}}
    internal = {"prefix": prefix, "replication": 1}
    kafka_section = {"bootstrap_servers": kafka.bootstrap, "internal": internal}
    one = route(topic, stage, **migrate)
    one["limits"]["in_flight_bytes"] = in_flight_bytes
    text = config(kafka, one, upstreams=upstreams, kafka=kafka_section)
    return await bridge(text)


async def test_legacy_is_the_old_service_alone(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "legacy", prefix=name)
    async with client(running.base_url) as http:
        answer = await http.post("/stock/7?x=%2F", json={"sku": "a"})
        assert (answer.status_code, answer.json(), answer.headers["stepbridge-stage"]) == (200, LEGACY, "legacy")
    assert legacy.taken[0].target == "/stock/7?x=%2F"
    assert await written(kafka, topic) == 0


async def test_shadow_answers_as_the_old_service_and_writes_what_it_took(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "shadow", prefix=name)
    async with client(running.base_url) as http:
        legacy.says.extend([200, 409, 503, 0, 200, 200])
        bodies: list[Any] = [
            {"sku": "a"},
            {"sku": "b"},
            {"sku": "c"},
            {"sku": "d"},
            {"no": "sku"},
            {"sku": "e" * 20_000},
        ]
        answers = [await http.post("/stock/7", json=body) for body in bodies]
        assert [answer.status_code for answer in answers] == [200, 409, 503, 502, 200, 200]
        assert answers[4].json() == LEGACY

        async def is_written() -> bool:
            return await written(kafka, topic) == 1

        await until(is_written)
    (record,) = await contents(kafka, topic)
    assert (record.key, json.loads(record.value or b"")) == (b"a", {"sku": "a"})
    assert dict(record.headers) == {"stepbridge-route": b"stock", "stepbridge-stage": b"shadow"}
    assert len(legacy.taken[-1].body) > 20_000


async def test_shadow_costs_clients_nothing_while_kafka_is_away(
    bridge: StartBridge, own_kafka: Kafka, name: str, legacy: Legacy
) -> None:
    await own_kafka.create_topic(name)
    running = await started(bridge, own_kafka, legacy, name, "shadow", prefix=f"{name}-i")
    async with client(running.base_url) as http:
        await http.post("/stock/7", json={"sku": "a"})
        own_kafka.kill()
        for _ in range(20):
            async with asyncio.timeout(1):
                answer = await http.post("/stock/7", json={"sku": "b"})
            assert (answer.status_code, answer.json()) == (200, LEGACY)
    assert len(legacy.taken) == 21


async def test_a_compressed_body_counts_in_flight_as_what_it_expands_to(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "shadow", prefix=name, in_flight_bytes=15_000)
    body = gzip.compress(json.dumps({"sku": "a" * 9_000}).encode())
    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    async with client(running.base_url) as http:
        legacy.may.clear()
        first = asyncio.create_task(http.post("/stock/7", content=body, headers=headers))

        async def is_in_flight() -> bool:
            return len(legacy.taken) == 1

        await until(is_in_flight)
        async with asyncio.timeout(5):
            refused = await http.post("/stock/7", content=body, headers=headers)
        assert (refused.status_code, refused.json()["limit"]) == (503, "route_in_flight_bytes")
        legacy.may.set()
        assert (await first).status_code == 200
        assert (await http.post("/stock/7", content=body, headers=headers)).status_code == 200  # all was given back
    assert len(legacy.taken) == 2


async def test_dual_with_the_old_service_as_authority(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "dual", prefix=name)
    async with client(running.base_url) as http:
        legacy.says.extend([200, 409, 0])
        answers = [await http.post("/stock/7?a=1", json={"sku": sku}) for sku in "abc"]
        answers.append(await http.post("/stock/7", json={"no": "sku"}))
        answers.append(await http.post("/stock/7", json={"sku": "e" * 20_000}))
        assert [answer.status_code for answer in answers] == [200, 409, 502, 200, 413]
        assert answers[0].json() == LEGACY
        (record,) = await contents(kafka, topic)
        assert dict(record.headers) == {
            "stepbridge-route": b"stock",
            "stepbridge-stage": b"dual",
            "stepbridge-request": b"POST /stock/7?a=1",
            "stepbridge-content-type": b"application/json",
            "stepbridge-id": answers[0].headers["x-request-id"].encode(),
        }
        divergences = await told(kafka, f"{name}.divergences", 2)
    assert {each["case"] for each in divergences} == {"legacy_unknown", "kafka_refused"}
    assert len(legacy.taken) == 4


async def test_dual_with_kafka_as_authority(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "dual", prefix=name, authority="kafka")
    async with client(running.base_url) as http:
        legacy.says.extend([200, 409, 503, 0])
        answers = [await http.post("/stock/7", json={"sku": sku}) for sku in "abcd"]
        answers.append(await http.post("/stock/7", json={"no": "sku"}))
        assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 422]
        assert answers[0].json() == OURS
        divergences = await told(kafka, f"{name}.divergences", 3)
    assert {each["case"] for each in divergences} == {"legacy_refused", "legacy_failed", "legacy_unknown"}
    assert len(legacy.taken) == 4
    assert await written(kafka, topic) == 4


async def test_kafka_is_the_route_s_own_answer_and_nobody_asks_the_old_service(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "kafka", prefix=name)
    async with client(running.base_url) as http:
        answers = [await http.post("/stock/7", json=body) for body in ({"sku": "a"}, {"no": "sku"})]
    assert [answer.status_code for answer in answers] == [200, 422]
    assert (answers[0].json(), answers[0].headers["stepbridge-stage"]) == (OURS, "kafka")
    assert not legacy.taken
    (record,) = await contents(kafka, topic)
    assert dict(record.headers)["stepbridge-stage"] == b"kafka"


async def test_before_a_descent_the_old_service_is_sent_what_it_has_not_seen(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "kafka", prefix=name)
    async with client(running.base_url) as http, client(running.admin_url) as admin:
        sent = [{"sku": f"{number % 3}", "n": number} for number in range(250)]
        for body in sent:
            assert (await http.post("/stock/7?from=till", json=body)).status_code == 200
        way = "/admin/migration/stock"
        refused = await admin.post(f"{way}/set?stage=dual")
        assert (refused.status_code, refused.json()["legacy_missed"]) == (409, 250), refused.text
        assert (await admin.get(f"{way}/replay")).json()["left"] == 250
        legacy.says.extend([200] * 20 + [503, 0] + [200] * 20)
        assert (await admin.post(f"{way}/replay")).status_code == 200

        async def is_done() -> bool:
            return bool((await admin.get(f"{way}/replay")).json()["state"] == "done")

        await until(is_done)
        assert (await admin.get(f"{way}/replay")).json()["left"] == 0
        descended = await admin.post(f"{way}/set?stage=dual&why=test")
        assert descended.status_code == 200, descended.text
        answer = await http.post("/stock/7", json={"sku": "0", "n": 250})
        assert (answer.json(), answer.headers["stepbridge-stage"]) == (LEGACY, "dual")
    for key in "012":
        taken = [json.loads(each.body)["n"] for each in legacy.taken if json.loads(each.body)["sku"] == key]
        assert list(dict.fromkeys(taken)) == [n for n in range(250) if str(n % 3) == key] + [250] * (key == "0")
    assert legacy.taken[0].target == "/stock/7?from=till"
    assert legacy.taken[0].headers["stepbridge-replay"].startswith(f"{topic}/")


async def told(kafka: Kafka, topic: str, count: int) -> list[dict[str, Any]]:
    """The divergences, as soon as there are so many."""

    async def is_there() -> bool:
        return await written(kafka, topic) >= count

    await until(is_there)
    return [json.loads(put.value or b"") for put in await contents(kafka, topic)]
