"""An upstream that does what it is told, byte by byte; a bridge before it; and the same bytes sent to both.

What a client reads is compared after what differs by nature has been taken out (docs/passthrough.md): the fields of
one connection, how a body is framed, the reason phrase, the case of names, and the bridge's own `x-request-id`.
"""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.config.upstreams import UpstreamService
from proxy.http.dispatch import Dispatcher, Endpoint
from proxy.http.passthrough import PassthroughEndpoint
from proxy.http.protocol import Policy
from proxy.limits.gate import Gate
from proxy.observe.metrics import Metrics
from proxy.routes.table import RouteTable
from proxy.upstream.service import Service
from tests.unit.http.served import served

Script = Callable[["Line"], Awaitable[None]]
OF_THE_CONNECTION = (b"connection", b"keep-alive", b"transfer-encoding", b"trailer")
WITHIN_S = 5.0


@dataclass(slots=True)
class Line:
    """One connection to the upstream, as its script sees it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    heads: list[bytes]

    async def head(self) -> bytes:
        """The next request's head. Raises IncompleteReadError at the end."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        return head

    async def body(self, head: bytes) -> bytes:
        """The body that follows this head."""
        length = re.search(rb"content-length: (\d+)", head.lower())
        if length:
            return await self.reader.readexactly(int(length[1]))
        if b"transfer-encoding: chunked" not in head.lower():
            return b""
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body

    async def write(self, *pieces: bytes) -> None:
        """Each piece in a packet of its own, as far as that can be had."""
        for piece in pieces:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0)

    async def gone(self) -> None:
        """Wait for the end of the connection."""
        async with asyncio.timeout(WITHIN_S):
            with contextlib.suppress(ConnectionError):
                while await self.reader.read(65_536):
                    pass

    def reset(self) -> None:
        """End it with RST."""
        its_socket = self.writer.get_extra_info("socket")
        if its_socket is not None and its_socket.fileno() >= 0:
            its_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def says(*pieces: bytes, ends: bool = True) -> Script:
    """Answer each request with these bytes; and end the connection, or wait for the next request on it."""

    async def script(line: Line) -> None:
        while True:
            head = await line.head()
            await line.body(head)
            await line.write(*pieces)
            if ends:
                return

    return script


@dataclass(slots=True)
class Bridged:
    """The upstream and the bridge before it."""

    upstream_port: int
    port: int
    service: Service
    metrics: Metrics
    drain: "asyncio.Future[None]"
    heads: list[bytes] = field(default_factory=list)  # of requests the upstream got
    connections: list[Line] = field(default_factory=list)

    async def direct(self, sent: bytes) -> "Answer":
        return await ask(self.upstream_port, sent)

    async def through(self, sent: bytes) -> "Answer":
        return await ask(self.port, sent)


@contextlib.asynccontextmanager
async def bridged(
    script: Script,
    max_body_bytes: int | None = None,
    gate: Gate | None = None,
    stalls_s: float = 60.0,
    policy: Policy | None = None,
    **keys: Any,
) -> AsyncIterator[Bridged]:
    """`keys`: of the upstream in the file."""
    heads: list[bytes] = []
    lines: list[Line] = []

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(reader, writer, heads)
        lines.append(line)
        try:
            await script(line)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    upstream_port = server.sockets[0].getsockname()[1]
    config = UpstreamService.model_validate({"url": f"http://127.0.0.1:{upstream_port}", **keys})
    metrics = Metrics()
    service = Service("legacy", config, metrics.upstream("legacy"))
    drain: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    endpoint = PassthroughEndpoint(service, gate, metrics.route("all"), max_body_bytes, drain, stalls_s)
    table = RouteTable.build([("*", "/{rest...}", Endpoint("all", endpoint, metrics.route("all")))])
    try:
        async with served(Dispatcher(table, metrics), policy or Policy()) as port:
            yield Bridged(upstream_port, port, service, metrics, drain, heads, lines)
    finally:
        server.close()
        await service.close()
        for line in lines:
            line.reset()


async def ask(port: int, sent: bytes) -> "Answer":
    """Send these bytes on a connection of their own, and read until it ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(sent)
        raw = b""
        async with asyncio.timeout(WITHIN_S):
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65_536):
                    raw += data
        return Answer.read(raw, is_head=sent.startswith(b"HEAD"))
    finally:
        writer.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client has read. `is_whole`: as far as its framing tells."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    is_whole: bool

    @classmethod
    def read(cls, raw: bytes, *, is_head: bool = False) -> "Answer":
        head, _, rest = raw.partition(b"\r\n\r\n")
        while head[9:10] == b"1":  # 1xx
            head, _, rest = rest.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        status = int(status_line.split()[1]) if status_line else 0
        fields = [(name.lower(), value.strip(b" \t")) for name, _, value in (line.partition(b":") for line in lines)]
        body, is_whole = _unframed(dict(fields), rest, is_head or status in (204, 304))
        return cls(status, fields, body, is_whole and status > 0)

    @property
    def end_to_end(self) -> Sequence[tuple[bytes, bytes]]:
        return [each for each in self.headers if each[0] not in (*OF_THE_CONNECTION, b"x-request-id")]

    @property
    def essence(self) -> tuple[int, Sequence[tuple[bytes, bytes]], bytes]:
        """What must be the same, whole or not."""
        return self.status, self.end_to_end, self.body

    def header(self, name: bytes) -> bytes | None:
        return dict(self.headers).get(name)


def _unframed(fields: dict[bytes, bytes], rest: bytes, has_none: bool) -> tuple[bytes, bool]:
    """The body, and whether it is whole."""
    if has_none:
        return rest, True
    if fields.get(b"transfer-encoding") == b"chunked":
        return _unchunked(rest)
    if b"content-length" in fields:
        length = int(fields[b"content-length"])
        return rest[:length], len(rest) >= length
    return rest, True


def _unchunked(rest: bytes) -> tuple[bytes, bool]:
    body = b""
    while True:
        line, found, rest = rest.partition(b"\r\n")
        if not found:
            return body, False
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return body, True
        body += rest[:size]
        if len(rest) < size + 2:
            return body, False
        rest = rest[size + 2 :]


def get(path: bytes = b"/a", *more: bytes) -> bytes:
    """A GET that is its connection's last request."""
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", b"Host: shop", *more, b"Connection: close", b"", b""])


def post(body: bytes, *more: bytes, path: bytes = b"/a") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"POST " + path + b" HTTP/1.1", b"Host: shop", *more, length, b"Connection: close", b"", body])
