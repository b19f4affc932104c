"""One request and its answer, as the endpoints see it: a thin skin over raw ASGI, and the same for every route."""

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from itertools import count
from secrets import token_hex
from typing import Any, Protocol

from proxy.clock import now_s
from proxy.errors import ProxyError, TooLarge
from proxy.http.end import End
from proxy.http.problem import problem_answer
from proxy.limits.gate import Gate
from proxy.observe.metrics import RouteMetrics
from proxy.principal import Principal
from proxy.routes.request import Request
from proxy.tls import ClientCertificate

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = Sequence[tuple[bytes, bytes]]

CLOSE = (b"connection", b"close")
NO_STORE = (b"cache-control", b"no-store")
UNBUFFERED = (b"x-accel-buffering", b"no")  # nginx passes each piece on at once

_request_id = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_process = token_hex(4)
_numbers = count(1)


class Piece:
    """A piece of a body that many answers get: its bytes, and the same as a chunk (RFC 9112, 7.1). Never empty.

    `size_bytes`: of the values in it, for the metrics.
    """

    __slots__ = ("chunk", "data", "size_bytes")

    def __init__(self, data: bytes, size_bytes: int = 0) -> None:
        self.data = data
        self.chunk = b"%x\r\n%b\r\n" % (len(data), data)
        self.size_bytes = size_bytes


class Connection(Protocol):
    """What our protocol offers beyond ASGI (`http/cycle.py`)."""

    target: bytes  # of the request line, as it was sent

    @property
    def client_certificate(self) -> ClientCertificate | None:
        """Whom the client showed itself to be, verified; None without TLS, or where it showed nothing."""
        ...

    def gone(self) -> asyncio.Future[None]: ...
    async def drained(self) -> bool: ...
    def body_now(self) -> bytes | None: ...
    async def answer(self, status: int, headers: Headers, body: bytes) -> None: ...
    def push(self, piece: Piece) -> bool: ...
    def relay(self) -> None: ...
    def rest(self, seconds: float) -> None: ...
    def abort(self) -> None: ...
    def cut_off(self) -> None: ...


class Admission(Protocol):
    """That a caller was let in (`http/entrance.py`)."""

    @property
    def principal(self) -> Principal: ...
    @property
    def standing(self) -> End:
        """Done when the caller is not let in any more, with the reason: its key was taken out of the file, …"""
        ...

    def left_s(self) -> float | None:
        """Seconds until it ends by itself, not below 0; None: it does not."""
        ...

    def check(self) -> None:
        """Raises TokenExpired, CredentialsRefused when it has ended."""
        ...


class ClientGone(Exception):
    """There is nobody left to answer."""


class Exchange:
    """One request and its answer.

    `path` holds the parameters of the route's path. The answer is either `answer` once, or `begin` and then `write`
    until `end`. What a gone client would get is dropped silently by `write`; only `drained` tells.
    """

    __slots__ = (
        "_by_name",
        "_receive",
        "_send",
        "admission",
        "connection",
        "headers",
        "metrics",
        "more_headers",
        "path",
        "request_id",
        "scope",
        "started_s",
        "status",
    )

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.headers: Headers = scope["headers"]
        self.connection: Connection = scope["extensions"]["stepbridge"]
        self._by_name = dict(self.headers)
        self.path: dict[str, str] = {}
        self.started_s = now_s()
        self.status = 0  # of the answer; 0 until it has begun
        self.metrics: RouteMetrics | None = None
        self.admission: Admission | None = None  # of its caller, where the route asks who that is
        self.more_headers: Headers = ()  # of the answer, whatever it will be
        self.request_id = self._id()
        self._receive = receive
        self._send = send

    def __repr__(self) -> str:
        return f"<Exchange {self.request_id} {self.scope['method']} {self.scope['path']} {self.status or 'open'}>"

    @property
    def query_string(self) -> bytes:
        value: bytes = self.scope["query_string"]
        return value

    @property
    def client_address(self) -> str | None:
        """Where its connection comes from, without the port; None: nobody knows."""
        client: tuple[str, int] | None = self.scope["client"]
        return client[0] if client else None

    @property
    def principal(self) -> Principal | None:
        """Its caller, where the route asks who that is."""
        return self.admission.principal if self.admission is not None else None

    def still_admitted(self) -> None:
        """For what lasts: raises TokenExpired, CredentialsRefused once its caller is not let in any more."""
        if self.admission is not None:
            self.admission.check()

    @property
    def target(self) -> bytes:
        """Path and query exactly as they were sent; of a whole URL what follows its authority (RFC 9112, 3.2.2)."""
        target = self.connection.target
        if not target.startswith(b"/"):
            target = b"/" + target.partition(b"://")[2].partition(b"/")[2]
        return target

    def header(self, name: bytes) -> bytes | None:
        """The header of that (lower-case) name; of several the last."""
        return self._by_name.get(name)

    def header_list(self, name: bytes) -> bytes | None:
        """The header of that (lower-case) name whose value is a list: several are one (RFC 9110, 5.3)."""
        values = [value for each, value in self.headers if each == name]
        return b", ".join(values) if values else None

    def request(self, body: bytes = b"") -> Request:
        """As templates, filters and rights see it, with the body if that was read."""
        return Request(self.path, self.query_string, self.headers, body, self.principal)

    def replace_headers(self, headers: Headers) -> None:
        """What the request brought is this from now on, for everybody."""
        self.headers = headers
        self._by_name = dict(headers)

    async def body(self, limit_bytes: int, gate: Gate) -> bytes:
        """The whole body. While it arrives the gate counts its bytes; once it is here, whoever goes on with it does.

        Raises TooLarge while it is still arriving, Overloaded, and what broke it off: BodyTimeout, Malformed, or
        ClientGone if the client went with it.
        """
        declared = self.header(b"content-length")
        if declared is not None and int(declared) > limit_bytes:
            raise too_large(limit_bytes)
        body = self.connection.body_now()
        if body is None:
            return await self._received(limit_bytes, gate)
        if len(body) > limit_bytes:
            raise too_large(limit_bytes)
        return body

    async def _received(self, limit_bytes: int, gate: Gate) -> bytes:
        """The body, piece by piece."""
        body = bytearray()
        try:
            more = True
            while more:
                piece, more = await self.piece()
                if len(body) + len(piece) > limit_bytes:
                    raise too_large(limit_bytes)
                gate.arrive(len(piece))
                body += piece
            return bytes(body)
        finally:
            gate.arrived(len(body))

    async def piece(self) -> tuple[bytes, bool]:
        """The next piece of a body that is not read as a whole, and whether more of it comes.

        Raises ClientGone, and what has broken the body off while its client is still there. What is not asked for is
        not read: the client waits.
        """
        message = await self._receive()
        if message["type"] != "http.request":
            raise ClientGone
        return message["body"], message.get("more_body", False)

    async def answer(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer. `headers` includes Content-Length."""
        await self.connection.answer(status, self._begun(status, headers), body)

    async def answer_json(self, status: int, body: bytes, headers: Headers = ()) -> None:
        length = (b"content-length", b"%d" % len(body))
        await self.answer(status, [(b"content-type", b"application/json"), length, *headers], body)

    async def refuse(self, error: ProxyError) -> None:
        """The answer of an error. The connection closes if the body was not read to its end."""
        status, headers, body = problem_answer(error, self.request_id)
        if isinstance(error, TooLarge):
            headers.append(CLOSE)
        await self.answer(status, headers, body)

    async def begin(self, status: int, headers: Headers) -> None:
        """The head of an answer; it leaves with the first piece of the body."""
        await self._send({"type": "http.response.start", "status": status, "headers": self._begun(status, headers)})

    def _begun(self, status: int, headers: Headers) -> Headers:
        """The answer is counted when its head is decided. Returns the head with what every answer has."""
        self.status = status
        if self.metrics is not None:
            self.metrics.answered(status, now_s() - self.started_s)
        return [(b"x-request-id", self.request_id.encode()), *self.more_headers, *headers]

    async def relay(self, status: int, headers: Headers, body: bytes) -> None:
        """The whole answer of another server: its head as it is, and what was asked for beside it."""
        self.connection.relay()
        await self.connection.answer(status, self._relayed(status, headers), body)

    async def begin_relay(self, status: int, headers: Headers, piece: bytes) -> None:
        """The same for one that goes on: its head leaves now, with what there is of the body."""
        self.connection.relay()
        await self._send({"type": "http.response.start", "status": status, "headers": self._relayed(status, headers)})
        await self.write(piece)

    def _relayed(self, status: int, headers: Headers) -> Headers:
        """As `_begun`, but an X-Request-Id of the other server's stays the only one."""
        begun = self._begun(status, headers)
        return begun[1:] if any(name == b"x-request-id" for name, _ in headers) else begun

    async def write(self, piece: bytes) -> None:
        """A piece of the body. Waits while the client reads too slowly."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self, piece: bytes = b"") -> None:
        """The last piece of the body."""
        await self._send({"type": "http.response.body", "body": piece})

    def _id(self) -> str:
        """The client's own X-Request-Id if it is one, else ours."""
        given = self.header(b"x-request-id")
        if given is not None and _request_id.fullmatch(given):
            return given.decode()
        return new_id()


def new_id() -> str:
    """For a request that has none of its own."""
    return f"{_process}-{next(_numbers):x}"


def too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(
        f"The body is larger than this route takes: {limit_bytes} bytes.", extra={"limit_bytes": limit_bytes}
    )
