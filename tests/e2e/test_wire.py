"""What arrives byte by byte: bodies that are too long, cut off, or not what their head says; heads without an end.

Of each of them nothing is written, and the client is told, as far as it listens.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.client import client as ordinary
from tests.e2e.configuration import produce
from tests.e2e.records import until, written
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.unit.http.served import Client

LIMIT = 10_000
LIMITS = {
    "max_body_bytes": LIMIT,
    "in_flight_bytes": 2 * LIMIT,
    "max_header_bytes": 4_096,
    "header_timeout_ms": 400,
    "body_timeout_ms": 400,
}
HEAD = b"POST /any HTTP/1.1\r\nHost: a\r\n"
PATIENT_S = 5


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 0, 2: 36}


@pytest.fixture(scope="module")
def sections() -> dict[str, Any]:
    return {"limits": LIMITS}


@pytest_asyncio.fixture
async def bounded(shared: SharedBridge, topic: str) -> SharedBridge:
    """A bridge with narrow limits and one route, POST /any."""
    await shared.add(produce("POST /any", topic))
    return shared


@pytest_asyncio.fixture
async def client(bounded: SharedBridge) -> AsyncIterator[Client]:
    one = await Client.connect(bounded.process.port)
    yield one
    one.close()


async def still_works(bounded: SharedBridge) -> None:
    """An ordinary request is taken, and everything before it on other connections has been dealt with."""
    async with ordinary(bounded.base_url) as http:
        assert (await http.post("/any", content=b"fine")).status_code == 201


async def values(consume_all: ConsumeAll, topic: str) -> list[bytes | None]:
    return [record.value for record in await consume_all(topic)]


# ---- too long


async def test_a_body_announced_as_too_long_is_refused_before_it_arrives(client: Client) -> None:
    client.send(HEAD + b"Content-Length: 10001\r\n\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["limit_bytes"] == LIMIT


async def test_a_client_that_never_stops_sending_sees_413_and_nothing_is_written(
    bounded: SharedBridge, client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")

    async def send_on() -> None:
        while True:
            client.send(b"400\r\n" + b"x" * 1_024 + b"\r\n")
            await client.writer.drain()
            await asyncio.sleep(0)

    sending = asyncio.create_task(send_on())
    status, headers, body = await client.answer()
    assert (status, headers["connection"]) == (413, "close")
    assert json.loads(body)["code"] == "too_large"
    async with asyncio.timeout(PATIENT_S):
        with pytest.raises(ConnectionError):
            await sending  # the bridge does not listen for ever
    await still_works(bounded)
    assert await values(consume_all, topic) == [b"fine"]


async def test_an_ordinary_client_that_uploads_too_much_sees_the_413(bounded: SharedBridge) -> None:
    async def upload() -> AsyncIterator[bytes]:
        for _ in range(2_000):
            yield b"x" * 10_000

    async with ordinary(bounded.base_url) as http:
        answer = await http.post("/any", content=upload())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


# ---- cut off


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 100\r\n\r\nonly the beginning",
        b"Transfer-Encoding: chunked\r\n\r\n12\r\nonly the beginning\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n12\r\nonly the beg",
    ],
    ids=["by its length", "between chunks", "within a chunk"],
)
@pytest.mark.parametrize("how", ["close", "abort"])
async def test_a_body_cut_off_in_the_middle_is_not_written(
    sent: bytes, how: str, bounded: SharedBridge, client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    client.send(HEAD + sent)
    await client.writer.drain()
    client.close() if how == "close" else client.abort()
    await still_works(bounded)
    assert await values(consume_all, topic) == [b"fine"]


async def test_a_client_that_ends_its_side_in_the_middle_of_its_body_writes_nothing(
    bounded: SharedBridge, client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    client.send(HEAD + b"Content-Length: 100\r\n\r\nonly the beginning")
    client.writer.write_eof()
    await client.rest()
    await still_works(bounded)
    assert await values(consume_all, topic) == [b"fine"]


async def test_whatever_becomes_of_a_body_its_room_is_given_back(
    bounded: SharedBridge, kafka: Kafka, topic: str
) -> None:
    """The bodies in flight may be two of the largest: a single one forgotten would soon be felt."""
    chunk = b"1f40\r\n" + b"x" * 8_000 + b"\r\n"
    for ending in (b"0\r\n\r\n", chunk, b"no chunk", None):
        for _ in range(4):
            client = await Client.connect(bounded.process.port)
            client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunk + (ending or b""))
            if ending is None:
                await client.writer.drain()
                client.abort()
            else:
                expected = {b"0\r\n\r\n": 201, chunk: 413, b"no chunk": 400}[ending]
                assert (await client.answer())[0] == expected
                client.close()
    async with ordinary(bounded.base_url) as http:

        async def largest_is_taken() -> bool:
            return (await http.post("/any", content=b"x" * LIMIT)).status_code == 201

        await until(largest_is_taken, within_s=5)  # once the bridge has seen who is gone
        assert await largest_is_taken()
    assert await written(kafka, topic) == 6


@pytest.mark.parametrize(
    "sent",
    [
        b"Content-Length: 100\r\n\r\nonly the beginning",
        b"Transfer-Encoding: chunked\r\n\r\n12\r\nonly the beginning\r\n",
    ],
    ids=["by its length", "between chunks"],
)
async def test_a_body_that_does_not_go_on_is_408_and_not_written(
    sent: bytes, bounded: SharedBridge, client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    client.send(HEAD + sent)
    status, headers, body = await client.answer()
    assert (status, headers["connection"], json.loads(body)["code"]) == (408, "close", "body_timeout")
    assert json.loads(body)["request_id"] == headers["x-request-id"]
    await still_works(bounded)
    assert await values(consume_all, topic) == [b"fine"]


# ---- not what the head says


async def test_what_follows_a_body_shorter_than_sent_is_no_part_of_it(
    client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    client.send(HEAD + b"Content-Length: 4\r\n\r\nfour and the rest is no request\r\n\r\n")
    assert (await client.answer())[0] == 201
    assert b"HTTP/1.1 2" not in await client.rest()
    assert await values(consume_all, topic) == [b"four"]


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: 4\r\nContent-Length: 5\r\n",
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: -4\r\n",
        b"Content-Length: four\r\n",
        b"Content-Length: 4, 4\r\n",
        b"Content-Length: +4\r\n",
        b"Transfer-Encoding: chunked, gzip\r\n",
        b"Content-Length : 4\r\n",
    ],
)
async def test_a_body_whose_length_is_said_in_two_ways_is_refused(
    framing: bytes, bounded: SharedBridge, client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    client.send(HEAD + framing + b"\r\nfour")
    status, headers, body = await client.answer()
    assert (status, headers["connection"], headers["content-type"]) == (400, "close", "application/problem+json")
    assert json.loads(body)["code"] == "malformed_request"
    await still_works(bounded)
    assert await values(consume_all, topic) == [b"fine"]


@pytest.mark.parametrize(
    "request_line",
    [b"GARBAGE", b"POST /any HTTP/9.9", b"POST http://[ HTTP/1.1", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"],
    ids=["garbage", "version", "target", "TLS"],
)
async def test_what_is_no_http_is_400_and_the_end_of_the_connection(request_line: bytes, client: Client) -> None:
    client.send(request_line + b"\r\nHost: a\r\n\r\n")
    status, headers, _ = await client.answer()
    assert (status, headers["connection"]) == (400, "close")
    assert await client.rest() == b""


# ---- heads


async def test_a_head_above_its_limit_is_431(client: Client) -> None:
    client.send(HEAD + b"X: " + b"x" * 5_000 + b"\r\n\r\n")
    status, headers, body = await client.answer()
    assert (status, headers["connection"], json.loads(body)["code"]) == (431, "close", "headers_too_large")


async def test_a_head_that_does_not_end_is_408(client: Client) -> None:
    client.send(HEAD)
    status, headers, body = await client.answer()
    assert (status, headers["connection"], json.loads(body)["code"]) == (408, "close", "header_timeout")


async def test_a_connection_that_says_nothing_is_closed_without_a_word(client: Client) -> None:
    assert await client.rest() == b""


# ---- what clients do


async def test_requests_sent_ahead_are_answered_in_turn_and_written_in_order(
    client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    for number in range(20):
        client.send(HEAD + b"Content-Length: 2\r\n\r\n%02d" % number)
    assert [(await client.answer())[0] for _ in range(20)] == [201] * 20
    assert sorted(await values(consume_all, topic), key=str) == [b"%02d" % number for number in range(20)]


async def test_a_client_that_asks_first_is_told_to_go_on(client: Client, consume_all: ConsumeAll, topic: str) -> None:
    client.send(HEAD + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    async with asyncio.timeout(PATIENT_S):
        assert await client.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"four")
    assert (await client.answer())[0] == 201
    assert await values(consume_all, topic) == [b"four"]


async def test_a_client_that_asks_first_with_too_much_is_refused_without_sending_it(client: Client) -> None:
    client.send(HEAD + b"Content-Length: 10001\r\nExpect: 100-continue\r\n\r\n")
    assert (await client.answer())[0] == 413


async def test_http_1_0_is_answered_and_its_connection_closed(client: Client) -> None:
    client.send(b"POST /any HTTP/1.0\r\nContent-Length: 4\r\n\r\nfour")
    assert (await client.answer())[0] == 201
    assert await client.rest() == b""


async def test_a_client_that_ends_its_side_behind_its_requests_is_answered(
    client: Client, consume_all: ConsumeAll, topic: str
) -> None:
    for body in (b"1", b"2", b"3"):
        client.send(HEAD + b"Content-Length: 1\r\n\r\n" + body)
    client.writer.write_eof()
    assert [(await client.answer())[0] for _ in range(3)] == [201, 201, 201]
    assert await client.rest() == b""
    assert sorted(await values(consume_all, topic), key=str) == [b"1", b"2", b"3"]
