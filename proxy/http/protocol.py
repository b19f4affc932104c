"""One connection: our subclass of uvicorn's `HttpToolsProtocol`, for what the bounds need and uvicorn lacks.

- A head that is too large is answered 431 and one that does not end 408; httptools alone takes any head, for ever.
- A body that does not go on is 408, and what stands around it (chunk extensions, trailers) is bounded like a head.
- What leaves a doubt about where a request ends is 400 and the end of its connection: what the parser lets through of
  that is refused here. Trailers are dropped: they would otherwise look like headers that nobody has checked.
- An answer to a request whose body is still arriving is seen by the client: the connection lingers and discards the
  rest for a moment, since closing a socket with unread data resets it, and the answer with it (RFC 9112, 9.6). Where
  the rest is short the connection goes on.
- A client that shuts its sending side behind a whole request is answered. Whoever waits for it to go is told at once.

Its requests and their answers are in `http/cycle.py`. uvicorn's minor version is pinned for both; each feature has a
test in `tests/unit/http/test_protocol.py`.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from proxy.config.model import Limits
from proxy.errors import BodyTimeout, HeadersTooLarge, HeaderTimeout, Malformed, ProxyError
from proxy.http.cycle import Cycle
from proxy.http.exchange import new_id
from proxy.http.problem import problem_answer, render
from proxy.tls import ClientCertificate

FIRST_REQUEST_S = 1.0  # for a connection that is new when its listener closes
LINGER_S = 2.0
LINGER_BYTES = 64 * 1024 * 1024
CHUNK_HEAD_BYTES = 16  # allowed for each piece of a body, beyond it they count as a head's
MAX_AHEAD = 100  # requests that wait on a connection for the answers before theirs

_TELLING = frozenset({b"host", b"expect", b"transfer-encoding"})  # headers that this file reads


@dataclass(slots=True)
class Policy:
    """What holds for every connection of a listener. One object, changed in place by a reload and by drain."""

    max_head_bytes: int = 65_536
    head_timeout_s: float = 10.0
    body_timeout_s: float = 30.0  # between two pieces
    close: bool = False  # every answer is its connection's last

    def follow(self, limits: Limits) -> None:
        self.max_head_bytes = limits.max_header_bytes
        self.head_timeout_s = limits.header_timeout_ms / 1000
        self.body_timeout_s = limits.body_timeout_ms / 1000


def protocol_class(policy: Policy) -> type["BridgeProtocol"]:
    """The protocol under this policy: uvicorn makes an object of it for each connection."""
    return cast("type[BridgeProtocol]", type("BridgeProtocol", (BridgeProtocol,), {"policy": policy}))


class BridgeProtocol(HttpToolsProtocol):
    """One connection."""

    policy = Policy()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.broken: bool = False  # the client ended the connection, or its side of it, or it failed
        self._framing_only = False  # the parser reads a head of our own making, see `_stay_http`
        self._has_asked = False  # a request's head has come
        self._in_head = True
        self._hosts = 0  # how many Host headers the head has
        self._head_bytes = 0  # of the head so far, as parsed
        self._unparsed_bytes = 0  # received while the head is not complete: a header without an end is not parsed
        self._around_bytes = 0  # received with the body and not of it: chunk heads and extensions, trailers
        self._timer: asyncio.TimerHandle | None = None  # of the head, the body, or what is discarded
        self._is_last: bool = False  # the next answer is the last
        self._lingered: int | None = None  # bytes discarded since the last answer, once that has begun
        self._lost: asyncio.Future[None] | None = None
        self.client_certificate: ClientCertificate | None = None

    # ---- the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.client_certificate = ClientCertificate.read(transport.get_extra_info("peercert"))
        self._start_timer(self.policy.head_timeout_s, self._head_timed_out)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        if exc is not None:
            self.broken = True
        super().connection_lost(exc)
        if isinstance(self.cycle, Cycle):
            self.cycle.mark_gone()
        if self._lost is not None:
            self._lost.set_result(None)
            self._lost = None
        self.cycle = None  # type: ignore[assignment]  # which knows this object: else the collector had to find that circle

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more. It may be gone, or wait for an answer with its sending side shut.

        Under TLS no one side of a connection can be open.
        """
        self.broken = True
        cycle = self.cycle
        if not isinstance(cycle, Cycle) or self.pipeline or not self.transport.can_write_eof():
            return False
        return cycle.outlasts_the_request()

    async def lost(self) -> None:
        """Wait for the end of the connection."""
        if self in self.connections:
            if self._lost is None:
                self._lost = self.loop.create_future()
            await asyncio.shield(self._lost)

    def finish(self, *, linger: bool) -> None:
        """Close after what was written; with `linger`, first discard what the client still sends, for a moment."""
        if not linger:
            self.transport.close()
            return
        if self.transport.can_write_eof():  # TLS cannot: its client has the answer's length
            self.transport.write_eof()
        self._lingered = 0
        self.flow.resume_reading()
        self._start_timer(LINGER_S, self.transport.close)

    def rest(self, seconds: float) -> None:
        """Read nothing for a while."""
        if not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(seconds, self._rested)

    def _rested(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def forget(self, cycle: Cycle) -> None:
        """Of a request that is over nothing is kept: its memory is still warm for the next one, on any connection."""
        if self.cycle is cycle and cycle.response_complete and not cycle.more_body:
            self.cycle = None  # type: ignore[assignment]
            if not self._in_head:  # else they are the next one's
                self.scope = self.headers = None  # type: ignore[assignment]

    def discard(self) -> None:
        """The rest of a body that was answered already: let it come, for a moment, and go on with the connection."""
        self._start_timer(LINGER_S, self.transport.close)

    def shutdown(self) -> None:
        """The listener has closed. A connection without a request yet gets its first one answered: its client may have
        sent it already, and could not tell a reset from a lost answer."""
        if self._has_asked or self.transport.is_closing():
            super().shutdown()
            return
        self._is_last = True
        self._stop_timer()
        self._start_timer(FIRST_REQUEST_S, self.transport.close)

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
        if self._in_head:
            self._head_goes_on(len(data))
        elif isinstance(self.cycle, Cycle) and self.cycle.more_body:
            self._body_goes_on(len(data))

    def _head_goes_on(self, size_bytes: int) -> None:
        if self.transport.is_closing():
            return
        self._unparsed_bytes += size_bytes
        if self._unparsed_bytes > self.policy.max_head_bytes:
            self._refuse(self._head_too_large())
        elif self._timer is None:
            self._start_timer(self.policy.head_timeout_s, self._head_timed_out)

    def _body_goes_on(self, size_bytes: int) -> None:
        """`on_body` has been told of what these bytes brought of the body."""
        self._around_bytes = max(0, self._around_bytes + size_bytes)
        if self._around_bytes > 2 * self.policy.max_head_bytes:
            self._refuse(Malformed("The body's chunk extensions or trailers are too large."))
        elif not self.cycle.response_complete:  # else its timer is that of `discard`
            self._stop_timer()
            self._start_timer(self.policy.body_timeout_s, self._body_timed_out)

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
        self._hosts = self._head_bytes = 0
        self.scope["extensions"] = {}

    def on_url(self, url: bytes) -> None:
        if self._framing_only:
            return
        self.url += url
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """As uvicorn's, but for what comes after the head: trailers, or a head of our own making."""
        if not self._in_head:
            return
        self._count(len(name) + len(value))
        name = name.lower()
        if name in _TELLING:
            self._note(name, value.strip().lower())
        self.headers.append((name, value))

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self.expect_100_continue = value == b"100-continue" and self.parser.get_http_version() != "1.0"
        elif value != b"chunked" or self.parser.get_http_version() == "1.0":
            raise _Refused(Malformed("The only Transfer-Encoding taken is chunked, of an HTTP/1.1 request."))

    def on_headers_complete(self) -> None:
        """As uvicorn's, with our own cycle."""
        if self._framing_only:
            self._framing_only = False
            return
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        if version != "1.1" or self._hosts != 1 or len(self.pipeline) >= MAX_AHEAD:
            self._check(version)
            scope["http_version"] = version
        self._has_asked, self._in_head = True, False
        self._unparsed_bytes = self._around_bytes = 0
        self._stop_timer()
        scope["method"] = parser.get_method().decode("ascii")
        url = httptools.parse_url(self.url)
        if url.schema or b"#" in self.url:
            self._check_target(url)
        raw_path = url.path or b"/"
        path = raw_path.decode("ascii", "surrogateescape")
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = raw_path
        scope["query_string"] = url.query or b""
        former = self.cycle
        cycle = Cycle(self, keep_alive=version != "1.0" and parser.should_keep_alive() and not self._is_last)
        self.cycle = cycle
        scope["extensions"] = {"stepbridge": cycle}  # type: ignore[dict-item]
        if not isinstance(former, Cycle) or former.response_complete:
            self._start_asgi_task(cycle, self.app)
        else:  # pipelined: answered in turn
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        self._around_bytes -= len(body) + CHUNK_HEAD_BYTES
        if cycle.response_complete:
            return
        cycle.body += body
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.message_event.set()

    def on_message_complete(self) -> None:
        cycle = self.cycle
        cycle.more_body = False
        cycle.message_event.set()
        if self._timer is not None:
            self._stop_timer()
        if cycle.response_complete:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )

    # ---- refusals before there is a request to hand on

    def _count(self, size_bytes: int) -> None:
        self._head_bytes += size_bytes + 4
        if self._head_bytes > self.policy.max_head_bytes:
            raise _Refused(self._head_too_large())

    def _check(self, version: str) -> None:
        """Raises _Refused for what is neither HTTP/1.1 with its one Host (RFC 9112, 3.2) nor HTTP/1.0."""
        if version not in ("1.0", "1.1"):
            raise _Refused(Malformed(f"HTTP/{version} is not taken here: send HTTP/1.1."))
        if self._hosts > 1 or (self._hosts == 0 and version == "1.1"):
            raise _Refused(Malformed(f"An HTTP/1.1 request has one Host header, and this one has {self._hosts}."))
        if len(self.pipeline) >= MAX_AHEAD:
            raise _Refused(Malformed(f"More than {MAX_AHEAD} requests wait on this connection for their answers."))

    def _check_target(self, url: Any) -> None:
        """Raises _Refused for what is not a path and a query, or a whole URL of HTTP (RFC 9112, 3.2)."""
        if b"#" in self.url:
            raise _Refused(Malformed("The request target has a fragment (#), which is not sent: escape it as %23."))
        if url.schema.lower() not in (b"http", b"https") or url.userinfo is not None:
            raise _Refused(Malformed("The request target is no URL of this bridge: send the path and the query alone."))

    def _reason(self, exc: Exception) -> ProxyError:
        if isinstance(exc.__context__, _Refused):
            return exc.__context__.error
        if isinstance(exc.__context__, httptools.HttpParserInvalidURLError):
            return Malformed("The request target is not a path; this bridge is not a forward proxy.")
        return Malformed(f"This is no HTTP/1.1 request: {str(exc) or 'it cannot be parsed'}.")

    def _head_too_large(self) -> ProxyError:
        return HeadersTooLarge(f"The request line and headers are larger than {self.policy.max_head_bytes} bytes.")

    def _refuse(self, error: ProxyError) -> None:
        """Answer what cannot be read, and close. A request before it on this connection gets its answer first."""
        self._stop_timer()
        cycle = self.cycle
        if isinstance(cycle, Cycle) and not cycle.response_complete:
            self._lingered = 0  # nothing more is read
            cycle.keep_alive = False
            if cycle.more_body:  # its own body broke off
                cycle.break_off(error)
            return
        request_id = new_id()
        status, headers, body = problem_answer(error, request_id)
        headers += [(b"x-request-id", request_id.encode()), (b"connection", b"close")]
        self.transport.write(render(STATUS_LINE[status], headers, body))
        self.finish(linger=True)

    def _start_timer(self, after_s: float, then: Callable[[], object]) -> None:
        self._timer = self.loop.call_later(after_s, then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _head_timed_out(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:  # by us: it may be here already
            self._start_timer(self.policy.head_timeout_s, self._head_timed_out)
        elif self._unparsed_bytes:
            self._refuse(HeaderTimeout(f"The request's head did not arrive within {self.policy.head_timeout_s:g} s."))
        else:
            self.transport.close()

    def _body_timed_out(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self._start_timer(self.policy.body_timeout_s, self._body_timed_out)
        else:
            self._refuse(BodyTimeout(f"Nothing more of the body arrived for {self.policy.body_timeout_s:g} s."))


class _Refused(Exception):
    """Ends the parsing: out of a callback of the parser, which wraps it."""

    def __init__(self, error: ProxyError) -> None:
        super().__init__(error.detail)
        self.error = error
