"""A server that says exactly what a test tells it to, and notes what it was asked."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Piece = bytes | float  # what to write, or how many seconds to wait; after each write the loop has a turn
Script = Callable[[int, bytes], Sequence[Piece] | None]


@dataclass(slots=True)
class ScriptedServer:
    """`script(i, request)` gives the i-th answer as pieces to write one after another; None hangs up."""

    script: Script
    port: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await _request(reader):
                self.requests.append(request)
                pieces = self.script(len(self.requests) - 1, request)
                if pieces is None:
                    return
                for piece in pieces:
                    if isinstance(piece, bytes):
                        writer.write(piece)
                    await asyncio.sleep(0 if isinstance(piece, bytes) else piece)
        finally:
            writer.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """Head and body; empty when the client has hung up."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    lines = [line.partition(b": ") for line in head.split(b"\r\n")]
    length = next((int(value) for name, _, value in lines if name.lower() == b"content-length"), 0)
    return head + await reader.readexactly(length)


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[ScriptedServer]:
    double = ScriptedServer(script)
    server = await asyncio.start_server(double.serve, "127.0.0.1", 0)
    double.port = server.sockets[0].getsockname()[1]
    async with server:
        yield double


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} said so", f"content-length: {len(body)}", *headers, "\r\n"]
    return "\r\n".join(lines).encode() + body
