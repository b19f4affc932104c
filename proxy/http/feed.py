"""Reading without a group over HTTP: every client sees everything, and keeps its own position.

A poll answers with `next`, the position to ask from; a stream's events carry it as their `id`. What the position has
lost is said, never jumped over: 410 for a poll, `event: gap` on a stream, which then goes on.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from urllib.parse import parse_qsl, quote, urlencode
from weakref import WeakValueDictionary

import orjson

from proxy.clock import Deadline
from proxy.consume.envelope import bare, envelope
from proxy.consume.feeds.sieve import Sieve
from proxy.errors import Draining, Gone, Overloaded
from proxy.http import frames
from proxy.http.audience import Audience
from proxy.http.consume import NDJSON, SSE, STREAM_HEADERS, VARY, Ask
from proxy.http.exchange import NO_STORE, Exchange
from proxy.http.frames import ndjson, sse_named
from proxy.http.interrupt import Interrupt
from proxy.http.selection import Selection
from proxy.http.upkeep import Upkeep
from proxy.observe.metrics import RouteMetrics
from proxy.record import Fetched, values_size_bytes
from proxy.seams.feeds import FeedCursor, FeedEvent, FeedReader

STREAM_RECORDS = 200  # in one write to a stream
PATH_SIGNS = "/%:@!$&'()*+,;="  # stand in a path as they are (RFC 3986, 3.3); what else came raw would end the link


@dataclass(frozen=True, slots=True)
class FeedPoll:
    """GET with JSON: what comes after a position, after at most `wait` seconds.

    Its ETag is the position to go on from: who has that, and for whom nothing has come since, is answered 304.
    """

    feed: FeedReader
    selection: Selection
    values_only: bool
    metrics: RouteMetrics
    drain: asyncio.Future[None]

    async def __call__(self, exchange: Exchange, ask: Ask) -> None:
        start, sieve = self.selection.start(ask), self.selection.sieve(exchange)
        passes = sieve.passes if sieve is not None else None
        page = None
        with Interrupt(exchange, self.drain, admission=exchange.admission):
            page = await self.feed.read(
                ask.position, start=start, max_records=ask.max_records, wait_s=ask.wait_s, passes=passes
            )
        if page is None:
            exchange.still_admitted()
            raise Draining("The bridge is shutting down. Repeat the request: another one answers.")
        link = b"<%b>; rel=next" % _next_url(exchange, page.next).encode()
        headers = [NO_STORE, VARY, (b"link", link), (b"etag", b'W/"%b"' % page.next.encode())]
        if page.events:
            self.metrics.delivered(len(page.events), values_size_bytes(event.record for event in page.events))
        elif _has(exchange, page.next):
            await exchange.answer(304, headers, b"")
            return
        await exchange.answer_json(200, self._body(page.events, page.next), headers)

    def _body(self, events: Sequence[FeedEvent], after: str) -> bytes:
        if self.values_only:
            return b"[" + b",".join([rendered(event, "values", bare) for event in events]) + b"]"
        records = b",".join([rendered(event, "envelope", envelope) for event in events])
        return b'{"records":[%b],"next":"%b"}' % (records, after.encode())


class FeedStreaming:
    """GET with SSE or NDJSON: records as they come, until the client goes or the stream ends (`upkeep.py`).

    Whoever has all there is sits in the audience, which is written to as one; the others go at their own pace.
    """

    def __init__(
        self,
        feed: FeedReader,
        selection: Selection,
        values_only: bool,
        upkeep: Upkeep,
        metrics: RouteMetrics,
    ) -> None:
        self._feed = feed
        self._selection = selection
        self._upkeep = upkeep
        self._metrics = metrics
        self._views = {media: View(feed, media, values_only, upkeep, metrics) for media in (SSE, NDJSON)}

    async def __call__(self, exchange: Exchange, ask: Ask) -> None:
        start, sieve = self._selection.start(ask), self._selection.sieve(exchange)
        cursor = None
        with Interrupt(exchange, self._upkeep.end, admission=exchange.admission):
            cursor = await self._feed.cursor(ask.position, start=start)
        if cursor is None:
            exchange.still_admitted()
            raise Draining("The bridge is shutting down, or its route has just changed. Repeat the request.")
        self._metrics.open_streams += 1
        try:
            await exchange.begin(200, [(b"content-type", ask.media.encode()), *STREAM_HEADERS])
            await exchange.write(self._upkeep.opening(ask.media, cursor.position))
            with self._upkeep.interrupt(exchange) as interrupt:
                await self._views[ask.media].pump(exchange, cursor, sieve)
            await self._upkeep.finish(exchange, ask.media, interrupt.reason or "")
        finally:
            self._metrics.open_streams -= 1
            cursor.close()


class View:
    """How a route shows its feed in one media type: as bytes, to its audience and to those who are behind."""

    def __init__(self, feed: FeedReader, media: str, values_only: bool, upkeep: Upkeep, metrics: RouteMetrics) -> None:
        self._feed = feed
        self._media = media
        self._values_only = values_only
        self._name = f"{media} {values_only}"
        self._heartbeat = partial(upkeep.heartbeat, media)
        self._heartbeat_s = upkeep.heartbeat_s
        self._metrics = metrics
        self._audiences: WeakValueDictionary[Sieve | None, Audience] = WeakValueDictionary()  # who is in one, holds it

    async def pump(self, exchange: Exchange, cursor: FeedCursor, sieve: Sieve | None) -> None:
        """Write what the cursor has and the sieve lets through, for ever."""
        audience = self._audience(sieve)
        silence = Deadline.after(self._heartbeat_s)
        following: asyncio.Task[Sequence[FeedEvent]] | None = None
        try:
            while True:
                if following is None and await audience.follow(exchange.connection, cursor):
                    silence = Deadline.after(self._heartbeat_s)
                    continue
                following = following or asyncio.create_task(cursor.next(STREAM_RECORDS))
                done, _ = await asyncio.wait([following], timeout=silence.remaining_s())
                data = b""  # while it goes on: a step through the log may take longer than a heartbeat
                if done:
                    data, following = self._shown(cursor, following, sieve), None
                if not data and not silence.remaining_s():
                    data = self._heartbeat(cursor.position if done and sieve else None)
                done.clear()  # a client that does not read holds the bytes of a step, not its events as well
                if data:
                    await exchange.write(data)
                    silence = Deadline.after(self._heartbeat_s)
        finally:
            if following is not None:
                following.cancel()
                await asyncio.wait([following])

    def _audience(self, sieve: Sieve | None) -> Audience:
        audience = self._audiences.get(sieve)
        if audience is None:
            passes = sieve.passes if sieve is not None else None
            audience = Audience(self._feed, self._framed, self._heartbeat, self._heartbeat_s, self._metrics, passes)
            self._audiences[sieve] = audience
        return audience

    def _shown(self, cursor: FeedCursor, step: "asyncio.Task[Sequence[FeedEvent]]", sieve: Sieve | None) -> bytes:
        """What a stream gets of a step that is done; nothing, where nothing of it passes."""
        try:
            events = step.result()
        except Gone as gone:
            return _gap(self._media, gone, cursor.position)
        except Overloaded:  # the readers of the log are with others: it asks again, and its heartbeat goes on
            return b""
        if sieve is not None:
            events = [event for event in events if sieve.passes(event)]
        self._metrics.delivered(len(events), values_size_bytes(event.record for event in events))
        return b"".join([self._framed(event) for event in events])

    def _framed(self, event: FeedEvent) -> bytes:
        """The event as a stream's bytes: framed once for all clients."""
        found = event.frames.get(self._name)
        if found is None:
            found = event.frames[self._name] = self._frame(event)
        return found

    def _frame(self, event: FeedEvent) -> bytes:
        data = bare(event.record) if self._values_only else envelope(event.record)
        return frames.event(self._media, data, event.position, is_bare=self._values_only)


def rendered(event: FeedEvent, name: str, render: Callable[[Fetched], bytes]) -> bytes:
    """The event's record as JSON: rendered once for all clients."""
    found = event.frames.get(name)
    if found is None:
        found = event.frames[name] = render(event.record)
    return found


def _gap(media: str, gone: Gone, position: str) -> bytes:
    """What a stream is told of records that are lost to it. It goes on at `next`."""
    document = orjson.dumps({"code": gone.code, "detail": gone.detail, **gone.extra, "next": position})
    return sse_named("gap", document, position) if media == SSE else ndjson(b'{"gap":%b}' % document)


def _has(exchange: Exchange, position: str) -> bool:
    """Whether the client says that it has what there is up to this position (RFC 9110, 13.1.2)."""
    tags = (exchange.header_list(b"if-none-match") or b"").decode("latin-1").split(",")
    return any(tag.strip().removeprefix("W/").strip('"') == position for tag in tags)


def _next_url(exchange: Exchange, position: str) -> str:
    """The same request, from the next position on."""
    query = parse_qsl(exchange.query_string.decode("latin-1"), keep_blank_values=True)
    query = [(name, value) for name, value in query if name != "position"]
    raw_path: bytes = exchange.scope["raw_path"]
    path = quote(raw_path, safe=PATH_SIGNS)
    return f"{path}?{urlencode([*query, ('position', position)])}"
