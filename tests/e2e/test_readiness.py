"""How ready a route is for its next stage, as operators of a real bridge are told: of one worker, and of several."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config
from tests.e2e.legacy import Legacy, legacy_service
from tests.e2e.records import until
from tests.e2e.test_migrating import route, started
from tests.e2e.test_workers import is_up, worker_of
from tests.kafka.cluster import Kafka

COMPARE = {"sample": "100%", "ignore": ["by"]}


@pytest_asyncio.fixture
async def legacy() -> AsyncIterator[Legacy]:
    async with legacy_service() as service:
        yield service


async def told(running: Bridge, what: str = "report") -> dict[str, Any]:
    async with client(running.admin_url) as admin:
        answer = await admin.get(f"/admin/migration/stock/{what}")
        answer.raise_for_status()
        document: dict[str, Any] = answer.json()
        return document


async def settled(running: Bridge, ended: int) -> dict[str, Any]:
    """The report, once the shadow has seen to so many requests, and each written one was compared."""

    async def is_settled() -> bool:
        report = await told(running)
        shadow, compared = report["shadow"], report["compared"]
        return bool(shadow["written"] + shadow["lost"] >= ended and compared["same"] >= shadow["written"])

    await until(is_settled)
    return await told(running)


async def test_the_report_says_what_came_of_each_request(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(
        bridge, kafka, legacy, topic, "shadow", prefix=name, compare=COMPARE, caller="{header.x-till}"
    )
    async with client(running.base_url) as http:
        for till in ("one", "one", "two"):
            await http.post("/stock/7", json={"sku": "a"}, headers={"x-till": till})
        await http.post("/stock/7", json={"no": "secret"})
        await http.post("/stock/7", json={"sku": "e" * 20_000})
        report = await settled(running, ended=5)
        losses = (await told(running, "losses"))["losses"]
    assert report["requests"]["total"] == 5
    assert report["requests"]["by_stage"]["shadow"] == {"requests": 5, "share": 1.0}
    shadow = report["shadow"]
    assert (shadow["written"], shadow["success_ratio"], shadow["violations_ratio"]) == (3, 0.6, 0.2)
    assert shadow["losses_by_reason"] == {"field_missing": 1, "too_large": 1}
    assert shadow["last_loss_ms"] == pytest.approx(losses[0]["time_ms"], abs=1_000)
    assert {loss["reason"] for loss in losses} == set(shadow["losses_by_reason"])
    (violation,) = report["violations"]["kinds"]
    assert violation["example"]["body"] == '{"no":"<string>"}'
    assert "secret" not in orjson.dumps(report).decode()
    assert {each["caller"]: each["requests"] for each in report["callers"]["latest"]} == {
        "one": 2,
        "two": 1,
        "127.0.0.1": 2,
    }
    assert report["compared"] | {"skipped": {}} == {
        "same": 3,
        "different": 0,
        "same_ratio": 1.0,
        "skipped": {},
        "mismatches": [],
        "noise": [],
    }
    assert report["latency"]["legacy"]["count"] == 5
    assert 0 < report["latency"]["kafka"]["p50_ms"] <= report["latency"]["kafka"]["p99_ms"]


async def test_what_we_would_answer_otherwise_is_told_without_values(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    running = await started(bridge, kafka, legacy, topic, "dual", prefix=name, compare={"sample": "100%"})
    async with client(running.base_url) as http:
        legacy.says.extend([200, 201])
        for _ in range(2):
            await http.post("/stock/7", json={"sku": "a"})
    compared = (await told(running))["compared"]
    assert (compared["same"], compared["different"]) == (0, 2)
    assert {each["kind"]: each["count"] for each in compared["mismatches"]} == {
        "value by": 2,
        "value ok": 1,
        "status": 1,
    }
    by = next(each for each in compared["mismatches"] if each["kind"] == "value by")
    assert by["example"] == {"path": "by", "would": '"<string>"', "did": '"<string>"'}


async def test_where_the_old_service_differs_from_itself_no_difference_is_told(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    """A GET is asked twice: here `ok` and the status are never the same."""
    compare = {"sample": "100%", "ignore": ["by"], "baseline": True}
    written = route(topic, "shadow", compare=compare) | {"route": "GET /stock/{store}"}
    written["produce"] = {"topic": topic, "key": "{path.store}"}
    upstreams = {"inventory": {"url": legacy.url, "timeout_ms": 3_000}}
    kafka_section = {"bootstrap_servers": kafka.bootstrap, "internal": {"prefix": name, "replication": 1}}
    running = await bridge(config(kafka, written, upstreams=upstreams, kafka=kafka_section))
    async with client(running.base_url) as http:
        legacy.says.extend([200, 201, 201, 200])
        answers = [await http.get("/stock/7") for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 201]
        compared = (await settled(running, ended=2))["compared"]
    assert len(legacy.taken) == 4
    assert {each["kind"]: each["count"] for each in compared["noise"]} == {"status": 2, "value ok": 2}
    assert (compared["same"], compared["mismatches"]) == (2, [])


async def test_workers_are_reported_together(
    bridge: StartBridge, kafka: Kafka, topic: str, name: str, legacy: Legacy
) -> None:
    upstreams = {"inventory": {"url": legacy.url, "timeout_ms": 3_000}}
    kafka_section = {"bootstrap_servers": kafka.bootstrap, "internal": {"prefix": name, "replication": 1}}
    text = config(kafka, route(topic, "shadow", compare=COMPARE), upstreams=upstreams, kafka=kafka_section)
    running = await bridge(text, workers=2)

    async def both_serve() -> bool:
        return await is_up(running, 2)

    await until(both_serve)
    answered: list[httpx.Response] = []
    async with client(running.base_url) as http:
        while len({worker_of(answer) for answer in answered}) < 2 or len(answered) < 10:
            body = {"sku": "a"} if len(answered) % 2 else {"no": "sku"}
            answered.append(await http.post("/stock/7", json=body, headers={"connection": "close"}))
            assert len(answered) < 200
    report = await settled(running, ended=len(answered))
    assert report["requests"]["total"] == len(answered)
    (violation,) = report["violations"]["kinds"]
    assert violation["count"] == report["shadow"]["lost"] == (len(answered) + 1) // 2
    assert report["callers"]["latest"][0]["requests"] == len(answered)
    assert report["latency"]["legacy"]["count"] == len(answered)
    losses = (await told(running, "losses"))["losses"]
    assert len(losses) == violation["count"]
    assert losses == sorted(losses, key=lambda loss: -int(loss["time_ms"]))
    async with client(running.admin_url) as admin:
        assert (await admin.get("/admin/migration/other/report")).json()["code"] == "no_migration"
