"""A request on a migrating route as it came: its body, the record it makes, and the request its upstream gets."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

from proxy.errors import ProxyError
from proxy.http.exchange import Exchange
from proxy.http.passthrough import body_pieces, upstream_request
from proxy.limits.gate import Gate
from proxy.migrate.stages import Stage
from proxy.record import Record
from proxy.routes.request import Request
from proxy.seams.upstream import UpstreamRequest

ROUTE, STAGE, REQUEST, TYPE, ID = (
    f"stepbridge-{name}" for name in ("route", "stage", "request", "content-type", "id")
)  # record headers; from the last three a replay makes the request again


@dataclass(frozen=True, slots=True)
class Taken:
    """What was read of a body. `fits`: it is no larger than the route takes. `more`: the rest is still to come."""

    body: bytes
    fits: bool = True
    more: bool = False


async def take_body(exchange: Exchange, limit_bytes: int, gate: Gate) -> Taken:
    """The whole body if it fits; else what had come when that was clear. Raises as `Exchange.body`, but no TooLarge."""
    declared = exchange.header(b"content-length")
    if declared is not None and int(declared) > limit_bytes:
        return Taken(b"", fits=False, more=True)
    body = exchange.connection.body_now()
    if body is not None:
        return Taken(body, fits=len(body) <= limit_bytes)
    return await _take_pieces(exchange, limit_bytes, gate)


async def _take_pieces(exchange: Exchange, limit_bytes: int, gate: Gate) -> Taken:
    body, more, arrived = bytearray(), True, 0
    try:
        while more and len(body) <= limit_bytes:
            piece, more = await exchange.piece()
            gate.arrive(len(piece))
            arrived += len(piece)
            body += piece
    finally:
        gate.arrived(arrived)
    return Taken(bytes(body), fits=len(body) <= limit_bytes, more=more)


async def _continued(taken: Taken, exchange: Exchange) -> AsyncIterator[bytes]:
    yield taken.body
    async for piece in body_pieces(exchange):
        yield piece


@dataclass(slots=True)
class Attempt:
    """One request, and the record it makes, or why it makes none."""

    exchange: Exchange
    taken: Taken
    request: Request
    record: Record | None
    error: ProxyError | None

    @property
    def key(self) -> bytes | None:
        return self.record.key if self.record else None

    @property
    def size_bytes(self) -> int:
        """What it holds of its body: as it came, and if that was compressed as what it expands to, too."""
        came, expanded = self.taken.body, self.request.body
        return len(came) if expanded is came else len(came) + len(expanded)

    @property
    def asked(self) -> tuple[str, str]:
        """Method, and path and query as they came."""
        return self.exchange.scope["method"], self.exchange.target.decode("latin-1")

    def upstream_request(self) -> UpstreamRequest:
        """As it came. Once: what was not read of the body goes with it."""
        exchange, taken = self.exchange, self.taken
        if taken.more:
            plain = upstream_request(exchange)
            return replace(plain, body=_continued(taken, exchange)) if taken.body else plain
        has_body = taken.body or exchange.header(b"transfer-encoding") is not None
        return upstream_request(exchange, taken.body if has_body else None)

    def marked(self, route: str, stage: Stage) -> Record:
        """The record, with where it comes from. Raises why there is none."""
        if self.record is None:
            assert self.error is not None
            raise self.error
        marks = [(ROUTE, route.encode()), (STAGE, stage.encode())]
        if stage != "shadow":
            marks.append((REQUEST, " ".join(self.asked).encode("latin-1")))
            marks.append((ID, self.exchange.request_id.encode()))
            if (media_type := self.exchange.header(b"content-type")) is not None:
                marks.append((TYPE, media_type))
        return self.record._replace(headers=[*self.record.headers, *marks])
