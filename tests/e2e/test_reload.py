"""A new file put in force while the bridge runs: by POST, by SIGHUP, or not at all when it has mistakes."""

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio

from tests.bridge import Bridge
from tests.e2e.client import client
from tests.e2e.configuration import Route, config, consume, produce
from tests.e2e.events import record_of, sse, value_of
from tests.e2e.reader import Reader
from tests.e2e.records import numbered, until, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.unit.http.served import Client

MISTAKEN = [produce("PSOT /old", "t"), produce("POST /b", "t", kye="x")]


class Running:
    """The module's bridge, whose file a test writes as it likes."""

    def __init__(self, kafka: Kafka, process: Bridge) -> None:
        self.kafka, self.process = kafka, process

    async def put(self, *routes: Route, **sections: Any) -> httpx.Response:
        """Write a file with these routes, and ask for a reload."""
        self.process.write_config(config(self.kafka, *routes, **sections))
        return await self.reload()

    async def reload(self) -> httpx.Response:
        async with client(self.process.admin_url) as admin:
            return await admin.post("/admin/reload")

    async def changed(self, *routes: Route, **sections: Any) -> list[str]:
        """The same; what it says has changed."""
        answer = await self.put(*routes, **sections)
        assert answer.status_code == 200, answer.text
        lines: list[str] = answer.json()["changed"]
        return sorted(lines)

    async def post(self, path: str, **more: Any) -> int:
        """The status that a POST is answered with."""
        async with client(self.process.base_url) as http:
            return (await http.post(path, **more)).status_code


@pytest_asyncio.fixture
async def running(shared: SharedBridge, kafka: Kafka) -> AsyncIterator[Running]:
    yield Running(kafka, shared.process)
    await shared.restore()


async def test_a_route_appears_and_another_goes_by_post(running: Running, topic: str) -> None:
    await running.changed(produce("POST /old", topic), produce("POST /both", topic))
    assert (await running.post("/new"), await running.post("/old")) == (404, 201)
    changed = await running.changed(produce("POST /both", topic), produce("POST /new", topic))
    assert changed == ["route post-new: added", "route post-old: removed"]
    assert [await running.post(path) for path in ("/new", "/old", "/both")] == [201, 404, 201]


async def test_sighup_puts_the_file_in_force(running: Running, topic: str) -> None:
    await running.changed(produce("POST /old", topic))
    running.process.write_config(config(running.kafka, produce("POST /new", topic)))
    running.process.signal(signal.SIGHUP)

    async def is_there() -> bool:
        return await running.post("/new") == 201

    await until(is_there, within_s=5)
    assert await running.post("/old") == 404


async def test_a_file_with_mistakes_changes_nothing_and_every_mistake_is_listed(running: Running, topic: str) -> None:
    await running.changed(produce("POST /old", topic))
    answer = await running.put(*MISTAKEN, limit={})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "bad_configuration")
    assert len(problem["mistakes"]) >= 3
    assert all(mistake.startswith(f"{running.process.config_path}:") for mistake in problem["mistakes"])
    assert any("did you mean limits?" in mistake for mistake in problem["mistakes"])
    assert await running.post("/old") == 201


async def test_sighup_with_mistakes_changes_nothing_and_the_log_has_each_of_them(running: Running, topic: str) -> None:
    await running.changed(produce("POST /old", topic))
    running.process.write_config(config(running.kafka, *MISTAKEN, limit={}, topics={"craete": True}))
    running.process.signal(signal.SIGHUP)

    async def are_logged() -> bool:
        return all(word in running.process.log for word in ("limit: unknown key", "PSOT", "kye", "craete"))

    await until(are_logged, within_s=5)
    assert await running.post("/old") == 201


async def test_a_file_that_is_gone_or_no_yaml_changes_nothing(running: Running, topic: str) -> None:
    await running.changed(produce("POST /old", topic))
    running.process.write_config("routes: [")
    assert (await running.reload()).status_code == 422
    running.process.config_path.unlink()
    assert (await running.reload()).status_code == 422
    assert await running.post("/old") == 201


async def test_limits_change_without_a_restart(running: Running, topic: str) -> None:
    route = produce("POST /w", topic)
    await running.changed(route)
    async with client(running.process.base_url) as http:
        assert (await http.post("/w", content=b"x" * 100)).status_code == 201
        assert await running.changed(route, limits={"max_body_bytes": 50, "max_header_bytes": 2_000}) == [
            "limits: changed"
        ]
        assert (await http.post("/w", content=b"x" * 100)).status_code == 413
        assert (await http.post("/w", headers={"x": "y" * 3_000})).status_code == 431


async def test_what_needs_a_restart_is_said(running: Running, topic: str) -> None:
    route = produce("POST /w", topic)
    await running.changed(route)
    (line,) = await running.changed(route, secret="another secret altogether")
    assert "secret" in line
    assert "restart" in line


async def test_a_request_in_flight_ends_under_the_route_it_came_in_under(running: Running, topic: str) -> None:
    await running.changed(produce("POST /old", topic))
    slow = await Client.connect(running.process.port)
    slow.send(b"POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
    assert await running.post("/old", content=b"after its head") == 201
    await running.changed(produce("POST /new", topic))
    slow.send(b"half")
    assert (await slow.answer())[0] == 201
    slow.close()
    assert {record.value for record in await running.kafka.consume_all(topic)} == {b"after its head", b"halfhalf"}


async def test_readers_do_not_notice_a_reload_that_leaves_their_route_alone(running: Running, topic: str) -> None:
    await write(running.kafka, topic, *numbered(2))
    group = f"group-of-{topic}"
    reading = consume("GET /r", topic, group=group, lease_ms=60_000)
    await running.changed(reading)
    async with Reader(running.process.base_url, "/r") as reader, sse(reader.http, "/r") as events:
        first = record_of(await anext(events))
        await anext(events)
        polling = asyncio.create_task(reader.poll(wait_s=3))
        assert await running.changed(reading, produce("POST /new", topic)) == ["route post-new: added"]
        await reader.accept(first["lease"], [first["id"]])
        await write(running.kafka, topic, b"2", b"3")
        polled = await polling
        rest = [value_of(await anext(events)) for _ in range(2 - len(polled.records))]
    assert sorted([*polled.values, *rest]) == [2, 3]
    assert running.process.log.count(f'"partitions_assigned","group":"{group}"') == 1


async def test_a_group_whose_route_is_gone_is_left_and_can_come_back(running: Running, topic: str) -> None:
    await write(running.kafka, topic, *numbered(4))
    other, reading = produce("POST /w", topic), consume("GET /r", topic, group=f"group-of-{topic}", lease_ms=60_000)
    await running.changed(other, reading)
    async with Reader(running.process.base_url, "/r") as reader:
        polled = await reader.poll(most=2)
        await reader.accept(polled.lease)
        await running.changed(other)
        assert (await reader.http.get("/r")).status_code == 404

        async def is_left() -> bool:
            async with client(running.process.admin_url) as admin:
                return not (await admin.get("/admin/groups")).json()["groups"]

        await until(is_left, within_s=5)
        await running.changed(other, reading)
        assert (await reader.poll()).values == [2, 3]
