"""Our subclass of uvicorn's `HttpToolsProtocol`: what the hot path and the bounds need and uvicorn lacks.

- Head and body leave in one socket write (uvicorn writes twice).
- A head that is too large is answered 431 and one that does not end 408; httptools alone takes any head, for ever.
- An answer to a request whose body is still arriving is seen by the client: the connection lingers and discards the
  rest for a moment, since closing a socket with unread data resets it, and the answer with it (RFC 9112, 9.6).
- Handlers can wait for "the client has gone" and "all has left our buffers" (`Cycle.gone`, `Cycle.drained`),
  without a task of their own. uvicorn's `send` to a gone client returns silently: sent is never delivered.

uvicorn's minor version is pinned for this file; each feature has a test in `tests/unit/http/test_protocol.py`.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from proxy.errors import HeadersTooLarge, HeaderTimeout, Malformed, ProxyError
from proxy.http.problem import problem_answer, render

LINGER_S = 2.0
LINGER_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Policy:
    """What holds for every connection of a listener. One object, changed in place by a reload and by drain."""

    max_head_bytes: int = 65_536
    head_timeout_s: float = 10.0
    close: bool = False  # every answer is its connection's last


def protocol_class(policy: Policy) -> type["BridgeProtocol"]:
    """The protocol under this policy: uvicorn makes an object of it for each connection."""
    return cast("type[BridgeProtocol]", type("BridgeProtocol", (BridgeProtocol,), {"policy": policy}))


class Cycle(RequestResponseCycle):
    """One request and its answer. In `scope["extensions"]["stepbridge"]`, for the handlers that need more than ASGI."""

    def __init__(self, protocol: "BridgeProtocol", *, keep_alive: bool) -> None:
        """What uvicorn's own sets, without its calls: this is made for every request."""
        self._protocol = protocol
        self._head: bytes | None = None
        self._gone: asyncio.Future[None] | None = None
        self.scope = protocol.scope
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

    async def run_asgi(self, app: Any) -> None:
        """As uvicorn's; then let go of the scope, which knows this object: the collector would find that circle late,
        and stop everything for it."""
        try:
            await super().run_asgi(app)
        finally:
            self.scope["extensions"].clear()

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

    def gone(self) -> asyncio.Future[None]:
        """Done when the client has gone (or this answer is complete and the connection closed). Do not cancel it."""
        if self._gone is None:
            self._gone = self._protocol.loop.create_future()
            if self.disconnected:
                self._gone.set_result(None)
        return self._gone

    def mark_gone(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    async def drained(self) -> bool:
        """Wait until all bytes written so far have left for the kernel; False if the client went before that.

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
        if self._protocol.policy.close:
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
        if self.chunked_encoding is None and self.scope["method"] != "HEAD" and status not in (204, 304):
            self.chunked_encoding = True
            parts.append(b"transfer-encoding: chunked\r\n")
        parts.append(b"\r\n")
        return b"".join(parts)

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
        else:
            self.expected_content_length -= len(body)
            if self.expected_content_length < 0:
                raise RuntimeError("the response's body is longer than its Content-Length")
            parts.append(body)
        self.transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def _complete(self) -> None:
        if self.expected_content_length:
            raise RuntimeError("the response's body is shorter than its Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self._protocol.finish(linger=self.more_body)
        self.on_response()

    async def send_500_response(self) -> None:
        status, headers, body = problem_answer(ProxyError("The bridge failed; its log has the reason."), "")
        await self.send({"type": "http.response.start", "status": status, "headers": headers})
        await self.send({"type": "http.response.body", "body": body})


class BridgeProtocol(HttpToolsProtocol):
    """One connection."""

    policy = Policy()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.broken: bool = False  # the client ended the connection, or it failed
        self._framing_only = False  # the parser reads a head of our own making, see `_stay_http`
        self._in_head = True
        self._head_bytes = 0  # of the head so far, as parsed
        self._unparsed_bytes = 0  # received while the head is not complete: a header without an end is not parsed
        self._head_timer: asyncio.TimerHandle | None = None
        self._lingered: int | None = None  # bytes discarded since the last answer, once that has begun
        self._lost: asyncio.Future[None] | None = None

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start_head_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_head_timer()
        if exc is not None:
            self.broken = True
        super().connection_lost(exc)
        if isinstance(self.cycle, Cycle):
            self.cycle.mark_gone()
        if self._lost is not None:
            self._lost.set_result(None)
            self._lost = None

    def eof_received(self) -> None:
        self.broken = True

    async def lost(self) -> None:
        """Wait for the end of the connection."""
        if self in self.connections:
            if self._lost is None:
                self._lost = self.loop.create_future()
            await asyncio.shield(self._lost)

    def finish(self, *, linger: bool) -> None:
        """Close after what was written; with `linger`, first discard what the client still sends, for a moment."""
        if not linger or not self.transport.can_write_eof():
            self.transport.close()
            return
        self.transport.write_eof()
        self._lingered = 0
        self.flow.resume_reading()
        self._head_timer = self.loop.call_later(LINGER_S, self.transport.close)

    # ---- bytes in

    def data_received(self, data: bytes) -> None:
        if self._lingered is not None:
            self._lingered += len(data)
            if self._lingered > LINGER_BYTES:
                self.transport.close()
            return
        self._unset_keepalive_if_required()
        try:
            self._parse(data)
        except httptools.HttpParserError as exc:
            self._refuse(self._reason(exc))
            return
        if self._in_head and not self.transport.is_closing():
            self._unparsed_bytes += len(data)
            if self._unparsed_bytes > self.policy.max_head_bytes:
                self._refuse(self._head_too_large())
            elif self._head_timer is None:
                self._start_head_timer()

    def _parse(self, data: bytes) -> None:
        while data:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as upgrade:
                self._stay_http()
                data = data[upgrade.args[0] :]

    def _stay_http(self) -> None:
        """Nothing is upgraded here: the request is answered as it stands (RFC 9110, 7.8).

        Java's HttpClient asks for h2c with the first request of each connection, and httptools then takes the body
        for the new protocol's bytes. So a fresh parser is told of the body by a head that has only its framing.
        """
        framing = [h for h in self.headers if h[0] in (b"content-length", b"transfer-encoding")]
        if not framing or not isinstance(self.cycle, Cycle):
            return
        self.cycle.more_body = True
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._framing_only = True
        self.parser.feed_data(b"POST / HTTP/1.1\r\n" + b"".join(b"%b: %b\r\n" % h for h in framing) + b"\r\n")

    def on_message_begin(self) -> None:
        if self._framing_only:
            return
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self.scope["extensions"] = {}

    def on_url(self, url: bytes) -> None:
        if self._framing_only:
            return
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._framing_only:
            return
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """As uvicorn's, with our own cycle."""
        if self._framing_only:
            self._framing_only = False
            return
        self._in_head = False
        self._head_bytes = self._unparsed_bytes = 0
        self._stop_head_timer()
        parser, scope = self.parser, self.scope
        scope["method"] = parser.get_method().decode("ascii")
        version = parser.get_http_version()
        if version != "1.1":
            scope["http_version"] = version
        url = httptools.parse_url(self.url)
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii", "surrogateescape")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = url.query or b""
        former = self.cycle
        cycle = Cycle(self, keep_alive=version != "1.0" and parser.should_keep_alive())
        self.cycle = cycle
        scope["extensions"] = {"stepbridge": cycle}  # type: ignore[dict-item]
        if not isinstance(former, Cycle) or former.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:  # pipelined: answered in turn
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    # ---- refusals before there is a request to hand on

    def _count(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes + 4
        if self._head_bytes > self.policy.max_head_bytes:
            raise _HeadTooLarge  # out of the parser, which wraps it

    def _reason(self, exc: Exception) -> ProxyError:
        if isinstance(exc.__context__, _HeadTooLarge):
            return self._head_too_large()
        if isinstance(exc.__context__, httptools.HttpParserInvalidURLError):
            return Malformed("The request target is not a path; this bridge is not a forward proxy.")
        return Malformed(f"This is no HTTP/1.1 request: {str(exc) or 'it cannot be parsed'}.")

    def _head_too_large(self) -> ProxyError:
        return HeadersTooLarge(f"The request line and headers are larger than {self.policy.max_head_bytes} bytes.")

    def _refuse(self, error: ProxyError) -> None:
        """Answer what cannot be read, and close. A request before it on this connection gets its answer first."""
        self._stop_head_timer()
        cycle = self.cycle
        if isinstance(cycle, Cycle) and not cycle.response_complete:
            if cycle.response_started or not cycle.more_body:
                cycle.keep_alive = False
                self._lingered = 0  # nothing more is read
                return
            cycle.disconnected = True  # its own body broke off: the handler learns that as a disconnect
            cycle.message_event.set()
            cycle.mark_gone()
        status, headers, body = problem_answer(error, "")
        self.transport.write(render(STATUS_LINE[status], [*headers, (b"connection", b"close")], body))
        self.finish(linger=True)

    def _start_head_timer(self) -> None:
        self._head_timer = self.loop.call_later(self.policy.head_timeout_s, self._head_timed_out)

    def _stop_head_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_timed_out(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._unparsed_bytes:
            self._refuse(HeaderTimeout(f"The request's head did not arrive within {self.policy.head_timeout_s:g} s."))
        else:
            self.transport.close()


class _HeadTooLarge(Exception):
    """Ends the parsing of a head above its limit."""
