"""A route with an `upstream`: the request goes on as it came, and the answer comes back as it is.

Bodies of any size are streamed in both directions, as fast as the slower side takes them. What the bridge adds is said
here: to the request Via, Forwarded, X-Forwarded-* and, if the client sent none, X-Request-Id; to the answer its
`x-request-id` (if the upstream sent none) and what the route's own keys ask for (rates, deprecation). What belongs to
one connection only is left out in both directions (RFC 9110, 7.6.1).
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from proxy.errors import NotPassedOn
from proxy.http.end import End
from proxy.http.exchange import CLOSE, Exchange, Headers, too_large
from proxy.http.interrupt import Interrupt
from proxy.limits.gate import Gate
from proxy.observe.metrics import RouteMetrics
from proxy.seams.upstream import Upstream, UpstreamAnswer, UpstreamRequest
from proxy.upstream.head import end_to_end

VIA = b" stepbridge"  # our name among the recipients (RFC 9110, 7.6.3), after the protocol's version
STALLS_S = 60.0  # a client that takes nothing of its answer for so long is gone
NEVER = End()  # what no drain ends: a request that was taken is answered

_REBUILT = frozenset((b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"expect"))
_host = re.compile(rb"[A-Za-z0-9._:\[\]-]+")


def upstream_request(
    exchange: Exchange, body: bytes | None = None, *, limit_bytes: int | None = None
) -> UpstreamRequest:
    """The request of this exchange, as its upstream is to get it.

    `body`: if it was read already. Else it is what is here as a whole, or its pieces as they come, of which more than
    `limit_bytes` raise TooLarge. Raises NotPassedOn for CONNECT, TRACE and upgrades.
    """
    _check(exchange)
    headers = request_headers(exchange)
    whole_or_pieces: bytes | AsyncIterator[bytes] | None = body
    if body is None and _has_body(exchange):
        whole_or_pieces = exchange.connection.body_now()
        if whole_or_pieces is None:
            whole_or_pieces = body_pieces(exchange, limit_bytes)
            if (exchange.header(b"expect") or b"").lower() == b"100-continue":
                headers = [*headers, (b"expect", b"100-continue")]
        elif limit_bytes is not None and len(whole_or_pieces) > limit_bytes:
            raise too_large(limit_bytes)
    return UpstreamRequest(exchange.scope["method"], exchange.target, headers, whole_or_pieces)


async def body_pieces(exchange: Exchange, limit_bytes: int | None = None) -> AsyncIterator[bytes]:
    """The client's body as it comes.

    Raises ClientGone, TooLarge, and what broke the body off (BodyTimeout, Malformed).
    """
    declared = exchange.header(b"content-length")
    if limit_bytes is not None and declared is not None and int(declared) > limit_bytes:
        raise too_large(limit_bytes)
    size_bytes, more = 0, True
    while more:
        piece, more = await exchange.piece()
        size_bytes += len(piece)
        if limit_bytes is not None and size_bytes > limit_bytes:
            raise too_large(limit_bytes)
        if piece:
            yield piece


def request_headers(exchange: Exchange) -> Headers:
    """What goes on of the client's headers, and what the bridge says of itself."""
    scope = exchange.scope
    client = (exchange.client_address or "unknown").encode()
    host, proto = exchange.header(b"host") or b"", scope["scheme"].encode()
    node = b'"[%b]"' % client if b":" in client else client
    by = b'host="%b";' % host if _host.fullmatch(host) else b""
    came: dict[bytes, bytes] = {}
    sent = []
    for field in end_to_end(exchange.headers):
        name, value = field
        if name in _REBUILT:
            came[name] = b"%b, %b" % (came[name], value) if name in came else value
        else:
            sent.append(field)
    if exchange.header(b"x-request-id") is None:
        sent.append((b"x-request-id", exchange.request_id.encode()))
    sent += [
        (b"via", _joined(came.get(b"via"), scope["http_version"].encode() + VIA)),
        (b"forwarded", _joined(came.get(b"forwarded"), b"for=%b;%bproto=%b" % (node, by, proto))),
        (b"x-forwarded-for", _joined(came.get(b"x-forwarded-for"), client)),
        (b"x-forwarded-host", came.get(b"x-forwarded-host", host)),
        (b"x-forwarded-proto", came.get(b"x-forwarded-proto", proto)),
    ]
    return sent


async def pass_answer(
    exchange: Exchange,
    answer: UpstreamAnswer,
    tee: Callable[[bytes], None] | None = None,
    drain: "asyncio.Future[None] | None" = None,
    stalls_s: float = STALLS_S,
) -> None:
    """Hand the answer on to the client as it comes, and close it. `tee` is shown each piece of its body.

    A client that takes nothing for `stalls_s` is cut off: it would hold a connection to the upstream for as long as it
    likes. An endless answer (Server-Sent Events) ends cleanly once `drain` is done: its client comes back, to another
    replica. Raises what `answer.piece` raises, after the head has gone: the client's connection is then broken off.
    """
    try:
        piece, is_whole = answer.ready()
        if tee is not None and piece:
            tee(piece)
        if is_whole:
            await exchange.relay(answer.status, answer.headers, piece)
            return
        with _taken_within(exchange, stalls_s):
            await exchange.begin_relay(answer.status, answer.headers, piece)
        with Interrupt(exchange, drain if drain is not None and _is_endless(answer.headers) else NEVER):
            while piece := await answer.piece():
                if tee is not None:
                    tee(piece)
                with _taken_within(exchange, stalls_s):
                    await exchange.write(piece)
        await exchange.end()
    finally:
        await answer.close()


@contextmanager
def _taken_within(exchange: Exchange, seconds: float) -> Iterator[None]:
    """What is written in the block must leave our buffers in that time, or the client's connection ends."""
    timer = asyncio.get_running_loop().call_later(seconds, exchange.connection.abort)
    try:
        yield
    finally:
        timer.cancel()


def _is_endless(headers: Headers) -> bool:
    said = dict(headers)
    return said.get(b"content-type", b"").startswith(b"text/event-stream") and b"content-length" not in said


def _joined(before: bytes | None, ours: bytes) -> bytes:
    return b"%b, %b" % (before, ours) if before else ours


def _has_body(exchange: Exchange) -> bool:
    """A Content-Length of 0 is none."""
    length = exchange.header(b"content-length")
    return exchange.header(b"transfer-encoding") is not None or (length is not None and int(length) > 0)


def _check(exchange: Exchange) -> None:
    method = exchange.scope["method"]
    if method in ("CONNECT", "TRACE"):
        raise NotPassedOn(f"{method} is not passed on to the service behind this route.", headers=[CLOSE])
    if exchange.header(b"upgrade") is not None:
        raise NotPassedOn("The bridge passes requests and answers on, and no other protocol: send it without Upgrade.")


@dataclass(frozen=True, slots=True)
class PassthroughEndpoint:
    """A route that has not moved yet. `gate`: its own bound, where it has one: another is the upstream's pool.

    When the client goes, so does the request to the upstream.
    """

    upstream: Upstream
    gate: Gate | None
    metrics: RouteMetrics
    max_body_bytes: int | None
    drain: "asyncio.Future[None]"
    stalls_s: float = STALLS_S

    async def __call__(self, exchange: Exchange) -> None:
        gate, metrics = self.gate, self.metrics
        if gate is not None:
            gate.enter()
        metrics.in_flight += 1
        try:
            with Interrupt(exchange, NEVER):
                request = upstream_request(exchange, limit_bytes=self.max_body_bytes)
                answer = await self.upstream.send(request)
                await pass_answer(exchange, answer, drain=self.drain, stalls_s=self.stalls_s)
        finally:
            metrics.in_flight -= 1
            if gate is not None:
                gate.leave()
