"""GET on a consume route: long poll, SSE or NDJSON, by the Accept header. What a reader may ask for is read here."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from proxy.consume.token import MAX_CHARS
from proxy.errors import Malformed, RouteClosed
from proxy.http.accept import choose
from proxy.http.exchange import NO_STORE, UNBUFFERED, Exchange
from proxy.limits.gate import Streams
from proxy.routes.request import MAX_FIELDS

JSON: Final = "application/json"
SSE: Final = "text/event-stream"
NDJSON: Final = "application/x-ndjson"
OFFERED: Final = (JSON, SSE, NDJSON)

MAX_RECORDS, DEFAULT_RECORDS = 1_000, 100
MAX_WAIT_S, DEFAULT_WAIT_S = 60, 20

VARY = (b"vary", b"accept")
STREAM_HEADERS = (NO_STORE, VARY, UNBUFFERED)

_wait = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([^\s,;\"]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ask:
    """What a reader asks for. `position` is a token of ours, from `?position=` or Last-Event-ID; None at first.

    `ack` is the lease of the poll before, accepted with this one; `start` is `?from=` as it is.
    """

    media: str
    max_records: int
    wait_s: float
    position: str | None
    ack: str | None = None
    start: str | None = None


@dataclass(frozen=True, slots=True)
class ConsumeEndpoint:
    """Reads the request, and hands it to the poll or the stream of its route."""

    poll: Callable[[Exchange, Ask], Awaitable[None]]
    stream: Callable[[Exchange, Ask], Awaitable[None]]
    streams: Streams
    takes_acks: bool = False

    async def __call__(self, exchange: Exchange) -> None:
        ask = read_ask(exchange)
        if ask.ack is not None and not (self.takes_acks and ask.media == JSON):
            raise Malformed(
                "`ack` goes with a long poll of a route whose acks are explicit, and this is none. Leave it out; the "
                "leases of a stream are acknowledged by POST."
            )
        with self.streams:
            await (self.poll if ask.media == JSON else self.stream)(exchange, ask)


async def answer_closed(exchange: Exchange) -> None:
    """A route that is retired: 204 tells an EventSource to stop for good; everyone else is told by an error."""
    if choose(exchange.header_list(b"accept"), OFFERED) != SSE:
        raise RouteClosed("This route is retired: nothing more will come of it. Stop asking.")
    await exchange.answer(204, [NO_STORE, VARY], b"")


def read_ask(exchange: Exchange) -> Ask:
    """Raises NotAcceptable for Accept headers without one of ours, Malformed for a parameter out of bounds."""
    media = choose(exchange.header_list(b"accept"), OFFERED)
    query = _fields(exchange.query_string)
    return Ask(
        media=media,
        max_records=_whole_number(query.get("max", str(DEFAULT_RECORDS)), name="max", least=1, most=MAX_RECORDS),
        wait_s=_wait_s(exchange, query),
        position=_position(exchange, query),
        ack=query.get("ack"),
        start=query.get("from"),
    )


def _fields(query_string: bytes) -> Mapping[str, str]:
    """Of one given twice the last. Raises Malformed."""
    try:
        return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Malformed(f"The query has more than {MAX_FIELDS} fields. Ask with fewer.") from None


def _wait_s(exchange: Exchange, query: Mapping[str, str]) -> int:
    """`wait=20` in the query, else `Prefer: wait=20` (RFC 7240, which has a preference we cannot read ignored)."""
    if "wait" in query:
        return _whole_number(query["wait"], name="wait", least=0, most=MAX_WAIT_S)
    prefer = _wait.search((exchange.header_list(b"prefer") or b"").decode("latin-1"))
    if prefer is None or not (prefer[1].isascii() and prefer[1].isdigit()):
        return DEFAULT_WAIT_S
    return min(int(prefer[1][:9]), MAX_WAIT_S)


def _position(exchange: Exchange, query: Mapping[str, str]) -> str | None:
    """Last-Event-ID is what a browser sends by itself, so it is the newer one when both are there."""
    given = (exchange.header(b"last-event-id") or b"").decode("latin-1").strip() or query.get("position", "")
    if len(given) > MAX_CHARS:
        raise Malformed("The position is longer than any that this bridge hands out.")
    return given or None


def _whole_number(text: str, *, name: str, least: int, most: int) -> int:
    """A parameter of the request. Raises Malformed, naming it and its bounds."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise Malformed(f"`{name}` must be a whole number from {least} to {most}.")
    return int(text)
