"""Answers of a tortuous upstream: what a client of the bridge reads is what a client of the upstream itself reads."""

import asyncio
import gzip

import pytest

from tests.unit.http.torture import Line, bridged, get, post, says

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SQUEEZED = gzip.compress(b"stock" * 100)

SAME = {
    "a length": says(OK + b"Content-Length: 5\r\n\r\nhello"),
    "no body at all": says(OK + b"Content-Length: 0\r\n\r\n"),
    "a length, a byte at a time": says(*[bytes([byte]) for byte in OK + b"Content-Length: 5\r\n\r\nhello"]),
    "chunks": says(CHUNKED + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n"),
    "chunks cut anywhere": says(*[bytes([byte]) for byte in CHUNKED + b"a\r\n0123456789\r\n0\r\n\r\n"]),
    "chunks with extensions and trailers": says(CHUNKED + b"3;x=y\r\nabc\r\n0\r\nX-Sum: 1\r\n\r\n"),
    "no chunk but the last": says(CHUNKED + b"0\r\n\r\n"),
    "until the end of the connection": says(OK + b"\r\nall ", b"of it"),
    "until the end, and nothing": says(OK + b"\r\n"),
    "HTTP/1.0": says(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nold"),
    "HTTP/1.0 with a length": says(b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"),
    "no reason phrase": says(b"HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok"),
    "a status nobody has registered": says(b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok"),
    "a redirect, which is not followed": says(
        b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x y\r\nContent-Length: 0\r\n\r\n"
    ),
    "an error of its own": says(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nbusy"),
    "204": says(b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
    "304 with the length a 200 would have": says(
        b'HTTP/1.1 304 Not Modified\r\nETag: "a"\r\nContent-Length: 5\r\n\r\n'
    ),
    "duplicates in their order": says(
        OK + b"Set-Cookie: a=1; Path=/\r\nX-B: 2\r\nSet-Cookie: c=3\r\nx-b: 1\r\nContent-Length: 0\r\n\r\n"
    ),
    "empty and odd values": says(
        OK + b"X-Empty:\r\nX-Bytes: \xe9\xff\x80\r\nX-Space:  a  b \r\nContent-Length: 0\r\n\r\n"
    ),
    "huge headers": says(OK + b"X-Huge: " + b"x" * 60_000 + b"\r\nContent-Length: 1\r\n\r\n!"),
    "many headers": says(OK + b"".join(b"X-%d: %d\r\n" % (n, n) for n in range(300)) + b"Content-Length: 1\r\n\r\n!"),
    "a compressed body": says(OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(SQUEEZED) + SQUEEZED),
    "an encoding that is none": says(OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nraw"),
    "early hints before it": says(
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\n!"
    ),
    "its own Date, Server and X-Request-Id": says(
        OK
        + b"Date: Sun, 22 Nov 2026 15:00:00 GMT\r\nServer: old\r\nX-Request-Id: its-own\r\nContent-Length: 1\r\n\r\n!"
    ),
    "a big body": says(OK + b"Content-Length: 3000000\r\n\r\n" + b"0123456789" * 300_000),
    "a big body in chunks": says(CHUNKED + b"10000\r\n" + b"x" * 65_536 + b"\r\n", *[b"1\r\ny\r\n"] * 50, b"0\r\n\r\n"),
    "a length that is too long": says(OK + b"Content-Length: 10\r\n\r\nhello"),
    "chunks that break off": says(CHUNKED + b"5\r\nhello\r\n", b"5\r\nwor"),
    "chunks that end without the last": says(CHUNKED + b"5\r\nhello\r\n"),
}


@pytest.mark.parametrize("script", SAME.values(), ids=SAME.keys())
async def test_an_answer_is_the_same_through_the_bridge(script: object) -> None:
    async with bridged(script) as both:  # type: ignore[arg-type]
        direct, through = await both.direct(get()), await both.through(get())
    assert through.essence == direct.essence
    assert through.is_whole == direct.is_whole


@pytest.mark.parametrize(
    "head",
    [OK + b"Content-Length: 500\r\n\r\n", OK + b"Transfer-Encoding: chunked\r\n\r\n", OK + b"X-A: 1\r\n\r\n"],
    ids=["length", "chunked", "neither"],
)
async def test_to_head_there_is_the_same_head_and_no_body(head: bytes) -> None:
    async with bridged(says(head)) as both:
        sent = b"HEAD /a HTTP/1.1\r\nHost: shop\r\nConnection: close\r\n\r\n"
        direct, through = await both.direct(sent), await both.through(sent)
    assert through.essence == direct.essence
    assert through.body == b""


async def test_a_client_of_http_1_0_gets_a_body_without_chunks() -> None:
    async with bridged(says(CHUNKED + b"3\r\nabc\r\n", b"2\r\nde\r\n0\r\n\r\n")) as both:
        answer = await both.through(b"GET /a HTTP/1.0\r\nHost: shop\r\n\r\n")
    assert (answer.body, answer.header(b"transfer-encoding")) == (b"abcde", None)


async def test_the_bridge_adds_its_request_id_and_nothing_else() -> None:
    async with bridged(says(OK + b"X-A: 1\r\nContent-Length: 1\r\n\r\n!")) as both:
        answer = await both.through(get())
    names = [name for name, _ in answer.headers]
    assert sorted(names) == [b"connection", b"content-length", b"x-a", b"x-request-id"]


async def test_an_upstreams_own_request_id_stays_the_only_one() -> None:
    async with bridged(says(OK + b"X-Request-Id: its-own\r\nContent-Length: 1\r\n\r\n!")) as both:
        answer = await both.through(get())
    assert [value for name, value in answer.headers if name == b"x-request-id"] == [b"its-own"]


async def test_fields_of_the_connection_stay_on_it_also_those_that_are_named() -> None:
    head = (
        OK
        + b"Connection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n"
    )
    async with bridged(says(head)) as both:
        answer = await both.through(get())
    assert answer.end_to_end == [(b"x-end", b"2"), (b"content-length", b"0")]


async def test_events_pass_live_and_their_head_before_them() -> None:
    told: asyncio.Queue[bytes] = asyncio.Queue()

    async def events(line: Line) -> None:
        await line.head()
        await line.write(OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        while event := await told.get():
            await line.write(b"%x\r\n%b\r\n" % (len(event), event))
        await line.write(b"0\r\n\r\n")

    async with bridged(events) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(get(b"/events"))
        async with asyncio.timeout(5):
            head = await reader.readuntil(b"\r\n\r\n")  # nothing of the body exists yet
            assert b"text/event-stream" in head
            for number in range(3):
                event = b"data: %d\n\n" % number
                told.put_nowait(event)
                assert event in await reader.readuntil(b"\n\n\r\n")
            told.put_nowait(b"")
            assert await reader.read() == b"0\r\n\r\n"
        writer.close()


async def test_an_upstream_that_closes_its_sending_side_alone_has_answered() -> None:
    async def half_closes(line: Line) -> None:
        await line.head()
        await line.write(OK + b"\r\nhalf open")
        line.writer.write_eof()
        await line.gone()

    async with bridged(half_closes) as both:
        direct, through = await both.direct(get()), await both.through(get())
    assert through.essence == direct.essence
    assert through.is_whole


async def test_events_end_cleanly_when_the_bridge_drains_and_a_download_goes_on() -> None:
    go_on = asyncio.Event()

    async def says_both(line: Line) -> None:
        kind = b"text/event-stream" if b"/events" in await line.head() else b"text/plain"
        await line.write(OK + b"Content-Type: " + kind + b"\r\n\r\nsome")
        await go_on.wait()
        await line.write(b" more")

    async with bridged(says_both) as both:
        events, download = (asyncio.create_task(both.through(get(path))) for path in (b"/events", b"/download"))
        async with asyncio.timeout(5):
            while both.service.slots.count < 2:
                await asyncio.sleep(0)
            both.drain.set_result(None)
            ended = await events
            go_on.set()
            whole = await download
    assert (ended.body, ended.is_whole) == (b"some", True)
    assert (whole.body, whole.is_whole) == (b"some more", True)


async def test_a_reset_in_the_middle_is_seen_and_what_came_before_is_there() -> None:
    async def resets(line: Line) -> None:
        await line.head()
        await line.write(OK + b"\r\nthe first ")
        await line.head()  # a second request never comes: the client has read all there is

    async with bridged(resets) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(get())
        async with asyncio.timeout(5):
            await reader.readuntil(b"the first \r\n")
            both.connections[0].reset()
            assert await reader.read() == b""  # and not the chunk that ends a body
        writer.close()


GARBAGE = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.2\r\n",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n!!",
    "a length and chunks": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    "a coding nobody asked for": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a length that is no number": OK + b"Content-Length: five\r\n\r\nhello",
    "a head that is too large": OK + b"X-Huge: " + b"x" * 200_000 + b"\r\nContent-Length: 0\r\n\r\n",
    "a change of protocol nobody asked for": b"HTTP/1.1 101 Other\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "a status that is none": b"HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n",
    "nothing": b"",
    "half a head": OK + b"X-A: 1\r\n",
}


@pytest.mark.parametrize("said", GARBAGE.values(), ids=GARBAGE.keys())
async def test_what_is_no_answer_is_502_and_says_so(said: bytes) -> None:
    async with bridged(says(said)) as both:
        answer = await both.through(post(b"x"))
    assert answer.status == 502
    assert b'"code":"upstream_failed"' in answer.body


async def test_an_answer_that_was_not_asked_for_is_never_the_next_ones() -> None:
    """The upstream says two answers to one request: the second must not reach the next client."""

    async def talks_too_much(line: Line) -> None:
        await line.head()
        await line.write(OK + b"Content-Length: 5\r\n\r\nfirst", OK + b"Content-Length: 6\r\n\r\npoison")
        await line.head()
        await line.write(OK + b"Content-Length: 4\r\n\r\nmine")

    async with bridged(talks_too_much) as both:
        answers = [await both.through(get()) for _ in range(3)]
    assert [answer.body for answer in answers] == [b"first"] * 3


async def test_more_than_the_length_is_not_part_of_the_answer() -> None:
    async with bridged(says(OK + b"Content-Length: 5\r\n\r\n", b"hello", b"HTTP/1.1 ", ends=False)) as both:
        answers = [await both.through(get()) for _ in range(2)]
    assert [answer.body for answer in answers] == [b"hello"] * 2
