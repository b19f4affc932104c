"""Commands against a running bridge: here a scripted one, behind the real admin side."""

import re
from typing import Any

import orjson
import pytest

from proxy.admin.operations import GroupState, MemberState, PartitionState, RouteState
from proxy.config.mistake import ConfigMistakes, Mistake
from tests.unit.admin.scripted import ScriptedOperations
from tests.unit.cli.conftest import Run, rows, served

HERE = MemberState("a:1", True, True, ["orders:0", "orders:1"], 2, 3, True, False)
GONE = MemberState("b:1", False, False, [])


def test_routes_are_a_line_each(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.metrics.route("post-orders").answered(201, 0.002)
    operations.metrics.route("post-orders").in_flight = 2
    operations.route_states = {"get-orders-feed": RouteState("topic_missing", "Kafka has no orders.")}
    code, out, err = run("routes", "--admin", admin)
    assert (code, err) == (0, "")
    assert rows(out) == [
        ["NAME", "METHOD", "PATH", "TOPICS", "GROUP", "STATE", "DETAIL", "ANSWERED", "OPEN"],
        ["post-orders", "POST", "/orders", "orders", "–", "serving", "–", "201:1", "2"],
        [
            *("get-orders-feed", "GET", "/orders/feed", "orders", "shops"),
            *("topic_missing", "Kafka has no orders.", "–", "0"),
        ],
    ]


@pytest.mark.usefixtures("terminal")
def test_routes_fit_a_terminal(run: Run, admin: str, operations: ScriptedOperations) -> None:
    operations.route_states = {"get-orders-feed": RouteState("topic_missing", "Kafka has no orders.")}
    _, out, _ = run("routes", "--admin", admin)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", out).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("POST /orders" in line and "serving" in line for line in lines)
    assert lines.count("  → orders") == 1
    assert "\x1b[32mserving" in out


def test_groups_are_a_line_each(run: Run, admin: str, operations: ScriptedOperations) -> None:
    partitions = [PartitionState(topic, number, 90, 100, 10) for topic in ("sales", "orders") for number in (1, 0)]
    operations.group_states = [
        GroupState("shops", partitions, 4, 1.53, waiting=2, redeliveries=1, dead_letters=3, members=[HERE, GONE]),
        GroupState("auditors", [], 0, None, waiting=0, redeliveries=0, members=[HERE]),
    ]
    code, out, _ = run("groups", "--admin", admin)
    assert code == 0
    assert rows(out) == [
        ["GROUP", "WORKERS", "PARTITIONS", "LAG", "LEASED", "OLDEST", "WAITING", "REDELIVERED", "DEAD"],
        ["auditors", "1", "none", "0", "0", "–", "0", "0", "0"],
        ["shops", "2, 1 unreachable", "orders 0,1; sales 0,1", "40", "4", "1.5 s", "2", "1", "3"],
    ]


def test_groups_may_be_a_line_a_partition(run: Run, admin: str, operations: ScriptedOperations) -> None:
    known = PartitionState("orders", 0, 90, 100, 10, "a:1", 4, 1.53, holes=2, open_records=9, dead_waiting=1)
    operations.group_states = [GroupState("shops", [known, PartitionState("orders", 1, owner="b:1")], 4, 1.5, 0, 0)]
    assert rows(run("groups", "--partitions", "--admin", admin).out) == [
        ["GROUP", "PARTITION", "WORKER", "COMMITTED", "END", "LAG", "LEASED", "OLDEST", "HOLES", "OPEN", "DYING"],
        ["shops", "orders:0", "a:1", "90", "100", "10", "4", "1.5 s", "2", "9", "1"],
        ["shops", "orders:1", "b:1", *["–"] * 8],
    ]


def test_groups_may_be_a_line_a_worker(run: Run, admin: str, operations: ScriptedOperations) -> None:
    alone = MemberState(None, True, True, [], 0, 0, False, False, "no right to READ")
    operations.group_states = [
        GroupState("alone", [], 0, None, 0, 0, members=[alone]),
        GroupState("shops", [], 0, None, 0, 0, members=[HERE, GONE]),
    ]
    assert rows(run("groups", "--workers", "--admin", admin).out) == [
        ["GROUP", "WORKER", "STATE", "PARTITIONS", "WAITING", "STREAMS"],
        ["alone", "this one", "not joined: no right to READ", "none", "0", "0"],
        ["shops", "a:1", "ok", "orders:0; orders:1", "2", "3"],
        ["shops", "b:1", "unreachable", "none", "–", "–"],
    ]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"is_joined": False}, "joining"),
        ({"is_joined": False, "trouble": "no right to READ"}, "not joined: no right to READ"),
        ({"is_fenced": True}, "fenced: Kafka has not heard of us for a session timeout"),
    ],
)
def test_a_group_that_does_not_work_says_so(
    run: Run, admin: str, operations: ScriptedOperations, state: dict[str, Any], words: str
) -> None:
    operations.group_states = [GroupState("shops", [], 0, None, 0, 0, **state)]
    assert rows(run("groups", "--admin", admin).out)[1][:3] == ["shops", "0", words]


@pytest.mark.parametrize("what", ["routes", "groups"])
def test_json_is_what_the_admin_side_says(run: Run, admin: str, what: str) -> None:
    code, out, _ = run(what, "--admin", admin, "--json")
    assert code == 0
    assert list(orjson.loads(out)) == [what]


def test_a_reload_tells_what_changed(run: Run, admin: str, operations: ScriptedOperations) -> None:
    assert run("reload", "--admin", admin) == (0, "nothing changed\n", "")
    operations.next_reload = ["route a: added", "limits: changed"]
    assert run("reload", "--admin", admin) == (0, "route a: added\nlimits: changed\n", "")
    assert operations.reloads == 2


def test_a_refused_reload_lists_the_mistakes_and_is_2(run: Run, admin: str, operations: ScriptedOperations) -> None:
    mistakes = [Mistake("b.yaml", 1, 1, "routes", "is missing"), Mistake("b.yaml", 2, 1, "x", "unknown key")]
    operations.next_reload = ConfigMistakes(mistakes)
    code, out, err = run("reload", "--admin", admin)
    assert (code, err) == (2, "")
    assert out.splitlines() == list(map(str, mistakes))


@pytest.mark.parametrize("command", ["routes", "groups", "reload"])
def test_where_nobody_listens_it_says_where_it_asked(run: Run, command: str, free_port: int) -> None:
    code, out, err = run(command, "--admin", f"127.0.0.1:{free_port}")
    assert (code, out) == (1, "")
    assert err.startswith(f"stepbridge: no bridge answers at http://127.0.0.1:{free_port}/admin/{command} (")
    assert "Connection refused" in err
    assert "Traceback" not in err


def test_the_address_may_come_from_the_environment(run: Run, admin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEPBRIDGE_ADMIN", admin)
    assert run("routes").code == 0


@pytest.mark.parametrize(("status", "body"), [(200, b"<html>"), (200, b"[]"), (404, b"not found"), (200, b"{}")])
def test_something_else_at_that_address_is_recognised(run: Run, status: int, body: bytes) -> None:
    with served(lambda method, path: (status, body)) as url:
        for command in ("routes", "groups", "reload"):
            code, _, err = run(command, "--admin", url)
            assert code == 1
            assert "is no bridge's admin side" in err


def test_a_refusal_of_the_bridge_is_passed_on(run: Run) -> None:
    problem = orjson.dumps({"status": 500, "code": "internal_error", "detail": "The log has the traceback."})
    with served(lambda method, path: (500, problem)) as url:
        code, _, err = run("routes", "--admin", url)
    assert (code, err) == (1, "stepbridge: the bridge answered 500: The log has the traceback.\n")


@pytest.mark.parametrize("address", ["ftp://x", "http://", "http://a b", "http://[::1", "http://127.0.0.1:x"])
def test_an_address_that_is_none_is_no_traceback(run: Run, address: str) -> None:
    code, _, err = run("routes", "--admin", address)
    assert code == 1
    assert err.startswith("stepbridge: ")


def test_the_logs_level_is_shown_and_changed(run: Run, admin: str, operations: ScriptedOperations) -> None:
    assert run("log-level", "--admin", admin) == (0, "info\n", "")
    assert run("log-level", "debug", "--admin", admin) == (0, "debug\n", "")
    assert operations.config().observe.log_level == "debug"


def test_what_is_no_level_is_told_with_those_that_are(run: Run, admin: str) -> None:
    code, _, err = run("log-level", "loud", "--admin", admin)
    assert code == 1
    assert "`level` must be one of debug, info, warning, error" in err
