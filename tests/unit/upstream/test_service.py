"""Which address a request goes to, whether it goes again, and what becomes of it when none answers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest

from proxy.config.upstreams import UpstreamService
from proxy.errors import CircuitOpen, ProxyError, UpstreamAway, UpstreamBusy, UpstreamFailed, UpstreamTimeout
from proxy.observe.metrics import UpstreamMetrics
from proxy.seams.upstream import UpstreamRequest
from proxy.upstream.service import Service
from tests.kafka.node import free_port

WITHIN_S = 5.0
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
Handle = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
GET = UpstreamRequest("GET", b"/", [(b"host", b"shop")])
POST = UpstreamRequest("POST", b"/", [(b"host", b"shop")], b"body")


@contextlib.asynccontextmanager
async def listening(handle: Handle) -> AsyncIterator[str]:
    """The URL of a server that handles each connection so."""

    writers: list[asyncio.StreamWriter] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)  # transports close in the loop's next rounds


@contextlib.asynccontextmanager
async def service_at(urls: str | Sequence[str], **keys: Any) -> AsyncIterator[tuple[Service, UpstreamMetrics]]:
    metrics = UpstreamMetrics()
    service = Service("legacy", UpstreamService.model_validate({"url": urls, **keys}), metrics)
    try:
        yield service, metrics
    finally:
        await service.close()


async def read(service: Service, request: UpstreamRequest = GET) -> bytes:
    """The body of the answer."""
    async with asyncio.timeout(WITHIN_S):
        answer = await service.send(request)
        try:
            body, is_whole = answer.ready()
            while not is_whole and (piece := await answer.piece()):
                body += piece
        finally:
            await answer.close()
    return body


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        if b"content-length: 4" in head:
            await reader.readexactly(4)
        writer.write(OK)


async def hangs_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


def nowhere() -> str:
    return f"http://127.0.0.1:{free_port()}"


async def test_a_connection_is_used_again() -> None:
    connections = 0

    async def counted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await answers(reader, writer)

    async with listening(counted) as url, service_at(url) as (service, _):
        assert [await read(service, request) for request in (GET, POST, GET)] == [b"ok"] * 3
    assert connections == 1


@pytest.mark.parametrize("request_", [GET, POST], ids=["GET", "POST"])
async def test_where_no_connection_opens_any_request_goes_to_another_address(request_: UpstreamRequest) -> None:
    async with listening(answers) as url, service_at([nowhere(), url]) as (service, metrics):
        assert [await read(service, request_) for _ in range(4)] == [b"ok"] * 4
    assert metrics._retries["upstream_unavailable"] >= 1


async def test_a_connection_that_broke_is_tried_again_only_where_that_is_safe() -> None:
    asked: list[str] = []

    async def breaks_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[0].decode())
        if asked.count(asked[-1]) > 1:
            writer.write(OK)

    async with listening(breaks_once) as url, service_at(url) as (service, _):
        assert await read(service, GET) == b"ok"
        with pytest.raises(UpstreamFailed) as failed:
            await read(service, POST)
        assert failed.value.may_have_acted
        assert await read(service, UpstreamRequest("PUT", b"/", [], b"body")) == b"ok"

        async def pieces() -> AsyncIterator[bytes]:
            yield b"body"

        with pytest.raises(UpstreamFailed):
            await read(service, UpstreamRequest("DELETE", b"/", [], pieces()))
    assert asked == ["GET", "GET", "POST", "PUT", "PUT", "DELETE"]


async def test_with_no_retries_nothing_goes_again() -> None:
    async with service_at([nowhere(), nowhere()], retries=0) as (service, metrics):
        with pytest.raises(UpstreamAway) as away:
            await read(service)
    assert not away.value.may_have_acted
    assert metrics._retries == {}
    assert metrics._outcomes == {"upstream_unavailable": 1}


async def test_what_does_not_answer_in_time_is_504_and_goes_nowhere_else() -> None:
    asked = 0

    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        await reader.readuntil(b"\r\n\r\n")
        asked += 1
        await reader.read()

    async with listening(never) as url, service_at(url, timeout_ms=50) as (service, _):
        with pytest.raises(UpstreamTimeout, match=r"did not answer within 0\.05 s"):
            await read(service)
    assert asked == 1


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"idle_timeout_ms": 50}, "did not go on within 0.05 s"),
        ({"total_timeout_ms": 50}, "did not finish within 0.05"),
    ],
)
async def test_an_answer_that_does_not_go_on_is_broken_off(keys: dict[str, int], said: str) -> None:
    async def stops(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await reader.read()

    async with listening(stops) as url, service_at(url, **keys) as (service, metrics):
        with pytest.raises(UpstreamTimeout, match=said):
            await read(service)
        assert service.slots.count == 0
    assert metrics._outcomes == {"broken_off": 1}


async def test_a_body_that_is_not_taken_is_broken_off() -> None:
    async def does_not_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await done.wait()
        writer.transport.abort()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    done = asyncio.Event()
    async with listening(does_not_read) as url, service_at(url, idle_timeout_ms=100) as (service, _):
        with pytest.raises(UpstreamTimeout, match=r"did not take the request's body for 0\.1 s"):
            await read(service, UpstreamRequest("POST", b"/", [], endless()))
        done.set()


async def test_what_the_bodys_source_raises_is_what_the_sender_gets() -> None:
    class Mine(ProxyError):
        pass

    async def breaks() -> AsyncIterator[bytes]:
        yield b"some"
        raise Mine("of the source")

    async with listening(hangs_up_late) as url, service_at(url) as (service, metrics):
        with pytest.raises(Mine):
            await read(service, UpstreamRequest("POST", b"/", [], breaks()))
        assert service.addresses[0].breaker.failed_in_a_row == 0
    assert metrics._outcomes == {"internal_error": 1}


async def hangs_up_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_an_address_that_keeps_failing_is_left_alone_and_tried_again() -> None:
    url = nowhere()
    async with service_at(url, retries=0, breaker={"failures": 2, "open_ms": 100}) as (service, _):
        for _ in range(2):
            with pytest.raises(UpstreamAway):
                await read(service)
        with pytest.raises(CircuitOpen) as is_open:
            await read(service)
        assert is_open.value.retry_after_s == 1
        server = await asyncio.start_server(answers, "127.0.0.1", int(url.rpartition(":")[2]))
        async with asyncio.timeout(WITHIN_S):
            while service.addresses[0].breaker.state(asyncio.get_running_loop().time()) == "open":
                await asyncio.sleep(0.01)
        assert await read(service) == b"ok"
        server.close()


async def test_requests_go_in_turn_and_the_busier_address_gets_none() -> None:
    seen: list[int] = []
    busy = asyncio.Event()

    def one(number: int) -> Handle:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                seen.append(number)
                if b"/slow" in head:
                    await busy.wait()
                writer.write(OK)

        return handle

    async with listening(one(0)) as first, listening(one(1)) as second, service_at([first, second]) as (service, _):
        for _ in range(4):
            await read(service)
        assert sorted(seen) == [0, 0, 1, 1]
        slow = asyncio.create_task(read(service, UpstreamRequest("GET", b"/slow", [])))
        async with asyncio.timeout(WITHIN_S):
            while len(seen) < 5:
                await asyncio.sleep(0)
        for _ in range(4):
            await read(service)
        assert seen[5:] == [1 - seen[4]] * 4
        busy.set()
        await slow


async def test_connections_are_bounded_and_so_is_the_wait_for_them() -> None:
    async with (
        listening(hangs_up_late) as url,
        service_at(url, connections=1, waiting=1, connect_timeout_ms=50) as (
            service,
            metrics,
        ),
    ):
        first, second = (asyncio.create_task(service.send(GET)) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(UpstreamBusy, match="1 requests are with the service, and 1 wait"):
            await service.send(GET)
        with pytest.raises(UpstreamBusy, match=r"none ended in 0\.05 s"):
            await second
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        assert (service.slots.count, service.addresses[0].in_use) == (0, 0)
    assert metrics._outcomes == {"upstream_busy": 2, "abandoned": 1}


async def test_an_answer_that_is_left_unread_ends_its_connection() -> None:
    gone = asyncio.Event()

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\nsome")
        await reader.read()
        gone.set()

    async with listening(endless) as url, service_at(url) as (service, metrics):
        answer = await service.send(GET)
        await answer.close()
        await answer.close()
        async with asyncio.timeout(WITHIN_S):
            await gone.wait()
        assert service.slots.count == 0
    assert metrics._outcomes == {"abandoned": 1}


async def test_what_came_before_an_answer_broke_off_is_handed_on_before_the_failure() -> None:
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def breaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
        await go_on.wait()
        writer.write(b"some of it")
        writer.close()
        await writer.wait_closed()
        ended.set()

    async with listening(breaks) as url, service_at(url) as (service, _):
        answer = await service.send(GET)
        assert answer.ready() == (b"", False)
        go_on.set()
        async with asyncio.timeout(WITHIN_S):
            await ended.wait()
            while answer._call._protocol.transport is not None:  # the end is known here too
                await asyncio.sleep(0)
        assert await answer.piece() == b"some of it"
        with pytest.raises(UpstreamFailed, match="in the middle of its answer"):
            await answer.piece()
        await answer.close()
