"""Commands against a running bridge: here a scripted one, behind the real admin side."""

import asyncio
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import orjson
import pytest

from proxy.admin.app import admin_app
from proxy.admin.operations import GroupState, PartitionState, RouteState
from proxy.config.mistake import ConfigMistakes, Mistake
from tests.unit.admin.scripted import ScriptedOperations
from tests.unit.cli.conftest import Run


@pytest.fixture
def operations() -> ScriptedOperations:
    """A bridge with one route that writes and one that reads for a group."""
    return ScriptedOperations()


@pytest.fixture
def admin(operations: ScriptedOperations) -> Iterator[str]:
    """The address of its admin side."""

    async def asked(method: str, path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(admin_app(operations))) as client:
            return await client.request(method, f"http://admin{path}")

    def answer(method: str, path: str) -> tuple[int, bytes]:
        answered = asyncio.run(asked(method, path))
        return answered.status_code, answered.content

    with served(answer) as url:
        yield url


@contextmanager
def served(answer: Callable[[str, str], tuple[int, bytes]]) -> Iterator[str]:
    """An HTTP server on loopback that answers with (status, body) to (method, path)."""

    class Front(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answer(self.command, self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Front) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def rows(out: str) -> list[list[str]]:
    """The columns of each line as a pipe gets them."""
    return [re.split(r" {2,}", line) for line in out.splitlines()]


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
        GroupState("shops", partitions, leases_out=4, oldest_lease_s=1.53, waiting=2, redeliveries=1),
        GroupState("auditors", [], leases_out=0, oldest_lease_s=None, waiting=0, redeliveries=0),
    ]
    code, out, _ = run("groups", "--admin", admin)
    assert code == 0
    assert rows(out) == [
        ["GROUP", "PARTITIONS", "LAG", "LEASED", "OLDEST", "WAITING", "REDELIVERED"],
        ["auditors", "none", "0", "0", "–", "0", "0"],
        ["shops", "orders 0,1; sales 0,1", "40", "4", "1.5 s", "2", "1"],
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
    assert rows(run("groups", "--admin", admin).out)[1][:2] == ["shops", words]


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
