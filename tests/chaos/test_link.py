"""The spoilt line does what it says: each state, on an echo behind it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest_asyncio

from tests.chaos.link import Link

SOON_S = 0.15  # long enough for an echo on loopback, if it comes at all


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(1024):
        writer.write(piece)
    writer.close()


@pytest_asyncio.fixture
async def link() -> AsyncIterator[Link]:
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with Link(lambda: port) as one:
        yield one
    server.close()


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def of(cls, link: Link) -> "Caller":
        return cls(*await asyncio.open_connection("127.0.0.1", link.port))

    async def hears(self, within_s: float = 2.0) -> bytes | None:
        """What comes back; empty when the connection has ended, None if nothing happens."""
        try:
            async with asyncio.timeout(within_s):
                return await self._reader.read(1024)
        except TimeoutError:
            return None
        except ConnectionError:
            return b""

    async def asks(self, what: bytes, within_s: float = 2.0) -> bytes | None:
        self.says(what)
        return await self.hears(within_s)

    def says(self, what: bytes) -> None:
        self._writer.write(what)

    def close(self) -> None:
        self._writer.transport.abort()


@pytest_asyncio.fixture
async def caller(link: Link) -> AsyncIterator[Caller]:
    one = await Caller.of(link)
    assert await one.asks(b"hello") == b"hello"
    yield one
    one.close()


async def test_a_slow_line_delays_each_way(link: Link, caller: Caller) -> None:
    link.slow(0.2)
    began_s = time.monotonic()
    assert await caller.asks(b"1") == b"1"
    assert time.monotonic() - began_s >= 0.4


async def test_on_a_stalled_line_nothing_moves_and_then_all_arrives(link: Link, caller: Caller) -> None:
    link.stall()
    assert await caller.asks(b"1", SOON_S) is None
    caller.says(b"2")
    link.heal()
    heard = await caller.hears()
    while heard != b"12":
        heard = (heard or b"") + (await caller.hears() or b"?")


async def test_a_connection_made_while_the_line_is_stalled_works_once_it_heals(link: Link) -> None:
    link.stall()
    late = await Caller.of(link)
    assert await late.asks(b"1", SOON_S) is None
    link.heal()
    assert await late.hears() == b"1"
    late.close()


async def test_the_answers_of_a_mute_line_are_lost_for_good_and_later_connections_are_sound(
    link: Link, caller: Caller
) -> None:
    link.mute()
    during = await Caller.of(link)
    assert await caller.asks(b"1", SOON_S) is None
    assert await during.asks(b"1", SOON_S) is None
    link.heal()
    assert await caller.asks(b"2", SOON_S) is None
    assert await during.asks(b"2", SOON_S) is None
    after = await Caller.of(link)
    assert await after.asks(b"3") == b"3"
    during.close()
    after.close()


async def test_a_cut_ends_open_connections_and_no_later_ones(link: Link, caller: Caller) -> None:
    link.cut()
    assert await caller.hears() == b""
    after = await Caller.of(link)
    assert await after.asks(b"1") == b"1"
    after.close()


async def test_where_nobody_listens_the_connection_ends(free_port: int) -> None:
    async with Link(lambda: free_port) as nowhere:
        caller = await Caller.of(nowhere)
        assert await caller.hears() == b""
        caller.close()
