"""A new file put in force while the bridge runs: by POST, by SIGHUP, or not at all when it has mistakes."""

import asyncio
import signal
import socket

import httpx

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.events import record_of, sse, value_of
from tests.e2e.reader import Reader
from tests.e2e.records import numbered, until, write, written
from tests.kafka.cluster import Kafka


async def reload(running: Bridge) -> httpx.Response:
    async with client(running.admin_url) as admin:
        return await admin.post("/admin/reload")


async def posted(running: Bridge, path: str) -> int:
    async with client(running.base_url) as http:
        return (await http.post(path)).status_code


async def test_a_route_appears_and_another_goes_by_post(bridge: StartBridge, kafka: Kafka, topic: str) -> None:
    running = await bridge(config(kafka, produce("POST /old", topic), produce("POST /both", topic)))
    assert (await posted(running, "/new"), await posted(running, "/old")) == (404, 201)
    running.write_config(config(kafka, produce("POST /both", topic), produce("POST /new", topic)))
    answer = await reload(running)
    assert answer.status_code == 200
    assert sorted(answer.json()["changed"]) == ["route post-new: added", "route post-old: removed"]
    assert [await posted(running, path) for path in ("/new", "/old", "/both")] == [201, 404, 201]


async def test_sighup_puts_the_file_in_force(bridge: StartBridge, kafka: Kafka, topic: str) -> None:
    running = await bridge(config(kafka, produce("POST /old", topic)))
    running.write_config(config(kafka, produce("POST /new", topic)))
    running.signal(signal.SIGHUP)

    async def is_there() -> bool:
        return await posted(running, "/new") == 201

    await until(is_there, within_s=5)
    assert await posted(running, "/old") == 404


async def test_a_file_with_mistakes_changes_nothing_and_every_mistake_is_listed(
    bridge: StartBridge, kafka: Kafka, topic: str
) -> None:
    running = await bridge(config(kafka, produce("POST /old", topic)))
    running.write_config(config(kafka, produce("PSOT /old", topic), produce("POST /b", topic, kye="x"), limit={}))
    answer = await reload(running)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "bad_configuration")
    assert len(problem["mistakes"]) >= 3
    assert all(mistake.startswith(f"{running.config_path}:") for mistake in problem["mistakes"])
    assert any("did you mean limits?" in mistake for mistake in problem["mistakes"])
    assert await posted(running, "/old") == 201


async def test_sighup_with_mistakes_changes_nothing_and_the_log_has_each_of_them(
    bridge: StartBridge, kafka: Kafka, topic: str
) -> None:
    running = await bridge(config(kafka, produce("POST /old", topic)))
    running.write_config(config(kafka, produce("PSOT /old", topic), produce("POST /b", topic, kye="x"), limit={}))
    running.signal(signal.SIGHUP)

    async def are_logged() -> bool:
        return all(word in running.log for word in ("limit: unknown key", "PSOT", "kye"))

    await until(are_logged, within_s=5)
    assert await posted(running, "/old") == 201


async def test_a_file_that_is_gone_or_no_yaml_changes_nothing(bridge: StartBridge, kafka: Kafka, topic: str) -> None:
    running = await bridge(config(kafka, produce("POST /old", topic)))
    running.write_config("routes: [")
    assert (await reload(running)).status_code == 422
    running.config_path.unlink()
    assert (await reload(running)).status_code == 422
    assert await posted(running, "/old") == 201


async def test_limits_change_without_a_restart(bridge: StartBridge, kafka: Kafka, topic: str) -> None:
    route = produce("POST /w", topic)
    running = await bridge(config(kafka, route))
    async with client(running.base_url) as http:
        assert (await http.post("/w", content=b"x" * 100)).status_code == 201
        running.write_config(config(kafka, route, limits={"max_body_bytes": 50, "max_header_bytes": 2_000}))
        assert (await reload(running)).json()["changed"] == ["limits: changed"]
        assert (await http.post("/w", content=b"x" * 100)).status_code == 413
        assert (await http.post("/w", headers={"x": "y" * 3_000})).status_code == 431


async def test_what_needs_a_restart_is_said(bridge: StartBridge, kafka: Kafka, topic: str) -> None:
    route = produce("POST /w", topic)
    running = await bridge(config(kafka, route))
    running.write_config(config(kafka, route, secret="another secret altogether"))
    (line,) = (await reload(running)).json()["changed"]
    assert "secret" in line
    assert "restart" in line


async def test_a_request_in_flight_ends_under_the_route_it_came_in_under(
    bridge: StartBridge, kafka: Kafka, topic: str
) -> None:
    running = await bridge(config(kafka, produce("POST /old", topic)))
    with socket.create_connection(("127.0.0.1", running.port)) as connection:
        connection.sendall(b"POST /old HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nhalf")
        async with client(running.base_url) as http:
            await http.post("/old")  # behind the other one
        running.write_config(config(kafka, produce("POST /new", topic)))
        assert (await reload(running)).status_code == 200
        connection.sendall(b"half")
        assert (await asyncio.to_thread(connection.recv, 12)) == b"HTTP/1.1 201"
    assert await written(kafka, topic) == 2


async def test_readers_do_not_notice_a_reload_that_leaves_their_route_alone(
    bridge: StartBridge, kafka: Kafka, name: str, topic: str
) -> None:
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(2))
    reading = consume("GET /r", name, group=name, lease_ms=60_000)
    running = await bridge(config(kafka, reading))
    async with Reader(running.base_url, "/r") as reader, sse(reader.http, "/r") as events:
        first = record_of(await anext(events))
        await anext(events)
        polling = asyncio.create_task(reader.poll(wait_s=3))
        running.write_config(config(kafka, reading, produce("POST /new", topic)))
        assert (await reload(running)).json()["changed"] == ["route post-new: added"]
        await reader.accept(first["lease"], [first["id"]])
        await write(kafka, name, b"2", b"3")
        polled = await polling
        rest = [value_of(await anext(events)) for _ in range(2 - len(polled.records))]
    assert sorted([*polled.values, *rest]) == [2, 3]
    assert running.log.count("partitions_assigned") == 1


async def test_a_group_whose_route_is_gone_is_left_and_can_come_back(
    bridge: StartBridge, kafka: Kafka, name: str, topic: str
) -> None:
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(4))
    other, reading = produce("POST /w", topic), consume("GET /r", name, group=name, lease_ms=60_000)
    running = await bridge(config(kafka, other, reading))
    async with Reader(running.base_url, "/r") as reader:
        polled = await reader.poll(most=2)
        await reader.accept(polled.lease)
        running.write_config(config(kafka, other))
        assert (await reload(running)).status_code == 200
        assert (await reader.http.get("/r")).status_code == 404

        async def is_left() -> bool:
            async with client(running.admin_url) as admin:
                return not (await admin.get("/admin/groups")).json()["groups"]

        await until(is_left, within_s=5)
        running.write_config(config(kafka, other, reading))
        assert (await reload(running)).status_code == 200
        assert (await reader.poll()).values == [2, 3]
