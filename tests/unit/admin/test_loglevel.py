"""The log's level over HTTP, in front of a scripted bridge."""

import httpx
import pytest

from proxy.admin.app import admin_app
from tests.unit.admin.scripted import ScriptedOperations


@pytest.fixture
def operations() -> ScriptedOperations:
    return ScriptedOperations()


async def ask(operations: ScriptedOperations, method: str, query: str = "") -> httpx.Response:
    transport = httpx.ASGITransport(admin_app(operations), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin:9090") as client:
        return await client.request(method, f"/admin/log-level{query}")


async def test_the_level_in_force_is_told(operations: ScriptedOperations) -> None:
    answer = await ask(operations, "GET")
    assert (answer.status_code, answer.json()) == (200, {"level": "info"})


async def test_a_level_that_is_set_is_in_force_and_in_the_audit_log(
    operations: ScriptedOperations, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await ask(operations, "POST", "?level=debug")
    assert (answer.status_code, answer.json()) == (200, {"level": "debug"})
    assert operations.config().observe.log_level == "debug"
    (record,) = [record for record in caplog.records if record.message == "admin_action"]
    assert record.__dict__["fields"]["query"] == "level=debug"


@pytest.mark.parametrize("query", ["", "?level=", "?level=loud", "?level=DEBUG"])
async def test_what_is_no_level_changes_nothing(operations: ScriptedOperations, query: str) -> None:
    answer = await ask(operations, "POST", query)
    assert answer.status_code == 400
    assert "debug, info, warning, error" in answer.json()["detail"]
    assert operations.config().observe.log_level == "info"
