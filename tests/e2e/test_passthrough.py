"""Routes with an upstream on a real bridge, while Kafka is away: that takes nothing from them."""

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.kafka.node import free_port

WITHIN_S = 10.0
DEPRECATION = {
    "since": "2026-11-22T15:00:00Z",
    "sunset": "2027-06-30T00:00:00Z",
    "link": "https://docs.example.com/moving",
}


class Legacy:
    """An old service: it says its name and the body it got; `/events` drips, `/slow` waits, `/health` is as told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.health = 200
        self.gone = asyncio.Event()
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
                path = head.split()[1]
                lines = dict(line.split(": ", 1) for line in head.split("\r\n")[1:-2])
                body = await reader.readexactly(int(lines.get("content-length", "0")))
                if path == "/slow":
                    await reader.read()
                    self.gone.set()
                    return
                status = self.health if path == "/health" else 200
                said = json.dumps({"name": self.name, "path": path, "body": body.decode()}).encode()
                fields = f"content-length: {len(said)}\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
                writer.write(f"HTTP/1.1 {status} Old\r\n{fields}\r\n".encode() + said)
        writer.close()


@contextlib.asynccontextmanager
async def legacy(name: str = "old", port: int = 0) -> AsyncIterator[Legacy]:
    one = Legacy(name)
    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await one.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    one.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield one
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


@pytest_asyncio.fixture
async def old() -> AsyncIterator[Legacy]:
    async with legacy() as one:
        yield one


def file(upstreams: dict[str, Any], **route: Any) -> str:
    return json.dumps(
        {
            "kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}"},
            "auth": "none",
            "drain": {"delay_ms": 0, "timeout_ms": 5_000},
            "observe": {"log_format": "json"},
            "upstreams": upstreams,
            "routes": [
                {"route": "POST /orders", "produce": {"topic": "orders"}},
                {"route": "* /{rest...}", "name": "rest", "upstream": "old", **route},
            ],
        }
    )


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(WITHIN_S):
        while not await holds():
            await asyncio.sleep(0.02)


async def admin(bridge: Bridge, path: str) -> httpx.Response:
    async with client(bridge.admin_url) as one:
        return await one.get(path)


async def metrics(bridge: Bridge) -> str:
    return (await admin(bridge, "/metrics")).text


async def test_the_old_service_answers_while_kafka_is_away(bridge: StartBridge, old: Legacy) -> None:
    running = await bridge(file({"old": {"url": old.url}}))
    async with client(running.base_url) as http:
        answer = await http.put("/a%2Fb?x=%20", content=b"hello")
        assert answer.json() == {"name": "old", "path": "/a%2fb?x=%20", "body": "hello"}
        assert answer.headers.get_list("set-cookie") == ["a=1", "b=2"]
        assert "date" not in answer.headers  # the old service says none
        assert (await http.post("/orders", content=b"{}")).json()["code"] == "kafka_unavailable"
    found = await metrics(running)
    assert 'stepbridge_upstream_requests_total{outcome="answered",upstream="old"} 1.0' in found
    assert f'stepbridge_upstream_address_up{{address="{old.url}",upstream="old"}} 1.0' in found
    assert 'stepbridge_upstream_first_byte_seconds_count{upstream="old"} 1.0' in found
    states = {route["name"]: route for route in (await admin(running, "/admin/routes")).json()["routes"]}
    assert (states["rest"]["state"], states["rest"]["kind"]) == ("serving", "passthrough")
    assert states["post-orders"]["state"] == "kafka_unavailable"
    assert await running.stop() == 0


async def test_while_the_old_service_is_away_it_is_told_everywhere(bridge: StartBridge) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    running = await bridge(file({"old": {"url": url, "breaker": {"failures": 2, "open_ms": 300}}}))
    async with client(running.base_url) as http:
        codes = [(await http.get("/a")).json()["code"] for _ in range(3)]
        assert codes == ["upstream_unavailable", "upstream_unavailable", "upstream_circuit_open"]
        (state,) = (await admin(running, "/admin/upstreams")).json()["upstreams"]
        assert state["addresses"][0]["url"] == url
        assert "refused" in state["addresses"][0]["trouble"]
        strict = await admin(running, "/readyz?strict=1")
        assert strict.status_code == 503
        told = {each["name"]: each["up"] for each in strict.json()["dependencies"]}
        assert told["upstream old"] is False
        assert (await admin(running, "/readyz")).status_code == 200
        async with legacy(port=port):
            await until(lambda: _is_ok(http))
    assert f'stepbridge_upstream_breaker_opened_total{{address="{url}",upstream="old"}}' in await metrics(running)


async def _is_ok(http: httpx.AsyncClient) -> bool:
    return (await http.get("/a")).status_code == 200


async def test_an_address_whose_checks_fail_gets_no_requests(bridge: StartBridge, old: Legacy) -> None:
    async with legacy("second") as second:
        health = {"path": "/health", "interval_ms": 30, "healthy": 1, "unhealthy": 2}
        running = await bridge(file({"old": {"url": [old.url, second.url], "health": health}}))
        old.health = 500

        async def is_down() -> bool:
            (state,) = (await admin(running, "/admin/upstreams")).json()["upstreams"]
            return [each["up"] for each in state["addresses"]] == [False, True]

        await until(is_down)
        async with client(running.base_url) as http:
            assert {(await http.get("/a")).json()["name"] for _ in range(6)} == {"second"}
            old.health = 200

            async def both_answer() -> bool:
                return {(await http.get("/a")).json()["name"] for _ in range(4)} == {"old", "second"}

            await until(both_answer)
    assert '"event":"upstream_unhealthy"' in running.log


async def test_a_reload_moves_a_route_to_another_service_and_cuts_nothing(bridge: StartBridge, old: Legacy) -> None:
    async with legacy("new") as new:
        running = await bridge(file({"old": {"url": old.url}}))
        async with client(running.base_url) as http:
            slow = asyncio.create_task(http.get("/slow"))
            await until(lambda: _in_use(running, 1))
            running.write_config(file({"old": {"url": new.url}}))
            async with client(running.admin_url) as one:
                assert "upstreams: changed" in (await one.post("/admin/reload")).json()["changed"]
            assert (await http.get("/a")).json()["name"] == "new"
            assert not slow.done()
            slow.cancel()
        async with asyncio.timeout(WITHIN_S):
            await old.gone.wait()  # its client has gone, and with it the request


async def _in_use(bridge: Bridge, count: int) -> bool:
    (state,) = (await admin(bridge, "/admin/upstreams")).json()["upstreams"]
    return bool(state["in_use"] == count)


async def test_routes_that_will_go_say_so_with_every_answer(bridge: StartBridge, old: Legacy) -> None:
    running = await bridge(file({"old": {"url": old.url}}, deprecation=DEPRECATION))
    async with client(running.base_url) as http:
        answers = [
            await http.get("/a"),
            await http.get("/a", headers={"upgrade": "websocket", "connection": "upgrade"}),
        ]
    assert [answer.status_code for answer in answers] == [200, 501]
    for answer in answers:
        assert answer.headers["deprecation"] == "@1795359600"
        assert answer.headers["sunset"] == "Wed, 30 Jun 2027 00:00:00 GMT"
        assert answer.headers["link"] == '<https://docs.example.com/moving>; rel="deprecation"'


async def test_workers_pass_on_alike_and_their_numbers_add_up(bridge: StartBridge, old: Legacy) -> None:
    running = await bridge(file({"old": {"url": old.url}}), workers=2)
    for _ in range(6):
        async with client(running.base_url) as http:  # a connection each: any worker may have it
            assert (await http.get("/a")).status_code == 200

    async def all_counted() -> bool:
        found = await metrics(running)
        return 'stepbridge_upstream_requests_total{outcome="answered",upstream="old"} 6.0' in found

    await until(all_counted)
    assert (await admin(running, "/admin/upstreams")).json()["upstreams"][0]["name"] == "old"
    assert await running.stop() == 0


async def test_a_request_that_is_with_the_service_is_answered_before_the_bridge_ends(bridge: StartBridge) -> None:
    asked, answer_now = asyncio.Event(), asyncio.Event()

    async def waits(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        asked.set()
        await answer_now.wait()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
        writer.close()

    server = await asyncio.start_server(waits, "127.0.0.1", 0)
    running = await bridge(file({"old": {"url": f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"}}))
    async with client(running.base_url) as http:
        answering = asyncio.create_task(http.get("/a"))
        async with asyncio.timeout(WITHIN_S):
            await asked.wait()
        running.signal(signal.SIGTERM)
        await until(lambda: _drains(running))
        answer_now.set()
        assert (await answering).text == "late"
    assert await running.ended() == 0
    server.close()


async def _drains(bridge: Bridge) -> bool:
    return '"event":"drain_began"' in bridge.log
