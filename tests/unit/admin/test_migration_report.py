"""How ready a route is, over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.admin.app import admin_app
from proxy.migrate.report import samples
from proxy.migrate.route import RouteOnItsWay
from tests.unit.admin.scripted import ScriptedOperations
from tests.unit.admin.test_app import assert_problem
from tests.unit.migrate.scripted import way


@pytest.fixture
def orders() -> RouteOnItsWay:
    return way("orders")


@pytest.fixture
async def admin(orders: RouteOnItsWay) -> AsyncIterator[httpx.AsyncClient]:
    operations = ScriptedOperations(ways={"orders": orders})
    operations.metrics.add_source(lambda: samples(orders.account))
    transport = httpx.ASGITransport(admin_app(operations), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin:9090") as client:
        yield client


async def test_the_report_has_the_numbers_and_the_examples(admin: httpx.AsyncClient, orders: RouteOnItsWay) -> None:
    orders.account.request("shadow", "till-1")
    orders.account.violated([{"pointer": "/qty", "detail": "is missing"}], b'{"sku":"a"}')
    orders.shadow.lose("schema_violation", "it does not fit", "r1", b"a")
    told = (await admin.get("/admin/migration/orders/report")).json()
    assert told["route"] == "orders"
    assert told["requests"]["by_stage"]["shadow"] == {"requests": 1, "share": 1.0}
    assert (told["shadow"]["lost"], told["shadow"]["last_loss_ms"]) == (1, 1_795_000_000_000)
    assert told["violations"]["kinds"][0]["example"]["body"] == '{"sku":"<string>"}'
    assert told["callers"]["latest"][0]["caller"] == "till-1"


async def test_losses_are_listed(admin: httpx.AsyncClient, orders: RouteOnItsWay) -> None:
    orders.shadow.lose("queue_full", "9 wait", "r1", b"a")
    orders.shadow.lose("queue_full", "9 wait", "r2", b"b")
    told = (await admin.get("/admin/migration/orders/losses")).json()
    assert [loss["request_id"] for loss in told["losses"]] == ["r2", "r1"]


@pytest.mark.parametrize("what", ["report", "losses", "notes"])
async def test_another_route_has_none(admin: httpx.AsyncClient, what: str) -> None:
    assert_problem(await admin.get(f"/admin/migration/other/{what}"), 404, "no_migration")
