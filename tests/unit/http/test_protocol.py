"""One test for each feature of our subclass of uvicorn's protocol: they fail when uvicorn changes under it."""

import asyncio
import gc
import json
from typing import Any

import pytest

from proxy.http.protocol import BridgeProtocol, Policy
from tests.unit.http.served import Client, connected, served

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def read(receive: Any) -> bytes:
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        body += message["body"]
        if not message["more_body"]:
            return bytes(body)


async def answer(send: Any, status: int, body: bytes, *headers: tuple[bytes, bytes]) -> None:
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": status, "headers": [length, *headers]})
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, 200, await read(receive))


async def test_head_and_body_leave_in_one_write() -> None:
    writes = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        cycle = scope["extensions"]["stepbridge"]

        class Counting:
            def write(self, data: bytes) -> None:
                writes.append(data)
                transport.write(data)

            def __getattr__(self, name: str) -> Any:
                return getattr(transport, name)

        transport = cycle.transport
        cycle.transport = Counting()
        await answer(send, 200, b"hello")

    async with connected(app) as client:
        client.send(GET)
        status, _, body = await client.answer()
    assert (status, body) == (200, b"hello")
    assert len(writes) == 1


@pytest.mark.parametrize("pieces", [1, 2], ids=["in one piece", "without an end"])
async def test_a_head_above_its_limit_is_431_and_the_connection_ends(pieces: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 3_000 + (b"\r\n\r\n" if pieces == 1 else b"")
    async with connected(echo, Policy(max_head_bytes=2_000)) as client:
        for start in range(0, len(head), len(head) // pieces + 1):
            client.send(head[start : start + len(head) // pieces + 1])
            await client.writer.drain()
        status, headers, body = await client.answer()
        assert (status, headers["connection"]) == (431, "close")
        problem = json.loads(body)
        assert problem["code"] == "headers_too_large"
        assert problem["request_id"] == headers["x-request-id"]
        assert await client.rest() == b""


async def test_many_small_headers_count_too() -> None:
    async with connected(echo, Policy(max_head_bytes=2_000)) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 500 + b"\r\n")
        assert (await client.answer())[0] == 431


async def test_a_head_below_its_limit_passes_however_it_is_cut() -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 1_800 + b"\r\n\r\n"
    async with connected(echo, Policy(max_head_bytes=2_000)) as client:
        for start in range(0, len(head), 400):
            client.send(head[start : start + 400])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer())[0] == 200


async def test_a_head_that_does_not_end_in_time_is_408() -> None:
    async with connected(echo, Policy(head_timeout_s=0.05)) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: y")
        status, headers, body = await client.answer()
        problem = json.loads(body)
        assert (status, problem["code"]) == (408, "header_timeout")
        assert problem["request_id"] == headers["x-request-id"] != ""


async def test_a_second_head_on_the_connection_has_its_time_limit_too() -> None:
    async with connected(echo, Policy(head_timeout_s=0.05)) as client:
        client.send(GET)
        assert (await client.answer())[0] == 200
        client.send(b"GET / HTT")
        assert (await client.answer())[0] == 408


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with connected(echo, Policy(head_timeout_s=0.05)) as client:
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "garbage",
    [
        b"garbage\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\nhello",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nBad\x00Name: x\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n X: folded\n\n",
        b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
async def test_what_is_no_http_is_400_as_problem_json_and_the_connection_ends(garbage: bytes) -> None:
    async with connected(echo) as client:
        client.send(garbage)
        status, headers, body = await client.answer()
        assert (status, headers["content-type"]) == (400, "application/problem+json")
        assert json.loads(body)["code"] == "malformed_request"
        assert await client.rest() == b""


async def test_garbage_behind_a_request_does_not_spoil_its_answer() -> None:
    async with connected(echo) as client:
        client.send(GET + b"garbage garbage\r\n\r\n")
        assert (await client.answer())[0] == 200
        assert await client.rest() == b""


async def test_pipelined_requests_are_answered_in_turn() -> None:
    async with connected(echo) as client:
        for body in (b"one", b"two", b"three"):
            client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        assert [(await client.answer())[2] for _ in range(3)] == [b"one", b"two", b"three"]


async def test_a_head_that_has_begun_to_arrive_is_not_disturbed_by_the_answer_before_it() -> None:
    release = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        await release.wait()
        await answer(send, 200, body + dict(scope["headers"])[b"x-part"])

    async with connected(app) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nX-Part: 1\r\nContent-Length: 3\r\n\r\none")
        client.send(b"GET /two HTTP/1.1\r\nX-Part: 2\r\n")
        await client.writer.drain()
        release.set()
        assert (await client.answer())[2] == b"one1"
        client.send(b"Host: a\r\n\r\n")
        assert (await client.answer())[2] == b"2"


async def test_nothing_is_kept_of_a_request_that_is_over() -> None:
    connections: list[BridgeProtocol] = []
    async with served(echo, protocols=connections) as port:
        client = await Client.connect(port)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\none")
        await client.answer()
        (connection,) = connections
        assert not any((connection.cycle, connection.scope, connection.headers))
        client.close()


@pytest.mark.parametrize("cuts", [1, 7])
async def test_a_request_that_asks_for_an_upgrade_keeps_its_body_and_its_connection(cuts: int) -> None:
    """Java's HttpClient asks for h2c on the first request of each connection, POSTs too."""
    request = (
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nConnection: Upgrade, HTTP2-Settings\r\n"
        b"Upgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n\r\nhello"
    )
    async with connected(echo) as client:
        for start in range(0, len(request), len(request) // cuts + 1):
            client.send(request[start : start + len(request) // cuts + 1])
            await client.writer.drain()
            await asyncio.sleep(0)
        assert (await client.answer())[2] == b"hello"
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nagain\r\n0\r\n\r\n")
        assert (await client.answer())[2] == b"again"


async def test_an_early_answer_is_seen_by_a_client_that_is_still_sending() -> None:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await answer(send, 413, b"too large", (b"connection", b"close"))

    async with connected(refuse) as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000000\r\n\r\n")
        for _ in range(64):
            client.send(b"x" * 65_536)
            await client.writer.drain()
        status, _, body = await client.answer()
        assert (status, body) == (413, b"too large")
        assert await client.rest() == b""


async def test_under_a_closing_policy_every_answer_is_the_last_of_its_connection() -> None:
    policy = Policy()
    async with served(echo, policy) as port:
        client = await Client.connect(port)
        client.send(GET)
        assert "connection" not in (await client.answer())[1]
        policy.close = True
        client.send(GET)
        assert (await client.answer())[1]["connection"] == "close"
        assert await client.rest() == b""
        client.close()


async def test_a_handler_learns_that_its_client_has_gone() -> None:
    gone = asyncio.Event()

    async def waits(scope: Any, receive: Any, send: Any) -> None:
        await scope["extensions"]["stepbridge"].gone()
        gone.set()

    async with connected(waits) as client:
        client.send(GET)
        await client.writer.drain()
        client.abort()
        async with asyncio.timeout(5):
            await gone.wait()


@pytest.mark.parametrize("reads", [True, False], ids=["a client that reads", "one that goes away"])
async def test_drained_says_whether_the_bytes_have_left(reads: bool) -> None:
    said: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def large(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, b"x" * 8_000_000)
        said.set_result(await scope["extensions"]["stepbridge"].drained())

    async with connected(large) as client:
        client.send(GET)
        if reads:
            assert len((await client.answer())[2]) == 8_000_000
        else:
            await client.reader.readuntil(b"\r\n\r\n")
            assert not said.done()
            client.abort()
        async with asyncio.timeout(5):
            assert await said is reads


async def test_an_app_that_fails_is_answered_with_problem_json() -> None:
    async def fails(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    async with connected(fails) as client:
        client.send(GET)
        status, _, body = await client.answer()
        assert (status, json.loads(body)["code"]) == (500, "internal_error")


async def test_a_line_break_cannot_get_into_an_answers_head() -> None:
    async def splits(scope: Any, receive: Any, send: Any) -> None:
        await answer(send, 200, b"", (b"x", b"a\r\nset-cookie: evil"))

    async with connected(splits) as client:
        client.send(GET)
        status, headers, _ = await client.answer()
        assert status == 500
        assert "set-cookie" not in headers


async def test_a_request_leaves_nothing_for_the_garbage_collector() -> None:
    """Circles of objects are only found by the collector, which stops all requests while it looks."""
    async with connected(echo) as client:
        for _ in range(20):
            client.send(GET)
            await client.answer()
        gc.collect()
        gc.disable()
        try:
            for _ in range(100):
                client.send(GET)
                await client.answer()
            assert gc.collect() < 100
        finally:
            gc.enable()


async def test_a_connection_that_is_new_when_the_listener_closes_gets_its_first_answer() -> None:
    protocols: list[BridgeProtocol] = []
    async with served(echo, Policy(), protocols) as port:
        client = await Client.connect(port)
        while not protocols:
            await asyncio.sleep(0)
        protocols[0].shutdown()
        client.send(GET)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (200, "close")
        assert await client.rest() == b""
        client.close()


async def test_a_connection_leaves_nothing_for_the_garbage_collector_either() -> None:
    async with served(echo) as port:
        gc.collect()
        gc.disable()
        try:
            client = await Client.connect(port)
            client.send(GET)
            await client.answer()
            client.close()
            await client.writer.wait_closed()
            async with asyncio.timeout(5):
                while any(isinstance(each, BridgeProtocol) for each in gc.get_objects()):
                    await asyncio.sleep(0)
        finally:
            gc.enable()
