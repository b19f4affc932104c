"""What waits for a client that does not read is bounded: a buffer up to its mark, and one piece."""

import asyncio
from typing import Any

from proxy.http.exchange import Exchange, Piece
from proxy.http.protocol import BridgeProtocol
from tests.unit.http.served import Client, served
from tests.unit.wait import until

PIECE = Piece(b"x" * 200_000)
HIGH_WATER_BYTES = 65_536


class Pushing:
    """Pushes to its one client until that takes no more, as an audience does; again, when told to."""

    def __init__(self) -> None:
        self.pushed = 0
        self.full = asyncio.Event()
        self.again = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        exchange = Exchange(scope, receive, send)
        await exchange.begin(200, [(b"content-type", b"text/event-stream")])
        await exchange.write(b":\n")
        while not exchange.connection.gone().done():
            while exchange.connection.push(PIECE):
                self.pushed += 1
                await asyncio.sleep(0)
            self.full.set()
            await self.again.wait()
            self.again.clear()


async def test_a_client_that_does_not_read_is_pushed_no_more_than_a_piece_beyond_the_mark() -> None:
    app, protocols = Pushing(), list[BridgeProtocol]()
    async with served(app, protocols=protocols) as port:
        client = await Client.connect(port)
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.wait_for(app.full.wait(), 10)
        waiting = protocols[0].transport.get_write_buffer_size()
        assert 0 < waiting <= HIGH_WATER_BYTES + len(PIECE.chunk)
        pushed = app.pushed
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        reading = asyncio.create_task(client.reader.read(-1))
        await until(lambda: not protocols[0].transport.get_write_buffer_size())
        app.again.set()
        await until(lambda: app.pushed > pushed)  # it reads again: it is pushed again
        client.abort()
        app.again.set()
        await asyncio.wait([reading])
