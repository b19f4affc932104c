"""A client that shuts its sending side behind a request: it is answered, unless somebody waits for it to go."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from proxy.http.protocol import BridgeProtocol, Policy
from tests.unit.http.served import Client, served
from tests.unit.http.test_protocol import GET, answer, echo, read

POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"


class Waiting:
    """An application that answers when it is told to, with what it was sent."""

    def __init__(self) -> None:
        self.begun = 0
        self.may_answer = asyncio.Event()
        self.arrived: bool | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = await read(receive)
        self.begun += 1
        await self.may_answer.wait()
        await answer(send, 200, body)
        self.arrived = await scope["extensions"]["stepbridge"].drained()


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0)


async def ended(protocols: list[BridgeProtocol]) -> None:
    """No connection is left, and no request."""
    await until(lambda: not any(each.connections or each.tasks or each.cycle for each in protocols))


async def test_a_client_that_sends_no_more_gets_its_answer_as_the_last_one() -> None:
    app, protocols = Waiting(), list[BridgeProtocol]()
    async with served(app, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(POST + b"one")
        client.writer.write_eof()
        await until(lambda: app.begun and protocols[0].broken)
        app.may_answer.set()
        status, headers, body = await client.answer()
        assert (status, headers["connection"], body) == (200, "close", b"one")
        assert await client.rest() == b""
        await ended(protocols)
        assert app.arrived is False  # it could as well have gone: nobody may rely on this
        client.close()


async def test_requests_behind_each_other_are_all_answered() -> None:
    app, protocols = Waiting(), list[BridgeProtocol]()
    async with served(app, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(POST + b"one" + POST + b"two" + POST + b"3.." + POST + b"4..")
        client.writer.write_eof()
        await until(lambda: app.begun)
        app.may_answer.set()
        assert [(await client.answer())[2] for _ in range(4)] == [b"one", b"two", b"3..", b"4.."]
        assert await client.rest() == b""
        await ended(protocols)
        client.close()


async def test_half_a_request_behind_is_dropped() -> None:
    app, protocols = Waiting(), list[BridgeProtocol]()
    async with served(app, Policy(head_timeout_s=0.05), protocols) as port:
        client = await Client.connect(port)
        client.send(POST + b"one" + b"GET / HT")
        client.writer.write_eof()
        await until(lambda: app.begun and protocols[0].broken)
        app.may_answer.set()
        assert (await client.answer())[2] == b"one"
        assert await client.rest() == b""
        await ended(protocols)
        client.close()


@pytest.mark.parametrize("sent", [b"", GET[:9], POST + b"on"], ids=["nothing", "half a head", "half a body"])
async def test_without_a_whole_request_there_is_nothing_to_answer(sent: bytes) -> None:
    protocols: list[BridgeProtocol] = []
    async with served(echo, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(sent)
        client.writer.write_eof()
        assert await client.rest() == b""
        await ended(protocols)
        client.close()


async def gone(scope: Any, receive: Any) -> None:
    await scope["extensions"]["stepbridge"].gone()


async def disconnect(scope: Any, receive: Any) -> None:
    assert (await receive())["type"] == "http.disconnect"


@pytest.mark.parametrize("is_waiting", [True, False], ids=["waits already", "asks afterwards"])
@pytest.mark.parametrize("waits", [gone, disconnect])
async def test_whoever_waits_for_the_client_to_go_is_told_at_once(
    waits: Callable[[Any, Any], Awaitable[None]], is_waiting: bool
) -> None:
    told, begun, protocols = asyncio.Event(), asyncio.Event(), list[BridgeProtocol]()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await read(receive)
        begun.set()
        if not is_waiting:
            await until(lambda: protocols[0].broken)
        await waits(scope, receive)
        told.set()

    async with served(app, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(POST + b"one")
        await begun.wait()
        client.writer.write_eof()
        assert await client.rest() == b""
        await ended(protocols)
        assert told.is_set()
        client.close()


async def test_an_answer_that_has_begun_is_broken_off() -> None:
    protocols: list[BridgeProtocol] = []

    async def streams(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not scope["extensions"]["stepbridge"].disconnected:
            await send({"type": "http.response.body", "body": b"x", "more_body": True})
            await asyncio.sleep(0)

    async with served(streams, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(GET)
        await client.reader.readuntil(b"\r\n\r\n")
        client.writer.write_eof()
        await client.rest()
        await ended(protocols)
        client.close()


async def test_of_a_client_that_is_gone_altogether_nothing_is_left_after_its_answer() -> None:
    app, protocols = Waiting(), list[BridgeProtocol]()
    async with served(app, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(POST + b"one")
        await until(lambda: app.begun)
        client.close()
        await until(lambda: protocols[0].broken)
        app.may_answer.set()
        await ended(protocols)
        assert app.arrived is False


async def test_a_drain_ends_it_too() -> None:
    app, protocols = Waiting(), list[BridgeProtocol]()
    async with served(app, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(POST + b"one")
        client.writer.write_eof()
        await until(lambda: app.begun and protocols[0].broken)
        protocols[0].shutdown()
        for task in protocols[0].tasks:  # its time is over
            task.cancel()
        assert await client.rest() == b""
        await ended(protocols)
        client.close()


async def test_what_is_sent_behind_the_last_request_of_a_connection_changes_nothing() -> None:
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    protocols: list[BridgeProtocol] = []
    async with served(echo, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(POST.replace(b"a\r\n", b"a\r\nConnection: close\r\n", 1) + b"one" + POST + b"two" + POST + b"3..")
        client.writer.write_eof()
        assert (await client.answer())[2] == b"one"
        assert await client.rest() == b""
        await ended(protocols)
        client.close()
    assert not failures
