"""Limits of the whole bridge: rates, bodies that arrive slowly, and what is refused without a word to Kafka."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.client import client
from tests.e2e.configuration import config, produce
from tests.e2e.records import until, written
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.unit.http.served import Client

LIMITS = {"in_flight": 2, "in_flight_bytes": 20_000, "max_body_bytes": 5_000}


@pytest.fixture(scope="module")
def sections() -> dict[str, Any]:
    return {"limits": LIMITS}


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {2: 18}


@pytest_asyncio.fixture
async def connections(shared: SharedBridge) -> AsyncIterator[list[Client]]:
    """Eight, as raw sockets."""
    opened = [await Client.connect(shared.process.port) for _ in range(8)]
    yield opened
    for one in opened:
        one.close()


def head(path: str, length: int, *headers: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {length}", *headers, "\r\n"]).encode()


async def metrics(shared: SharedBridge) -> str:
    async with client(shared.admin_url) as admin:
        return (await admin.get("/metrics")).text


# ---- bodies that arrive slowly


async def test_slow_uploads_take_no_place_from_fast_ones(
    shared: SharedBridge, connections: list[Client], topic: str, consume_all: ConsumeAll
) -> None:
    """More uploads than `in_flight` has places are under way, and an ordinary request passes them all."""
    await shared.add(produce("POST /a", topic))
    for number, one in enumerate(connections):
        one.send(head("/a", 10) + b"slow %d" % number)
        await one.writer.drain()
    async with client(shared.base_url) as http:
        assert (await http.post("/a", content=b"fast")).status_code == 201
    for one in connections:
        one.send(b" end")
        assert (await one.answer())[0] == 201
    values = [record.value for record in await consume_all(topic)]
    assert sorted(values, key=str) == [b"fast", *(b"slow %d end" % number for number in range(8))]


async def test_slow_uploads_hold_half_of_the_bytes_at_most(
    shared: SharedBridge, connections: list[Client], topic: str
) -> None:
    await shared.add(produce("POST /a", topic))
    for one in connections[:2]:
        one.send(head("/a", 5_000) + b"x" * 4_900)
        await one.writer.drain()

    async def third_is_refused() -> bool:
        third = await Client.connect(shared.process.port)
        third.send(head("/a", 5_000) + b"x" * 4_900)
        try:
            status, _, body = await asyncio.wait_for(third.answer(), 0.5)
        except TimeoutError:  # one of the others had not arrived yet
            return False
        finally:
            third.close()
        return (status, json.loads(body)["limit"]) == (503, "in_flight_bytes")

    await until(third_is_refused)
    connections[3].send(head("/a", 5_000) + b"x" * 5_000)
    assert (await connections[3].answer())[0] == 201
    for one in connections[:2]:
        one.send(b"x" * 100)
        assert (await one.answer())[0] == 201


async def test_a_client_that_asks_first_is_refused_before_it_sends(
    shared: SharedBridge, connections: list[Client], topic: str
) -> None:
    await shared.add(produce("POST /once", topic, limits={"rate": {"total": "1/h"}}))
    async with client(shared.base_url) as http:
        assert (await http.post("/once")).status_code == 201
    connections[0].send(head("/once", 5_000, "Expect: 100-continue"))
    status, headers, _ = await connections[0].answer()
    assert (status, headers["connection"]) == (429, "close")


# ---- rates


async def test_a_client_beyond_its_rate_is_429_and_others_are_served(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, kafka: Kafka
) -> None:
    rate = {"client": "3/h", "by": "{header.x-api-key}"}
    await shared.add(produce("POST /rated", topic, limits={"rate": rate}))
    answers = [await http.post("/rated", headers={"x-api-key": "greedy"}) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, 429, 429]
    assert answers[0].headers["ratelimit-policy"] == '"route_client_rate";q=3;w=3600'
    assert answers[0].headers["ratelimit"] == '"route_client_rate";r=2;t=1200'
    assert answers[-1].json()["code"] == "rate_limited"
    assert answers[-1].json()["limit"] == "route_client_rate"
    assert answers[-1].headers["content-type"] == "application/problem+json"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 1_200
    assert (await http.post("/rated", headers={"x-api-key": "modest"})).status_code == 201
    assert await written(kafka, topic) == 4
    text = await metrics(shared)
    assert 'stepbridge_limited_total{limit="route_client_rate",route="post-rated"} 2' in text
    assert 'stepbridge_rate_clients{limit="route_client_rate",route="post-rated"} 2' in text
    assert shared.process.log.count('"limit_reached","route":"post-rated"') == 1


async def test_the_common_rate_is_over_all_routes_and_a_reload_does_not_begin_it_anew(
    shared: SharedBridge, topic: str, kafka: Kafka, http: httpx.AsyncClient
) -> None:
    path = shared.process.config_path
    before = path.read_text()
    routes = [produce("POST /x", topic), produce("POST /y", topic)]

    async def load(*some: Any) -> None:
        path.write_text(config(kafka, *some, limits={**LIMITS, "rate": {"total": "4/h"}}))
        async with client(shared.admin_url) as admin:
            assert (await admin.post("/admin/reload")).status_code == 200

    try:
        await load(*routes)
        assert [(await http.post(where)).status_code for where in ("/x", "/y", "/x")] == [201, 201, 201]
        await load(routes[0], {**routes[1], "name": "another"})
        assert [(await http.post(where)).status_code for where in ("/y", "/x")] == [201, 429]
    finally:
        path.write_text(before)


# ---- the routes' own bounds


async def test_a_routes_own_bytes_are_refused_without_touching_another_route(
    shared: SharedBridge, connections: list[Client], topic: str
) -> None:
    own = {"in_flight_bytes": 1_000, "max_body_bytes": 1_000}
    await shared.add(produce("POST /narrow", topic, limits=own), produce("POST /wide", topic))
    connections[0].send(head("/narrow", 1_000) + b"x" * 900)
    await connections[0].writer.drain()

    async def refused() -> bool:
        async with client(shared.base_url) as http:
            answer = await http.post("/narrow", content=b"x" * 200)
        return answer.status_code == 503 and answer.json()["limit"] == "route_in_flight_bytes"

    await until(refused)
    async with client(shared.base_url) as http:
        assert (await http.post("/wide", content=b"x" * 2_000)).status_code == 201
    connections[0].send(b"x" * 100)
    assert (await connections[0].answer())[0] == 201


# ---- what no record is made of


@pytest.mark.parametrize(
    "body",
    [
        b'{"sku": "\xff"}',
        b'{"sku": "a\xc3"}',
        b"\xff\xfe{\x00}\x00",
        b"[" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    ],
    ids=["no UTF-8", "cut UTF-8", "UTF-16", "100,000 arrays", "100,000 objects"],
)
async def test_json_that_is_no_utf_8_or_too_deep_is_400_at_once(
    body: bytes, shared: SharedBridge, http: httpx.AsyncClient, topic: str, kafka: Kafka
) -> None:
    limits = {"max_body_bytes": 2_000_000, "in_flight_bytes": 4_000_000}
    path = shared.process.config_path
    before = path.read_text()
    try:
        path.write_text(config(kafka, produce("POST /keyed", topic, key="{body.sku}"), limits=limits))
        async with client(shared.admin_url) as admin:
            assert (await admin.post("/admin/reload")).status_code == 200
        answer = await http.post("/keyed", content=body, headers={"content-type": "application/json"})
    finally:
        path.write_text(before)
    assert (answer.status_code, answer.json()["code"]) == (400, "not_json")
    assert await written(kafka, topic) == 0


async def test_a_header_smuggled_into_a_trailer_makes_no_key(
    shared: SharedBridge, connections: list[Client], topic: str, kafka: Kafka
) -> None:
    await shared.add(produce("POST /keyed", topic, key="{header.x-store}"))
    chunked = b"POST /keyed HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    connections[0].send(chunked + b"2\r\n{}\r\n0\r\nX-Store: forged\r\n\r\n")
    status, _, body = await connections[0].answer()
    assert (status, json.loads(body)["code"]) == (422, "field_missing")
    assert await written(kafka, topic) == 0


async def test_a_request_hidden_in_anothers_body_is_not_carried_out(
    shared: SharedBridge, connections: list[Client], topic: str, kafka: Kafka
) -> None:
    """What a server in front might take for one body is no second request here, or the other way round."""
    await shared.add(produce("POST /outer", topic), produce("POST /inner", topic))
    inner = b"POST /inner HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\ninner"
    shapes = [
        b"Content-Length: %d\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" % (len(inner) + 5),
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: xchunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
        b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
        b"X: y\nContent-Length: 0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0;\n\r\n\r\n",
    ]
    for one, shape in zip(connections, shapes, strict=True):
        one.send(b"POST /outer HTTP/1.1\r\nHost: a\r\n" + shape + inner)
        status, headers, body = await one.answer()
        assert (status, headers["connection"], json.loads(body)["code"]) == (400, "close", "malformed_request"), shape
        assert await asyncio.wait_for(one.rest(), 5) == b""
    assert await written(kafka, topic) == 0
