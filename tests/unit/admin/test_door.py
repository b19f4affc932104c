"""Who gets into the admin side, and what is written down of it."""

import base64
import hashlib
import io
import logging
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from proxy.admin.app import admin_app
from proxy.auth.hashes import password_hash
from proxy.config.callers import AdminAuth
from proxy.observe import logs
from tests.unit.admin.scripted import ScriptedOperations

KEY, PASSWORD = "sb_ops", "correct horse"
AUTH: dict[str, Any] = {
    "keys": [{"name": "ops", "hash": "sha256:" + hashlib.sha256(KEY.encode()).hexdigest()}],
    "basic": [{"name": "olga", "hash": password_hash(PASSWORD, b"0123456789abcdef")}],
}


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """What is logged; afterwards logging is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("stepbridge")
    before = list(root.handlers), root.level, ours.level
    stream = io.StringIO()
    logs.configure("json", "error", stream)
    yield stream
    root.handlers[:], root.level, ours.level = before
    logging.getLogger("uvicorn.access").disabled = False


def with_auth(**auth: Any) -> ScriptedOperations:
    operations = ScriptedOperations()
    admin = operations.configuration.admin.model_copy(update={"auth": AdminAuth.model_validate({**AUTH, **auth})})
    operations.configuration = operations.configuration.model_copy(update={"admin": admin})
    return operations


def client(operations: ScriptedOperations, *, is_private: bool = False) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(admin_app(operations, is_private=is_private), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://admin:9090")


def basic(text: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("shown", "status"),
    [
        ({}, 401),
        ({"x-api-key": KEY}, 200),
        ({"authorization": f"Bearer {KEY}"}, 200),
        (basic(f"olga:{PASSWORD}"), 200),
        ({"x-api-key": "sb_other"}, 401),
        (basic("olga:guess"), 401),
        (basic(f"ops:{PASSWORD}"), 401),
        ({"authorization": "Bearer a.b.c"}, 401),
        ({"x-api-key": KEY, "authorization": f"Bearer {KEY}"}, 401),
        ({"stepbridge-operator": "key:ops"}, 401),
    ],
)
async def test_operators_show_who_they_are(shown: dict[str, str], status: int) -> None:
    async with client(with_auth()) as admin:
        answer = await admin.get("/admin/routes", headers=shown)
    assert answer.status_code == status
    if status == 401:
        assert "Bearer" in answer.headers["www-authenticate"]
        assert "Basic" in answer.headers["www-authenticate"]
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("opened", "path", "status"),
    [
        (["health"], "/healthz", 200),
        (["health"], "/readyz", 200),
        (["health"], "/readyz?strict=1", 401),
        (["health"], "/metrics", 401),
        (["health", "metrics"], "/metrics", 200),
        ([], "/healthz", 401),
        (["health", "metrics"], "/admin/routes", 401),
        (["health", "metrics"], "/nowhere", 401),
    ],
)
async def test_only_what_is_opened_is_for_anyone(opened: list[str], path: str, status: int) -> None:
    async with client(with_auth(open=opened)) as admin:
        assert (await admin.get(path)).status_code == status


async def test_operators_change_with_the_configuration() -> None:
    operations = with_auth()
    async with client(operations) as admin:
        assert (await admin.get("/admin/routes", headers={"x-api-key": KEY})).status_code == 200
        operations.configuration = with_auth(keys=[]).configuration
        assert (await admin.get("/admin/routes", headers={"x-api-key": KEY})).status_code == 401
        assert (await admin.get("/admin/routes", headers=basic(f"olga:{PASSWORD}"))).status_code == 200


async def test_each_act_is_a_line_with_who_did_it(lines: io.StringIO) -> None:
    async with client(with_auth()) as admin:
        await admin.post("/admin/groups/shops/seek?to=begin", headers={"x-api-key": KEY})
        await admin.post("/admin/reload")
        await admin.get("/admin/routes", headers={"x-api-key": KEY})
    said = [orjson.loads(line) for line in lines.getvalue().splitlines()]
    acts = [(line["event"], line["by"]) for line in said if line["logger"] == "audit"]
    assert acts == [("admin_action", "key:ops"), ("denied", "-")]
    assert said[0]["path"] == "/admin/groups/shops/seek"
    assert KEY not in lines.getvalue()


async def test_behind_a_supervisor_its_word_counts_and_nothing_is_written_twice(lines: io.StringIO) -> None:
    async with client(with_auth(), is_private=True) as admin:
        answer = await admin.post("/admin/reload", headers={"stepbridge-operator": "key:ops"})
    assert answer.status_code == 200
    assert "admin_action" not in lines.getvalue()
