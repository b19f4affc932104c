"""One request and its answer: our subclass of uvicorn's cycle, beneath what endpoints see (`http/exchange.py`).

- Head and body leave in one socket write (uvicorn writes twice).
- Handlers can wait for "the client has gone" and "all has left our buffers" (`Cycle.gone`, `Cycle.drained`),
  without a task of their own. uvicorn's `send` to a gone client returns silently: sent is never delivered.
- A body that broke off raises what broke it, for whoever reads it, while its client is still there to be told.

uvicorn's minor version is pinned for this file and `http/protocol.py`, whose connection it belongs to.
"""

import asyncio
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from proxy.errors import ProxyError
from proxy.http.exchange import Piece
from proxy.http.problem import problem_answer
from proxy.tls import ClientCertificate

if TYPE_CHECKING:
    from proxy.http.protocol import BridgeProtocol

SHORT_BYTES = 65_536  # the rest of a body that is worth discarding, so that the connection can go on


class Cycle(RequestResponseCycle):
    """One request and its answer. In `scope["extensions"]["stepbridge"]`, for the handlers that need more than ASGI."""

    def __init__(self, protocol: "BridgeProtocol", *, keep_alive: bool) -> None:
        """What uvicorn's own sets, without its calls: this is made for every request."""
        self._protocol = protocol
        self._head: bytes | None = None
        self._gone: asyncio.Future[None] | None = None
        self.scope = protocol.scope
        self.target = protocol.url
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.logger = protocol.logger
        self.access_logger = protocol.access_logger
        self.access_log = False
        self.default_headers = protocol.server_state.default_headers
        self.message_event = asyncio.Event()
        self.on_response = protocol.on_response_complete
        self.disconnected = False
        self.keep_alive = keep_alive
        self.waiting_for_100_continue = protocol.expect_100_continue
        self.body = bytearray()
        self.more_body = True
        self.response_started = False
        self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0
        self._fault: ProxyError | None = None
        self._rest_s = 0.0
        self._until_close = False

    async def run_asgi(self, app: Any) -> None:
        """As uvicorn's; then let go of the scope, which knows this object: the collector would find that circle late,
        and stop everything for it."""
        try:
            await super().run_asgi(app)
        finally:
            self.scope["extensions"].clear()
            self._protocol.forget(self)

    async def receive(self) -> Any:
        """ASGI's `receive`. Raises the ProxyError of a body that broke off while its client is still there."""
        if not self.more_body and not self.message_event.is_set():
            _ = self.gone()  # the whole body was handed out: there is only this to wait for
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.waiting_for_100_continue = False
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if not self.disconnected and not self.response_complete and self._fault is None:
            if not self._protocol.pipeline:  # else the whole body is here
                self.flow.resume_reading()
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self._fault is not None:
            raise self._fault
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    def break_off(self, error: ProxyError) -> None:
        """Nothing more of the body will be read: whoever waits for it learns why."""
        self._fault = error
        self.message_event.set()

    def body_now(self) -> bytes | None:
        """The whole body, if it is here already: most requests come in one piece. Else None: `receive` it."""
        return None if self.more_body or self.disconnected else bytes(self.body)

    async def answer(self, status: int, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> None:
        """A whole answer, as two of `send` would give it. `headers` includes Content-Length."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        self._head = self._render_head(status, headers)
        self.response_started = True
        self.waiting_for_100_continue = False
        if not self.disconnected:
            self._write(body, more=False)
            self._complete()

    def relay(self) -> None:
        """The answer to come is another server's: it has its own Date."""
        self.default_headers = []

    def push(self, piece: Piece) -> bool:
        """A piece of an answer whose first piece was sent, at once. False: too much is waiting; nothing was written."""
        if self.disconnected or self.flow.write_paused or self.transport.is_closing():
            return False
        self.transport.write(piece.chunk if self.chunked_encoding else piece.data)
        return True

    @property
    def client_certificate(self) -> ClientCertificate | None:
        return self._protocol.client_certificate

    def gone(self) -> asyncio.Future[None]:
        """Done when the client has gone (or this answer is complete and the connection closed). Do not cancel it.

        One that has shut its sending side counts as gone for whoever asks: it looks just the same.
        """
        if self._gone is None:
            self._gone = self._protocol.loop.create_future()
            if self._protocol.broken:
                self.cut_off()
            if self.disconnected:
                self._gone.set_result(None)
        return self._gone

    def mark_gone(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def outlasts_the_request(self) -> bool:
        """The client sends no more: whether this is answered all the same, and the connection ends after that."""
        if self.more_body or self.response_started or self.disconnected or self._gone is not None:
            return False
        self.keep_alive = False
        return True

    async def drained(self) -> bool:
        """Wait until all bytes written so far have left for the kernel; False if the client went before that, or sends
        no more, which looks the same.

        Cancelling it changes nothing.
        """
        transport = self.transport
        if transport.is_closing():  # by us, after `Connection: close`: it flushes first
            await self._protocol.lost()
            return not self._protocol.broken
        if transport.get_write_buffer_size():
            transport.set_write_buffer_limits(high=0)
            try:
                await self.flow.drain()
            finally:
                if not transport.is_closing():
                    transport.set_write_buffer_limits()
        return not self.disconnected and not self._protocol.broken

    def rest(self, seconds: float) -> None:
        """After this answer read nothing more from the connection for so long."""
        self._rest_s = seconds

    def abort(self) -> None:
        """End the connection at once; what was written and has not left is dropped."""
        self.transport.abort()

    def cut_off(self) -> None:
        """There will be no answer, or no more of it: the connection ends after what was written."""
        self.disconnected = True
        self.transport.close()

    async def send(self, message: Any) -> None:
        """ASGI's `send`: the head waits for the first piece of the body, and both leave in one write."""
        if message["type"] == "http.response.start":
            if self.response_started:
                raise RuntimeError("the response has started already")
            self._head = self._render_head(message["status"], message.get("headers", ()))
            self.response_started = True
            self.waiting_for_100_continue = False
            return
        if not self.response_started or self.response_complete:
            raise RuntimeError(f"{message['type']!r} sent before the response started or after it ended")
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        more = message.get("more_body", False)
        self._write(message.get("body", b""), more=more)
        if not more:
            self._complete()

    def _render_head(self, status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        parts = [STATUS_LINE[status]]
        close = False
        if self._protocol.policy.close or (self.more_body and not self._rest_is_short()):
            self.keep_alive = False
        for name, value in (*self.default_headers, *headers):
            if b"\r" in value or b"\n" in value or b"\n" in name:
                raise RuntimeError(f"a line break in the response header {name!r}")
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
            elif name == b"connection" and b"close" in value.lower():
                close = True
            parts += (name, b": ", value, b"\r\n")
        if close:
            self.keep_alive = False
        elif not self.keep_alive:
            parts.append(b"connection: close\r\n")
        if status in (204, 304):  # a 304 says what a 200 would have (RFC 9110, 8.6)
            self.expected_content_length = 0
        elif self.chunked_encoding is None and self.scope["method"] != "HEAD":
            self._frame(parts)
        parts.append(b"\r\n")
        return b"".join(parts)

    def _frame(self, parts: list[bytes]) -> None:
        """Of a body whose length is not known: HTTP/1.0 has only the end of the connection for that."""
        self.chunked_encoding = self.scope["http_version"] != "1.0"
        if self.chunked_encoding:
            parts.append(b"transfer-encoding: chunked\r\n")
        else:
            self._until_close = True

    def _write(self, body: bytes, *, more: bool) -> None:
        parts = [] if self._head is None else [self._head]
        self._head = None
        if self.scope["method"] == "HEAD":
            self.expected_content_length = 0
        elif self.chunked_encoding:
            if body:
                parts += (b"%x\r\n" % len(body), body, b"\r\n")
            if not more:
                parts.append(b"0\r\n\r\n")
        elif self._until_close:
            parts.append(body)
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the response's body is longer than its Content-Length")
            parts.append(body)
        if not self.transport.is_closing():  # it has ended, and `disconnected` is about to say so
            self.transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def _complete(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("the response's body is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self._protocol.finish(linger=self.more_body)
        elif self.more_body:
            self._protocol.discard()
        self.on_response()
        if self._protocol.pipeline and self.keep_alive:  # read on, and notice an end, once the last has its turn
            self.flow.pause_reading()
        if self._rest_s and self.keep_alive:
            self._protocol.rest(self._rest_s)

    def _rest_is_short(self) -> bool:
        """Whether what is missing of the request's body is little, and sure to come."""
        if self.waiting_for_100_continue:
            return False
        declared = next((value for name, value in self.scope["headers"] if name == b"content-length"), None)
        return declared is not None and int(declared) <= SHORT_BYTES

    async def send_500_response(self) -> None:
        if isinstance(sys.exception(), asyncio.CancelledError):  # cut off by a drain: any answer would be a guess
            self.transport.close()
            return
        error = self._fault or ProxyError("The bridge failed; its log has the reason.")
        status, headers, body = problem_answer(error, "")
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})
