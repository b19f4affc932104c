"""What leaves a doubt about where a request ends, or does not end at all: refused, and the connection closed."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from proxy.http.protocol import MAX_AHEAD, Policy
from tests.unit.http.served import Client, connected
from tests.unit.http.test_protocol import answer, echo, read

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GOOD = POST + b"Content-Length: 4\r\n\r\ngood"


async def refused(client: Client, status: int = 400) -> dict[str, Any]:
    """The next answer is a refusal, and the connection ends after it."""
    code, headers, body = await client.answer()
    assert (code, headers["connection"], headers["content-type"]) == (status, "close", "application/problem+json"), body
    assert await client.rest() == b""
    document: dict[str, Any] = json.loads(body)
    return document


# ---- where does it end?


@pytest.mark.parametrize(
    "coding",
    [
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        b'Transfer-Encoding: "chunked"',
        b"Transfer-Encoding: chunked;q=1",
        b"Transfer-Encoding: chunked,",
        b"Transfer-Encoding:",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"X: y\r\n Transfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 15",
    ],
)
async def test_a_transfer_coding_that_others_may_read_otherwise_is_refused(coding: bytes) -> None:
    async with connected(echo) as client:
        client.send(POST + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        assert (await refused(client))["code"] == "malformed_request"


@pytest.mark.parametrize("coding", [b"chunked", b"Chunked", b"\tchunked "])
async def test_chunked_is_taken_however_it_is_spelt(coding: bytes) -> None:
    async with connected(echo) as client:
        client.send(POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" + GOOD)
        assert [(await client.answer())[2] for _ in range(2)] == [b"hello", b"good"]


async def test_http_1_0_knows_no_chunks() -> None:
    async with connected(echo) as client:
        client.send(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n")
        await refused(client)


@pytest.mark.parametrize(
    "length",
    [b"4\r\nContent-Length: 4", b"4, 4", b"0x4", b"+4", b"-4", b"4 4", b"1_0", b"", b"18446744073709551620", b"4\x00"],
)
async def test_a_length_that_is_not_one_number_is_refused(length: bytes) -> None:
    async with connected(echo) as client:
        client.send(POST + b"Content-Length: " + length + b"\r\n\r\ngood")
        await refused(client)


@pytest.mark.parametrize(
    "chunks",
    [
        b"5;a\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff5\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello more\r\n0\r\n\r\n",
        b"5\r\nhello0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n",
    ],
)
async def test_chunks_that_others_may_read_otherwise_are_refused(chunks: bytes) -> None:
    async with connected(echo) as client:
        client.send(CHUNKED + chunks)
        await refused(client)


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n", b"Host: a\r\nHost: a\r\n"])
async def test_a_request_has_one_host(hosts: bytes) -> None:
    async with connected(echo) as client:
        client.send(b"GET / HTTP/1.1\r\n" + hosts + b"\r\n")
        assert "Host" in (await refused(client))["detail"]


@pytest.mark.parametrize("version", [b"0.9", b"2.0"])
async def test_another_version_of_http_is_refused(version: bytes) -> None:
    async with connected(echo) as client:
        client.send(b"GET / HTTP/" + version + b"\r\nHost: a\r\n\r\n")
        assert version.decode() in (await refused(client))["detail"]


@pytest.mark.parametrize(
    "target",
    [
        b"/a#b",
        b"/a?x#b",
        b"/#",
        b"http://a/b#",
        b"http://a#b",
        b"ftp://a/b",
        b"ws://a/b",
        b"httpss://a/b",
        b"http://me@a/b",
        b"http:///b",
        b"a/b",
    ],
)
async def test_a_target_that_no_request_has_is_refused(target: bytes) -> None:
    """RFC 9112, 3.2: of a path and a query, or of a whole http URL; a fragment is never sent."""
    async with connected(echo) as client:
        client.send(GOOD.replace(b" / ", b" %b " % target, 1))
        assert (await refused(client))["code"] == "malformed_request"


@pytest.mark.parametrize("target", [b"/?a=%23", b"//a", b"http://a/b", b"HTTPS://a:8/b?c", b"http://a", b"*"])
async def test_a_target_that_a_request_may_have_is_taken(target: bytes) -> None:
    async with connected(echo) as client:
        client.send(GOOD.replace(b" / ", b" %b " % target, 1))
        assert (await client.answer())[2] == b"good"


async def test_trailers_do_not_become_headers() -> None:
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        seen.extend(scope["headers"])
        await answer(send, 200, body)

    async with connected(app) as client:
        client.send(CHUNKED + b"5\r\nhello\r\n0\r\nX-Api-Key: forged\r\n\r\n" + GOOD)
        assert [(await client.answer())[2] for _ in range(2)] == [b"hello", b"good"]
    assert b"x-api-key" not in dict(seen)


# ---- the requests around it


async def test_what_is_wrong_behind_a_request_is_answered_behind_its_answer() -> None:
    """The refusal of the second must not be taken for the answer to the first."""
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        if body == b"good":
            await go_on.wait()
        await answer(send, 200, body)

    async with connected(slow) as client:
        client.send(GOOD + CHUNKED + b"5\r\nhello, and no end")
        await client.writer.drain()
        go_on.set()
        assert (await client.answer())[2] == b"good"
        await refused(client)


async def test_a_handler_that_reads_a_body_which_breaks_off_learns_why() -> None:
    learned: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        try:
            await read(receive)
        except Exception as exc:
            learned.set_result(getattr(exc, "code", repr(exc)))
            raise

    async with connected(reads) as client:
        client.send(CHUNKED + b"5\r\nhello\r\n")
        await client.writer.drain()
        client.send(b"no chunk")
        await refused(client)
        assert await learned == "malformed_request"


async def test_requests_sent_ahead_are_bounded() -> None:
    """Each one that waits costs memory: after so many the client has to ask again on another connection."""
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await answer(send, 200, b"")

    async with connected(slow) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 2_000)
        await client.writer.drain()
        go_on.set()
        answers = (await client.rest()).count(b"HTTP/1.1 200")
    assert answers == MAX_AHEAD + 1


# ---- bodies that do not end


@pytest.mark.parametrize("beginning", [CHUNKED + b"5\r\nhello\r\n", POST + b"Content-Length: 9\r\n\r\nhello"])
async def test_a_body_that_does_not_go_on_is_408(beginning: bytes) -> None:
    async with connected(echo, Policy(body_timeout_s=0.05)) as client:
        client.send(beginning)
        assert (await refused(client, 408))["code"] == "body_timeout"


async def test_a_body_that_goes_on_may_take_longer_than_that() -> None:
    arrived = asyncio.Event()

    async def reads(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["more_body"]:
            arrived.set()
        await answer(send, 200, b"")

    loop, policy = asyncio.get_running_loop(), Policy(body_timeout_s=0.1)
    async with connected(reads, policy) as client, asyncio.timeout(10):
        client.send(CHUNKED)
        until_s = loop.time() + 3 * policy.body_timeout_s
        while loop.time() < until_s:
            client.send(b"1\r\nx\r\n")
            await arrived.wait()
            arrived.clear()
        client.send(b"0\r\n\r\n")
        assert (await client.answer())[0] == 200


async def test_a_body_that_the_bridge_does_not_read_yet_is_not_late() -> None:
    """While its reader is busy the connection rests: that is not the client's fault."""
    policy = Policy(body_timeout_s=0.05)
    rested: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def busy(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await rested
        await answer(send, 200, await read(receive))

    async with connected(busy, policy) as client:
        body = b"x" * 1_000_000
        client.send(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        asyncio.get_running_loop().call_later(policy.body_timeout_s * 4, rested.set_result, None)
        assert (await client.answer())[0] == 200


def trailers() -> bytes:
    return b"x" * 4_096


def extensions() -> bytes:
    return b"1;" + b"x" * 4_096 + b"\r\nx\r\n"


def extension() -> bytes:
    return b"x" * 4_096


@pytest.mark.parametrize(
    ("beginning", "more"),
    [(b"5\r\nhello\r\n0\r\nX: ", trailers), (b"", extensions), (b"5;", extension)],
    ids=["a trailer", "chunk extensions", "a chunk extension"],
)
async def test_what_stands_around_a_body_is_bounded(beginning: bytes, more: Callable[[], bytes]) -> None:
    async with connected(echo, Policy(max_head_bytes=10_000)) as client:
        client.send(CHUNKED + beginning)
        for _ in range(16):
            client.send(more())
            await client.writer.drain()
            await asyncio.sleep(0)
        assert "too large" in (await refused(client))["detail"]


async def test_a_body_in_the_smallest_pieces_is_taken() -> None:
    async with connected(echo, Policy(max_head_bytes=1_000)) as client:
        client.send(CHUNKED + b"1;a=b\r\nx\r\n" * 5_000 + b"0\r\n\r\n")
        assert (await client.answer())[2] == b"x" * 5_000


# ---- answers before the end of the body


async def early(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, 429, b"no")


async def test_after_an_early_answer_a_short_rest_is_discarded_and_the_connection_goes_on() -> None:
    async with connected(early) as client:
        client.send(POST + b"Content-Length: 9\r\n\r\nhello")
        status, headers, _ = await client.answer()
        assert (status, headers.get("connection")) == (429, None)
        client.send(b"rest" + GOOD)
        assert (await client.answer())[0] == 429


@pytest.mark.parametrize(("version", "interim"), [(b"1.0", b""), (b"1.1", b"HTTP/1.1 100 Continue\r\n\r\n")])
async def test_only_a_client_that_knows_interim_answers_is_told_to_go_on(version: bytes, interim: bytes) -> None:
    """One of HTTP/1.0 would take it for the answer itself (RFC 9110, 10.1.1)."""
    asked = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked.set()
        await echo(scope, receive, send)

    async with connected(app) as client:
        client.send(b"POST / HTTP/%b\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\n" % version)
        client.send(b"Content-Length: 4\r\n\r\n")
        await asked.wait()
        client.send(b"good")
        assert (await client.rest()).startswith(interim + b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "head",
    [CHUNKED, POST + b"Content-Length: 70000\r\n\r\n", POST + b"Content-Length: 4\r\nExpect: 100-continue\r\n\r\n"],
    ids=["no length", "long", "perhaps never"],
)
async def test_after_an_early_answer_the_connection_ends_where_the_rest_is_not_sure_to_be_short(head: bytes) -> None:
    async with connected(early) as client:
        client.send(head)
        status, headers, _ = await client.answer()
        assert (status, headers["connection"]) == (429, "close")
        assert await client.rest() == b""


async def test_a_short_rest_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.http.protocol.LINGER_S", 0.05)
    async with connected(early) as client:
        client.send(POST + b"Content-Length: 9\r\n\r\nhello")
        assert (await client.answer())[0] == 429
        assert await client.rest() == b""
