"""A real listener with our protocol, and a raw socket to it: what a client sees, byte by byte."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from proxy.http.protocol import BridgeProtocol, Policy, protocol_class


@contextlib.asynccontextmanager
async def served(
    app: Any, policy: Policy | None = None, protocols: list[BridgeProtocol] | None = None
) -> AsyncIterator[int]:
    """The port `app` is served on. Each new connection is put into `protocols`."""

    class Noted(protocol_class(policy or Policy())):  # type: ignore[misc]
        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            if protocols is not None:
                protocols.append(self)

    config = uvicorn.Config(app, port=0, http=Noted, ws="none", lifespan="off", log_config=None, proxy_headers=False)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.force_exit = server.should_exit = True
        await task


class Client:
    """A connection that sends what it is told and reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    def send(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body (by Content-Length)."""
        async with asyncio.timeout(5):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            status_line, *lines = head.strip().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in lines)
            body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return int(status_line.split()[1]), headers, body

    async def rest(self) -> bytes:
        """Everything until the server ends the connection."""
        async with asyncio.timeout(5):
            return await self.reader.read()

    def close(self) -> None:
        self.writer.close()

    def abort(self) -> None:
        self.writer.transport.abort()


@contextlib.asynccontextmanager
async def connected(app: Any, policy: Policy | None = None) -> AsyncIterator[Client]:
    async with served(app, policy) as port:
        client = await Client.connect(port)
        try:
            yield client
        finally:
            client.close()
