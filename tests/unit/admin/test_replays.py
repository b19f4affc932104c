"""What an operator asks of replays, over HTTP."""

import httpx

from proxy.admin.app import admin_app
from proxy.migrate.refusals import AnotherReplays
from tests.unit.admin.scripted import ScriptedOperations, ScriptedReplays
from tests.unit.admin.test_app import assert_problem


def admin(replays: ScriptedReplays) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(admin_app(ScriptedOperations(replaying=replays)), raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url="http://admin:9090")


async def test_a_replay_is_begun_looked_at_and_stopped() -> None:
    replays = ScriptedReplays(states=[{"route": "orders", "runs": True, "sent": 7, "left": 3}])
    async with admin(replays) as http:
        begun = await http.post("/admin/migration/orders/replay?follow=1&skip_refused=0")
        assert (begun.status_code, begun.json()["run"]) == (200, "r1")
        assert (await http.get("/admin/migration/orders/replay")).json()["left"] == 3
        assert (await http.post("/admin/migration/orders/replay/stop")).json()["state"] == "stopped"
        assert_problem(await http.get("/admin/migration/other/replay"), 404, "no_migration")
    assert replays.asked == [("orders", True, False), ("stop orders", False, False)]


async def test_a_second_one_is_refused() -> None:
    async with admin(ScriptedReplays(refusal=AnotherReplays("one runs at x"))) as http:
        assert_problem(await http.post("/admin/migration/orders/replay"), 409, "replay_runs")
