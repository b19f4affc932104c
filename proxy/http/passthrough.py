"""A route with an `upstream`: the request goes on as it came, and the answer comes back as it is.

Bodies of any size are streamed in both directions, as fast as the slower side takes them. What the bridge adds is
here: to the request Via, Forwarded and X-Forwarded-*, to the answer its `x-request-id` (if the upstream sent none).
What belongs to one connection only is left out in both directions (RFC 9110, 7.6.1).
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from proxy.errors import NotPassedOn
from proxy.http.exchange import CLOSE, Exchange, Headers
from proxy.limits.gate import Gate
from proxy.seams import Upstream, UpstreamAnswer, UpstreamRequest

HOP_BY_HOP = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade")
)
_OURS = frozenset((b"via", b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"expect"))


def upstream_request(exchange: Exchange, body: bytes | None = None) -> UpstreamRequest:
    """The request of this exchange, as its upstream is to get it. `body`: if it was read already; else it is streamed.

    Raises NotPassedOn for CONNECT, TRACE and upgrades.
    """
    _check(exchange)
    scope = exchange.scope
    query = scope["query_string"]
    target = b"%b?%b" % (scope["raw_path"], query) if query else scope["raw_path"]
    has_body = exchange.header(b"content-length") is not None or exchange.header(b"transfer-encoding") is not None
    streamed = body_pieces(exchange) if has_body and body is None else None
    return UpstreamRequest(scope["method"], target, request_headers(exchange), body if streamed is None else streamed)


async def body_pieces(exchange: Exchange) -> AsyncIterator[bytes]:
    """The client's body as it comes. Raises ClientGone, and what broke the body off (BodyTimeout, Malformed)."""
    more = True
    while more:
        piece, more = await exchange.piece()
        if piece:
            yield piece


def end_to_end(headers: Headers) -> Headers:
    """Without those of the connection, also the ones that `Connection` names."""
    named: set[bytes] = set()
    for name, value in headers:
        if name == b"connection":
            named.update(word.strip().lower() for word in value.split(b","))
    return [field for field in headers if field[0] not in HOP_BY_HOP and field[0] not in named]


def request_headers(exchange: Exchange) -> Headers:
    """What goes on of the client's headers, and what the bridge says of itself."""
    scope = exchange.scope
    client = (scope["client"] or ("unknown",))[0].encode()
    host = exchange.header(b"host") or b""
    proto = scope["scheme"].encode()
    sent = end_to_end(exchange.headers)
    node = b'"[%b]"' % client if b":" in client else client
    said = b'for=%b;host="%b";proto=%b' % (node, host, proto)
    came = {name: b", ".join(value for each, value in sent if each == name) for name in _OURS}
    return [
        *(field for field in sent if field[0] not in _OURS),
        (b"via", _joined(came[b"via"], b"%b stepbridge" % scope["http_version"].encode())),
        (b"forwarded", _joined(came[b"forwarded"], said)),
        (b"x-forwarded-for", _joined(came[b"x-forwarded-for"], client)),
        (b"x-forwarded-host", came[b"x-forwarded-host"] or host),
        (b"x-forwarded-proto", came[b"x-forwarded-proto"] or proto),
    ]


def _joined(before: bytes, ours: bytes) -> bytes:
    return b"%b, %b" % (before, ours) if before else ours


async def pass_answer(exchange: Exchange, answer: UpstreamAnswer, tee: Callable[[bytes], None] | None = None) -> None:
    """Hand the answer on to the client, piece by piece, and close it. `tee` is shown each piece of its body.

    Raises what `answer.piece` raises, after the head has gone: the connection to the client is then broken off.
    """
    try:
        await exchange.begin(answer.status, answer.headers)
        while piece := await answer.piece():
            if tee is not None:
                tee(piece)
            await exchange.write(piece)
        await exchange.end()
    finally:
        await answer.close()


def _check(exchange: Exchange) -> None:
    method = exchange.scope["method"]
    if method in ("CONNECT", "TRACE"):
        raise NotPassedOn(f"{method} is not passed on to the service behind this route.", headers=[CLOSE])
    if exchange.header(b"upgrade") is not None:
        raise NotPassedOn("The bridge passes requests and answers on, and no other protocol: send it without Upgrade.")


@dataclass(frozen=True, slots=True)
class PassthroughEndpoint:
    """A route that has not moved yet."""

    upstream: Upstream
    gate: Gate

    async def __call__(self, exchange: Exchange) -> None:
        with self.gate.entered():
            answer = await self.upstream.send(upstream_request(exchange))
            await pass_answer(exchange, answer)
