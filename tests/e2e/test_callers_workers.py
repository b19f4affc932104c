"""Callers and operators where several workers serve: each judges alike, and operators are asked once. Kafka is away."""

import asyncio
import json
from typing import Any

import httpx

from tests.bridge import Bridge, StartBridge
from tests.e2e.test_callers import key_hash
from tests.issuer import RealIssuer

OPS = {"x-api-key": "sb_ops"}


def config(issuer: RealIssuer, *names: str) -> str:
    keys = [{"name": name, "hash": key_hash(f"sb_{name}")} for name in names]
    said: dict[str, Any] = {
        "kafka": {"bootstrap_servers": "127.0.0.1:1"},
        "secret": "a secret that only these tests know",
        "drain": {"delay_ms": 0},
        "observe": {"log_format": "json"},
        "auth": {"keys": keys, "jwt": [{"issuer": issuer.url, "audience": "stepbridge"}]},
        "admin": {"auth": {"keys": [{"name": "ops", "hash": key_hash("sb_ops")}]}},
        "routes": [{"route": "POST /a", "produce": {"topic": "a", "timeout_ms": 200}, "auth": "any"}],
    }
    return json.dumps(said)


async def statuses(running: Bridge, headers: dict[str, str]) -> set[int]:
    """Of requests on so many connections that every worker has some: 503 is past the door."""

    async def one() -> int:
        async with httpx.AsyncClient(base_url=running.base_url, timeout=10) as client:
            return (await client.post("/a", content=b"x", headers=headers)).status_code

    return set(await asyncio.gather(*(one() for _ in range(12))))


async def test_workers_judge_alike_and_follow_a_reload(bridge: StartBridge) -> None:
    async with RealIssuer() as issuer:
        running = await bridge(config(issuer, "a", "b"), workers=2)
        token = {"authorization": f"Bearer {issuer.token('alice')}"}
        assert await statuses(running, {"x-api-key": "sb_a"}) == {503}
        assert await statuses(running, {"x-api-key": "sb_c"}) == {401}
        assert await statuses(running, token) == {503}
        async with httpx.AsyncClient(base_url=running.admin_url) as admin:
            metrics = (await admin.get("/metrics", headers=OPS)).text
            running.write_config(config(issuer, "b"))
            assert (await admin.post("/admin/reload")).status_code == 401
            assert (await admin.post("/admin/reload", headers=OPS)).status_code == 200
        assert 'stepbridge_caller_requests_total{caller="key:a"} 12.0' in metrics
        assert await statuses(running, {"x-api-key": "sb_a"}) == {401}
        assert await statuses(running, {"x-api-key": "sb_b"}) == {503}
        assert await running.stop() == 0


async def test_an_operator_is_asked_once_and_is_known_to_the_worker_that_acts(bridge: StartBridge) -> None:
    async with RealIssuer() as issuer:
        running = await bridge(config(issuer, "a"), workers=2)
        async with httpx.AsyncClient(base_url=running.admin_url) as admin:
            for path in ("/admin/routes", "/admin/groups", "/openapi.json", "/readyz?strict=1"):
                assert (await admin.get(path)).status_code == 401, path
                assert (await admin.get(path, headers={"stepbridge-operator": "key:ops"})).status_code == 401, path
                assert (await admin.get(path, headers=OPS)).status_code in (200, 503), path
            assert (await admin.post("/admin/groups/none/skip?record=a:0:0", headers=OPS)).status_code == 404
        lines = [json.loads(line) for line in running.log.splitlines() if '"logger":"audit"' in line]
        acts = [line for line in lines if line["event"] == "admin_action"]
        assert [(act["by"], act["path"], act["status"]) for act in acts] == [
            ("key:ops", "/admin/groups/none/skip", 404)
        ], "by the supervisor, and not again by the worker"
        assert await running.stop() == 0
