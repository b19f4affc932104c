"""What an operator asks of routes on their way, over HTTP."""

from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.admin.app import admin_app
from proxy.admin.door import OPERATOR
from proxy.migrate.refusals import StepRefused
from proxy.migrate.stages import Setting
from tests.unit.admin.scripted import ScriptedMigrations, ScriptedOperations
from tests.unit.admin.test_app import assert_problem


@pytest.fixture
def control() -> ScriptedMigrations:
    return ScriptedMigrations()


@pytest.fixture
async def admin(control: ScriptedMigrations) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(admin_app(ScriptedOperations(control=control)), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin:9090") as client:
        yield client


async def test_all_routes_and_one(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/admin/migration")).json()["routes"][0]["name"] == "orders"
    assert (await admin.get("/admin/migration/orders")).json()["history"] == []
    assert_problem(await admin.get("/admin/migration/other"), 404, "no_migration")


async def test_a_wish_stands_in_the_query(admin: httpx.AsyncClient, control: ScriptedMigrations) -> None:
    query = "stage=dual&rollout=25%25&why=it+is+time&who=ann@desk&accept_gap=37&accept_violations=2&epoch=4"
    answer = await admin.post(f"/admin/migration/orders/set?{query}")
    assert (answer.status_code, answer.json()["confirmed"]) == (200, ["shop-1:8080/0-abc"])
    [wish] = control.wishes
    assert (wish.setting, wish.why, wish.who, wish.epoch) == (Setting("dual", 2_500), "it is time", "ann@desk", 4)
    assert wish.accepted == {"gap": 37, "violations": 2}


async def test_where_operators_are_known_nobody_is_somebody_else(control: ScriptedMigrations) -> None:
    transport = httpx.ASGITransport(admin_app(ScriptedOperations(control=control), is_private=True))
    headers = {OPERATOR.replace(".", "-"): "key:ops"}  # as a supervisor hands it on
    async with httpx.AsyncClient(transport=transport, base_url="http://admin:9090", headers=headers) as client:
        await client.post("/admin/migration/orders/set?stage=shadow&who=the+boss")
        await client.post("/admin/migration/orders/set?stage=shadow")
    assert [wish.who for wish in control.wishes] == ["key:ops (the boss)", "key:ops"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("", "lacks `stage`"),
        ("stage=kafak", "is no stage"),
        ("stage=dual&rollout=0%25", "more than 0%"),
        ("stage=dual&accept_gap=all", "write a whole number"),
        ("stage=dual&epoch=-1", "write a whole number"),
    ],
)
async def test_a_wish_that_cannot_be_read_changes_nothing(
    admin: httpx.AsyncClient, control: ScriptedMigrations, query: str, detail: str
) -> None:
    answer = await admin.post(f"/admin/migration/orders/set?{query}")
    assert answer.status_code == 422
    assert detail in answer.json()["detail"]
    assert control.wishes == []


async def test_a_refusal_brings_its_numbers(admin: httpx.AsyncClient, control: ScriptedMigrations) -> None:
    control.refusal = StepRefused("Refused: the old service has not seen 37 records.", extra={"legacy_missed": 37})
    answer = await admin.post("/admin/migration/orders/set?stage=dual")
    assert_problem(answer, 409, "step_refused")
    assert answer.json()["legacy_missed"] == 37


async def test_a_page_of_another_site_changes_nothing(admin: httpx.AsyncClient, control: ScriptedMigrations) -> None:
    answer = await admin.post("/admin/migration/orders/set?stage=dual", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403
    assert control.wishes == []
