"""Requests as an upstream gets them through the bridge, however they come; and who is told when one of the two goes."""

import asyncio
import contextlib
import re

import pytest

from proxy.http.protocol import Policy
from proxy.limits.gate import Gate
from proxy.observe.metrics import Metrics
from tests.unit.http.torture import Bridged, Line, ask, bridged, get, post, says

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
WITHIN_S = 5.0
EVERYTHING_THE_BRIDGE_ADDS = (b"x-request-id", b"via", b"forwarded", b"x-forwarded-")


def fields(head: bytes) -> list[tuple[bytes, bytes]]:
    lines = head.strip().split(b"\r\n")[1:]
    return [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]


def of_the_client(head: bytes) -> list[tuple[bytes, bytes]]:
    return [(name, value) for name, value in fields(head) if not name.startswith(EVERYTHING_THE_BRIDGE_ADDS)]


async def echo(line: Line) -> None:
    """Answers with the body it got."""
    while True:
        head = await line.head()
        body = await line.body(head)
        await line.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)


@pytest.mark.parametrize(
    "target",
    [
        b"/a%2Fb/%c3%a9/c?x=%20&y=+&&=&a=b=c",
        b"/a?",
        b"/a??x?y",
        b"/?a[]=1&a[]=2;c|d",
        b"/%41bc",
        b"/a/b/",
        b"/a:b@c/$&'()*+,;=!~",
        b"/" + b"x" * 8_000 + b"?" + b"y" * 8_000,
    ],
)
async def test_path_and_query_go_on_as_they_were_sent(target: bytes) -> None:
    async with bridged(says(OK)) as both:
        assert (await both.through(get(target))).status == 200
    assert both.heads[0].split(b"\r\n")[0] == b"GET " + target + b" HTTP/1.1"


async def test_headers_go_on_in_their_order_duplicates_and_odd_bytes_too() -> None:
    sent = get(b"/a", b"X-B: 2", b"Cookie: a=1", b"x-a:  \xe9\xff ", b"X-B: 1", b"Accept-Encoding: br", b"Cookie: b=2")
    async with bridged(says(OK)) as both:
        await both.through(sent)
    assert of_the_client(both.heads[0]) == [
        (b"host", b"shop"),
        (b"x-b", b"2"),
        (b"cookie", b"a=1"),
        (b"x-a", b"\xe9\xff"),
        (b"x-b", b"1"),
        (b"accept-encoding", b"br"),
        (b"cookie", b"b=2"),
    ]


async def test_the_upstream_learns_who_asked_and_through_whom() -> None:
    async with bridged(says(OK)) as both:
        await both.through(get())
        await both.through(get(b"/a", b"X-Forwarded-For: 10.0.0.1", b"Via: 1.0 edge", b"X-Forwarded-Proto: https"))
        await both.through(get(b"/a", b"X-Request-Id: mine", b'Forwarded: for="[2001:db8::1]"'))
    first, second, third = (dict(fields(head)) for head in both.heads)
    assert (first[b"via"], first[b"x-forwarded-for"]) == (b"1.1 stepbridge", b"127.0.0.1")
    assert first[b"forwarded"] == b'for=127.0.0.1;host="shop";proto=http'
    assert (first[b"x-forwarded-host"], first[b"x-forwarded-proto"]) == (b"shop", b"http")
    assert re.fullmatch(rb"[0-9a-f]+-[0-9a-f]+", first[b"x-request-id"])
    assert (second[b"via"], second[b"x-forwarded-for"]) == (b"1.0 edge, 1.1 stepbridge", b"10.0.0.1, 127.0.0.1")
    assert second[b"x-forwarded-proto"] == b"https"
    assert third[b"x-request-id"] == b"mine"
    assert third[b"forwarded"] == b'for="[2001:db8::1]", for=127.0.0.1;host="shop";proto=http'


async def test_fields_of_the_connection_stay_on_it_also_those_that_are_named() -> None:
    sent = get(
        b"/a",
        b"TE: trailers",
        b"Keep-Alive: 5",
        b"X-Secret-Hop: 1",
        b"Proxy-Connection: x",
        b"Connection: X-Secret-Hop",
    )
    async with bridged(says(OK)) as both:
        await both.through(sent)
    assert of_the_client(both.heads[0]) == [(b"host", b"shop")]


@pytest.mark.parametrize(
    ("policy", "seen"), [("preserve", b"shop"), ("upstream", b"127.0.0.1:%d"), ("old.example.com", b"old.example.com")]
)
async def test_the_upstream_sees_the_host_that_the_file_says(policy: str, seen: bytes) -> None:
    async with bridged(says(OK), host=policy) as both:
        await both.through(get())
    assert dict(fields(both.heads[0]))[b"host"] == (seen % both.upstream_port if b"%" in seen else seen)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "GET"])
async def test_a_body_goes_on_with_its_length(method: str) -> None:
    async with bridged(echo) as both:
        answer = await both.through(post(b"hello").replace(b"POST", method.encode(), 1))
    assert answer.body == b"hello"
    assert dict(fields(both.heads[0]))[b"content-length"] == b"5"


async def test_a_body_in_chunks_goes_on_whole() -> None:
    sent = b"POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
    async with bridged(echo) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        for piece in (sent, b"5\r\nhello\r\n", b"6;x=y\r\n world\r\n", b"0\r\nX-Trailer: 1\r\n\r\n"):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        async with asyncio.timeout(WITHIN_S):
            assert (await reader.read()).endswith(b"hello world")
        writer.close()


async def test_a_request_without_a_body_is_sent_without_one() -> None:
    async with bridged(says(OK)) as both:
        await both.through(get().replace(b"GET", b"DELETE"))
        await both.through(post(b""))
    assert [dict(fields(head)).get(b"content-length") for head in both.heads] == [None, b"0"]
    assert all(b"transfer-encoding" not in head for head in both.heads)


async def test_a_big_body_goes_through_in_both_directions_and_is_not_held() -> None:
    size, most = 30_000_000, 0

    async def echoes_as_it_comes(line: Line) -> None:
        await line.head()
        await line.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        left = size
        while left:
            piece = await line.reader.read(65_536)
            left -= len(piece)
            await line.write(piece)

    async with bridged(echoes_as_it_comes) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        block = bytes(range(256)) * 256

        async def send() -> None:
            writer.write(b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: %d\r\n\r\n" % size)
            for _ in range(size // len(block)):
                writer.write(block)
                await writer.drain()
            writer.write(block[: size % len(block)])

        sending = asyncio.create_task(send())
        async with asyncio.timeout(30):
            await reader.readuntil(b"\r\n\r\n")
            read = 0
            while read < size:
                piece = await reader.read(65_536)
                assert piece == (block * 2)[read % 65_536 :][: len(piece)]
                read += len(piece)
                most = max(most, read)
            await sending
        writer.close()


async def test_a_client_is_not_read_faster_than_the_upstream_reads() -> None:
    """What waits in the bridge is bounded, whatever the size of the body."""
    go_on = asyncio.Event()

    async def does_not_read(line: Line) -> None:
        line.reader._limit = 1  # type: ignore[attr-defined]
        await go_on.wait()

    async with bridged(does_not_read) as both:
        _, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 1000000000\r\n\r\n")
        taken = 0
        with contextlib.suppress(TimeoutError):
            while taken < 100_000_000:
                writer.write(b"x" * 65_536)
                async with asyncio.timeout(0.5):
                    await writer.drain()
                taken += 65_536
        go_on.set()
        writer.transport.abort()
    assert taken < 20_000_000  # the kernel's buffers, and some of ours


async def test_an_upstream_is_not_read_faster_than_the_client_reads() -> None:
    written = 0
    stuck = asyncio.Event()

    async def endless(line: Line) -> None:
        nonlocal written
        await line.head()
        await line.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while written < 100_000_000:
            line.writer.write(b"x" * 65_536)
            try:
                async with asyncio.timeout(0.5):
                    await line.writer.drain()
            except TimeoutError:
                stuck.set()
                return
            written += 65_536

    async with bridged(endless) as both:
        _, writer = await asyncio.open_connection("127.0.0.1", both.port, limit=1)
        writer.write(get())
        async with asyncio.timeout(WITHIN_S):
            await stuck.wait()
        writer.transport.abort()
    assert written < 20_000_000


async def test_a_client_that_takes_nothing_of_its_answer_is_cut_off() -> None:
    """It would hold a place among those who are with the service."""

    async def endless(line: Line) -> None:
        await line.head()
        await line.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await line.write(b"x" * 65_536)

    async with bridged(endless, stalls_s=0.2) as both:
        _, writer = await asyncio.open_connection("127.0.0.1", both.port, limit=1)
        writer.write(get())
        async with asyncio.timeout(WITHIN_S):
            while not both.heads:
                await asyncio.sleep(0)
        await _nothing_is_held(both)
        writer.transport.abort()
    assert _outcomes(both.metrics) == {"abandoned": 1}


async def test_a_body_that_does_not_go_on_is_408_and_ends_the_request_to_the_upstream() -> None:
    gone = asyncio.Event()

    async def reads(line: Line) -> None:
        await line.head()
        await line.gone()
        gone.set()

    async with bridged(reads, policy=Policy(body_timeout_s=0.1)) as both:
        answer = await both.through(b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 50\r\n\r\nhalf")
        async with asyncio.timeout(WITHIN_S):
            await gone.wait()
    assert answer.status == 408
    assert b'"code":"body_timeout"' in answer.body


async def test_an_answer_that_comes_before_the_body_is_whole_reaches_the_client() -> None:
    async def refuses(line: Line) -> None:
        await line.head()
        await line.write(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        await line.gone()

    async with bridged(refuses) as both:
        sent = b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 5000000\r\n\r\n" + b"x" * 1_000
        direct = asyncio.create_task(ask(both.upstream_port, sent + b"x" * 4_999_000))
        answer = await both.through(sent)
        async with asyncio.timeout(WITHIN_S):
            await both.connections[-1].gone()  # the rest of the body is not sent for nothing
        assert (answer.status, answer.body) == (413, b"big")
        direct.cancel()


async def test_who_expects_100_gets_it_once_the_upstream_says_it() -> None:
    said = asyncio.Event()

    async def takes_it(line: Line) -> None:
        head = await line.head()
        assert b"\r\nexpect: 100-continue\r\n" in head.lower()
        await said.wait()
        await line.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await line.body(head)
        await line.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body), body)

    async with bridged(takes_it) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(b"POST /a HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        async with asyncio.timeout(WITHIN_S):
            while not both.heads:
                await asyncio.sleep(0)
            said.set()
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"hello")
            assert (await reader.readuntil(b"hello")).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()


async def test_who_expects_100_and_is_refused_never_sends_the_body() -> None:
    async with bridged(_refuses_before_the_body) as both:
        sent = b"POST /a HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"
        direct, through = await both.direct(sent), await both.through(sent)
    assert through.essence == direct.essence
    assert through.status == 417


async def _refuses_before_the_body(line: Line) -> None:
    await line.head()
    await line.write(b"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")


async def test_an_upstream_that_knows_no_100_gets_the_body_after_a_moment() -> None:
    async with bridged(echo) as both:
        answer = await both.through(post(b"hello", b"Expect: 100-continue"))
    assert answer.body == b"hello"


@pytest.mark.parametrize("answered", [b"", b"HTTP/1.1 200 OK\r\n\r\nsome of it"], ids=["before", "in"])
async def test_when_the_client_goes_the_request_to_the_upstream_ends(answered: bytes) -> None:
    async def waits(line: Line) -> None:
        await line.head()
        await line.write(answered)
        await line.gone()
        gone.set()

    gone = asyncio.Event()
    async with bridged(waits) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(get())
        async with asyncio.timeout(WITHIN_S):
            while not both.heads:
                await asyncio.sleep(0)
            if answered:
                await reader.readuntil(b"some of it")
            writer.transport.abort()
            await gone.wait()
        await _nothing_is_held(both)
    assert _outcomes(both.metrics) == {"abandoned": 1}


async def test_when_the_client_breaks_its_body_off_the_upstream_does_not_take_it_for_whole() -> None:
    async def reads(line: Line) -> None:
        head = await line.head()
        try:
            await line.body(head)
        except asyncio.IncompleteReadError as exc:
            broken.set_result(len(exc.partial))

    broken: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with bridged(reads) as both:
        _, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(b"POST /a HTTP/1.1\r\nHost: shop\r\nContent-Length: 50\r\n\r\nhalf")
        async with asyncio.timeout(WITHIN_S):
            while not both.heads:
                await asyncio.sleep(0)
            writer.close()
            assert await broken <= 4
        await _nothing_is_held(both)


async def test_a_body_above_the_routes_own_limit_is_413_however_it_comes() -> None:
    async with bridged(echo, max_body_bytes=10) as both:
        chunked = (
            b"POST /a HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n01234567\r\n8\r\n01234567\r\n"
        )
        at_once, piece_by_piece = await both.through(post(b"x" * 11)), await both.through(chunked)
        assert (await both.through(post(b"x" * 10))).status == 200
    assert (at_once.status, piece_by_piece.status) == (413, 413)


async def test_a_routes_own_bound_holds_and_is_given_back() -> None:
    async def waits(line: Line) -> None:
        await line.head()
        await line.gone()

    gate = Gate(1, 0, "route all", "route_in_flight")
    async with bridged(waits, gate=gate) as both:
        _, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(get())
        async with asyncio.timeout(WITHIN_S):
            while not both.heads:
                await asyncio.sleep(0)
            refused = await both.through(get())
            writer.transport.abort()
            while gate.count:
                await asyncio.sleep(0)
    assert refused.status == 503
    assert b'"limit":"route_in_flight"' in refused.body


POST = b"POST /a HTTP/1.1\r\nHost: shop\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: shop\r\n"
SMUGGLING = {
    "a length and chunks": POST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": POST + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nhello",
    "a length with a sign": POST + b"Content-Length: +4\r\n\r\nhell",
    "a coding before chunked": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding that looks like chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 4\r\n\r\nhell",
    "a folded header": GET + b"X-A: 1\r\n 2\r\n\r\n",
    "a bare line feed in a value": GET + b"X-A: 1\nX-B: 2\r\n\r\n",
    "a bare carriage return in a value": GET + b"X-A: 1\rX-B: 2\r\n\r\n",
    "a NUL in a value": GET + b"X-A: 1\x002\r\n\r\n",
    "two hosts": GET + b"Host: evil\r\n\r\n",
    "a size of chunks that is none": POST + b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("sent", SMUGGLING.values(), ids=SMUGGLING.keys())
async def test_what_leaves_a_doubt_about_where_a_request_ends_never_makes_two_of_it(sent: bytes) -> None:
    """It is refused; or, where it is understood, it goes on in one way only."""
    async with bridged(echo) as both:
        answer = await both.through(sent.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    assert answer.status in (400, 502) or len(both.heads) == 1
    for head in both.heads:
        assert len(re.findall(rb"(?im)^(content-length|transfer-encoding):", head)) <= 1
        assert b"\n" not in head.replace(b"\r\n", b"")


async def test_only_the_configured_upstream_is_reached_whatever_is_named() -> None:
    async with bridged(says(OK)) as both:
        whole_url = b"GET http://evil.example:1/a?b HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"
        assert (await both.through(whole_url)).status == 200
        assert (await both.through(get(b"/a", b"X-Forwarded-Host: evil"))).status == 200
        assert (await both.through(b"GET evil.example:1 HTTP/1.1\r\nHost: a\r\n\r\n")).status == 400
        assert (await both.through(b"CONNECT evil.example:1 HTTP/1.1\r\nHost: a\r\n\r\n")).status == 400
    assert both.heads[0].startswith(b"GET /a?b HTTP/1.1\r\n")
    assert len(both.heads) == 2


@pytest.mark.parametrize(
    "sent",
    [
        get(b"/chat", b"Upgrade: websocket", b"Connection: upgrade").replace(b"Connection: close\r\n", b""),
        get(b"/a").replace(b"GET", b"TRACE"),
    ],
    ids=["upgrade", "trace"],
)
async def test_what_cannot_be_passed_on_is_501_and_says_so(sent: bytes) -> None:
    async with bridged(says(OK)) as both:
        reader, writer = await asyncio.open_connection("127.0.0.1", both.port)
        writer.write(sent)
        async with asyncio.timeout(WITHIN_S):
            answer = await reader.readuntil(b"}")
        writer.close()
    assert answer.startswith(b"HTTP/1.1 501 ")
    assert b'"code":"not_passed_on"' in answer
    assert both.heads == []


async def _nothing_is_held(both: Bridged) -> None:
    async with asyncio.timeout(WITHIN_S):
        while both.service.slots.count:
            await asyncio.sleep(0)


def _outcomes(metrics: Metrics) -> dict[str, float]:
    numbers = metrics.snapshot().numbers["stepbridge_upstream_requests_total"]
    return {outcome: count for (_, outcome), count in numbers.items()}
