"""`stepbridge migrate report` and `losses`, against a scripted bridge behind the real admin side."""

import re

import orjson
import pytest

from proxy.config.migration import Compare
from proxy.migrate.compare import Comparer
from proxy.migrate.report import samples
from proxy.migrate.route import RouteOnItsWay
from tests.unit.admin.scripted import ScriptedOperations
from tests.unit.cli.conftest import Run, rows
from tests.unit.migrate.scripted import way

AT = "2026-11-18T11:06:40Z"


@pytest.fixture
def orders(operations: ScriptedOperations) -> RouteOnItsWay:
    orders = operations.ways["orders"] = way("orders")
    operations.metrics.add_source(lambda: samples(orders.account))
    return orders


def busy(orders: RouteOnItsWay) -> None:
    account = orders.account
    for stage in ("legacy", "shadow", "shadow", "shadow"):
        account.request(stage, "till-1")
    for _ in range(3):
        account.shadowed()
        account.legacy_took(0.02)
    account.violated([{"pointer": "/qty", "detail": "is missing"}], b'{"sku":"a"}')
    account.lost("schema_violation")
    account.diverged("kafka_missed")
    account.compared(Comparer(Compare()).compare((200, (), b'{"n":1}'), (200, (), b'{"n":2}')))
    account.compared(None)


def test_the_report_is_tables(run: Run, admin: str, orders: RouteOnItsWay) -> None:
    busy(orders)
    code, out, err = run("migrate", "report", "orders", "--admin", admin)
    assert (code, err) == (0, "")
    stages, facts, violations, mismatches, callers = (rows(part) for part in out.split("\n\n"))
    assert stages == [
        ["STAGE", "REQUESTS", "SHARE"],
        ["legacy", "1", "25%"],
        ["shadow", "3", "75%"],
        ["dual", "0", "0%"],
        ["kafka", "0", "0%"],
    ]
    assert dict(map(tuple, facts)) == {  # type: ignore[arg-type]
        "WHAT": "SO FAR",
        "shadow success": "75%",
        "shadow written": "3",
        "shadow lost": "1 (schema_violation 1)",
        "last loss": AT,
        "in the shadow's queue": "0 of 0",
        "violations": "1 (shadow 1)",
        "dual diverged": "1 (kafka_missed 1)",
        "same answers": "50% of 2",
        "legacy latency": "p50 20.6 ms, p99 20.6 ms",
        "kafka latency": "–",
        "callers on the old path": "1",
    }
    assert violations[1] == ["/qty", "1", AT, 'is missing in {"sku":"<string>"}']
    assert mismatches[1] == ["value n", "1", AT, '"<number>", "<number>"']
    assert callers[1] == ["till-1", "4", AT]


@pytest.mark.usefixtures("terminal", "orders")
def test_an_untouched_route_fits_a_terminal(run: Run, admin: str) -> None:
    code, out, _ = run("migrate", "report", "orders", "--admin", admin)
    assert code == 0
    assert max(map(len, re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines())) <= 80


def test_the_report_may_be_json(run: Run, admin: str, orders: RouteOnItsWay) -> None:
    busy(orders)
    _, out, _ = run("migrate", "report", "orders", "--json", "--admin", admin)
    assert orjson.loads(out)["shadow"]["losses_by_reason"] == {"schema_violation": 1}


def test_losses_are_a_line_each(run: Run, admin: str, orders: RouteOnItsWay) -> None:
    orders.shadow.lose("queue_full", "9 records wait already", "r1", b"sku-a")
    code, out, _ = run("migrate", "losses", "orders", "--admin", admin)
    assert code == 0
    assert [line[1:] for line in rows(out)] == [
        ["REASON", "KEY", "REQUEST", "DETAIL"],
        ["queue_full", "sku-a", "r1", "9 records wait already"],
    ]


@pytest.mark.parametrize("command", ["report", "losses"])
def test_another_route_is_refused_with_what_the_bridge_says(run: Run, admin: str, command: str) -> None:
    code, out, err = run("migrate", command, "other", "--admin", admin)
    assert (code != 0, out) == (True, "")
    assert "No route named 'other' has `migrate`." in err
