"""One request on one connection, until its answer is read. Here aiohttp's insides are known, each with a test.

The law:

- The answer may begin, and end, while the request's body is still being sent: both go on side by side.
- Once the answer is whole the connection is free again, if the request is; else it ends.
- What has come of a body is handed on before the failure that broke it off.
- A fault of our own (the body's source failed, the time is over) counts before what it does to the connection.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import RawResponseMessage
from aiohttp.http_writer import StreamWriter
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader

from proxy.errors import UpstreamError, UpstreamFailed, UpstreamTimeout
from proxy.seams.upstream import Fields, UpstreamRequest
from proxy.upstream.head import end_to_end

CONTINUE_WITHIN_S = 1.0  # then the body is sent all the same (RFC 9110, 10.1.1)
MAX_HEAD_FIELD_BYTES = 65_536
MAX_HEAD_FIELDS = 500
BUFFER_BYTES = 65_536
_NO_BODY = (204, 304)


@dataclass(frozen=True, slots=True)
class Times:
    """How long what may take, in seconds."""

    first_byte_s: float
    idle_s: float
    total_s: float | None


class Call:
    """`begin` once, then read; whoever has one ends it with `close`."""

    def __init__(self, connection: Connection, times: Times) -> None:
        assert connection.protocol is not None
        self._connection = connection
        self._protocol = connection.protocol
        self._times = times
        self._fault: BaseException | None = None
        self._go_on: asyncio.Future[None] | None = None  # the upstream wants the body, or is not waited for longer
        self._sending: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._payload: StreamReader = EMPTY_PAYLOAD
        self._until_close = False
        self._done = False
        self.status = 0
        self.headers: Fields = ()

    def __repr__(self) -> str:
        return f"<Call {self.status or 'open'}{' done' if self._done else ''}>"

    async def begin(self, request: UpstreamRequest, head: bytes) -> None:
        """Send the request, and wait for the head of its answer.

        Raises UpstreamFailed, UpstreamTimeout, and what `request.body` raises. Then, and if it is cancelled, the
        connection has ended.
        """
        try:
            self._start(request, head)
            await self._answered(is_head=request.method == "HEAD")
        except BaseException:
            self._end(reusable=False)
            raise

    def _start(self, request: UpstreamRequest, head: bytes) -> None:
        protocol, loop = self._protocol, asyncio.get_running_loop()
        protocol.set_response_params(
            skip_payload=request.method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._times.first_byte_s,
            read_bufsize=BUFFER_BYTES,
            max_line_size=MAX_HEAD_FIELD_BYTES,
            max_field_size=MAX_HEAD_FIELD_BYTES,
            max_headers=MAX_HEAD_FIELDS,
        )
        transport, body = protocol.transport, request.body
        if transport is None:
            raise UpstreamFailed("The service behind this route closed its connection.")
        if self._times.total_s is not None:
            self._timer = loop.call_later(self._times.total_s, self._time_is_over)
        if body is None or isinstance(body, bytes):
            transport.write(head + body if body else head)
            protocol.start_timeout()
            return
        transport.write(head)
        if b"\r\nexpect: 100-continue\r\n" in head:
            self._go_on = loop.create_future()
        writer = StreamWriter(protocol, loop)
        if b"\r\ntransfer-encoding: chunked\r\n" in head:
            writer.enable_chunking()
        self._sending = loop.create_task(self._send(body, writer), name="upstream_body")

    async def _send(self, body: AsyncIterator[bytes], writer: StreamWriter) -> None:
        """The request's body, as fast as the upstream takes it."""
        try:
            if self._go_on is not None:
                await asyncio.wait([self._go_on], timeout=CONTINUE_WITHIN_S)
            async for piece in body:
                async with asyncio.timeout(self._times.idle_s):
                    await writer.write(piece)
            if writer.chunked:
                writer.transport.write(b"0\r\n\r\n")  # type: ignore[union-attr]
            self._protocol.start_timeout()
        except aiohttp.ClientConnectionResetError:
            pass  # the answer may be here all the same: whoever reads it learns
        except TimeoutError:
            self._break_off(self._timed_out(f"did not take the request's body for {self._times.idle_s:g} s"))
        except Exception as exc:  # noqa: BLE001 - of the body's source: it is raised where the answer is waited for
            self._break_off(exc)

    async def _answered(self, *, is_head: bool) -> None:
        """Wait for the head of the answer. Of those before it (1xx) only 100 means something here."""
        while True:
            try:
                message, payload = await self._protocol.read()
            except (aiohttp.ClientError, HttpProcessingError, OSError, aiohttp.EofStream) as exc:
                raise self._translated(exc, "before its answer") from exc
            if 200 <= message.code < 600:
                break
            if message.code >= 600:
                raise UpstreamFailed(f"The service behind this route answered with {message.code}, which is no status.")
            if message.code == 101:
                raise UpstreamFailed("The service behind this route changed the protocol, and nobody had asked it to.")
            if self._go_on is not None and not self._go_on.done():
                self._go_on.set_result(None)
            if self._sending is None or self._sending.done():
                self._protocol.start_timeout()
        self._take(message, payload, is_head=is_head)

    def _take(self, message: RawResponseMessage, payload: StreamReader, *, is_head: bool) -> None:
        self.status = message.code
        fields = [(name.lower(), value) for name, value in message.raw_headers]
        codings = [value.strip().lower() for name, value in fields if name == b"transfer-encoding"]
        if codings not in ([], [b"chunked"]):
            raise UpstreamFailed("The service behind this route codes its answer in a way nobody had asked for.")
        has_body = not is_head and message.code not in _NO_BODY
        self._payload = payload if has_body else EMPTY_PAYLOAD
        has_length = any(name == b"content-length" for name, _ in fields)
        self._until_close = has_body and not codings and not has_length
        self.headers = end_to_end(fields)
        if not self._payload.is_eof():
            self._protocol.read_timeout = self._times.idle_s
            self._protocol.start_timeout()

    def ready(self) -> tuple[bytes, bool]:
        """What has come of the body, without waiting, and whether that is all of it."""
        payload = self._payload
        if payload is EMPTY_PAYLOAD:
            self._end(reusable=True)
            return b"", True
        data = payload._read_nowait(-1) if payload._buffer else b""
        if payload.at_eof() and not self._until_close:
            self._end(reusable=True)
            return data, True
        return data, False

    async def piece(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises UpstreamFailed, UpstreamTimeout, or the body's fault."""
        payload = self._payload
        if self._done or payload is EMPTY_PAYLOAD:
            self._end(reusable=True)
            return b""
        if payload._buffer:
            return payload._read_nowait(-1)
        try:
            data = await payload.readany()
        except (aiohttp.ClientError, HttpProcessingError, OSError, RuntimeError) as exc:
            raise self._translated(exc, "in the middle of its answer") from exc
        if not data:
            self._check_end()
            self._end(reusable=True)
        return data

    def _check_end(self) -> None:
        """Where the end of the connection is the end of the body, a reset is not."""
        broken = self._protocol.exception()
        if self._until_close and (self._fault is not None or isinstance(broken, aiohttp.ClientOSError)):
            raise self._translated(broken or ConnectionError(), "in the middle of its answer")

    def close(self) -> None:
        """See UpstreamAnswer."""
        self._end(reusable=False)

    def _end(self, *, reusable: bool) -> None:
        """The first call counts."""
        if self._done:
            return
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
        if self._sending is not None and not self._sending.done():
            self._sending.cancel()
            reusable = False
        if reusable and self._fault is None:
            self._connection.release()
        else:
            self._connection.close()

    def _break_off(self, fault: BaseException) -> None:
        """End the connection; whoever reads from it gets this fault."""
        if self._fault is None:
            self._fault = fault
        if self._protocol.transport is not None:
            self._protocol.transport.abort()

    def _time_is_over(self) -> None:
        self._break_off(self._timed_out(f"did not finish within {self._times.total_s:g} s"))

    def _translated(self, exc: BaseException, when: str) -> BaseException:
        """What a failure of aiohttp's is called here."""
        if self._fault is not None:
            return self._fault
        if isinstance(exc, TimeoutError):
            began = self.status != 0
            pause_s = self._times.idle_s if began else self._times.first_byte_s
            return self._timed_out(f"{'did not go on' if began else 'did not answer'} within {pause_s:g} s")
        if isinstance(exc, HttpProcessingError):
            return UpstreamFailed(f"What the service behind this route sent {when} is no HTTP.")
        return UpstreamFailed(f"The service behind this route ended the connection {when}.")

    def _timed_out(self, what: str) -> UpstreamError:
        return UpstreamTimeout(f"The service behind this route {what}. It may have acted.")
