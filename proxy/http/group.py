"""Reading for a group over HTTP: the long poll and the stream.

With `ack: auto` a poll's records count as accepted when its answer has left and the connection still stands; a
stream's when later bytes (at least a heartbeat), CONFIRM_S after them, have left over a connection that still stands:
what a client has not read by then, out of its own socket's buffer, may be lost to it. What was written before a
disconnect and not confirmed so comes again, to the same client if it comes back with its Last-Event-ID.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.clock import now_s
from proxy.consume.envelope import bare, envelope
from proxy.http import frames
from proxy.http.consume import STREAM_HEADERS, VARY, Ask
from proxy.http.exchange import NO_STORE, Exchange
from proxy.http.frames import with_members
from proxy.http.interrupt import Interrupt
from proxy.http.upkeep import Upkeep
from proxy.observe.metrics import RouteMetrics
from proxy.record import values_size_bytes
from proxy.seams.groups import Delivery, GroupReader, GroupStream, Handout

STREAM_RECORDS = 100  # in one write to a stream
CONFIRM_S = 1.0


@dataclass(frozen=True, slots=True)
class GroupPoll:
    """GET with JSON: up to `max` records under one lease, after at most `wait` seconds."""

    session: GroupReader
    is_auto: bool
    values_only: bool
    metrics: RouteMetrics
    drain: asyncio.Future[None]

    async def __call__(self, exchange: Exchange, ask: Ask) -> None:
        handout = await self._poll(exchange, ask)
        if handout is None or not self.is_auto:
            await self._answer(exchange, handout)
            return
        arrived = False
        try:
            await self._answer(exchange, handout)
            arrived = await exchange.connection.drained()
        finally:
            (self.session.accept if arrived else self.session.release)(handout)

    async def _poll(self, exchange: Exchange, ask: Ask) -> Handout | None:
        if ask.ack is not None:
            return await self._poll_and_ack(exchange, ask, ask.ack)
        with Interrupt(exchange, self.drain, admission=exchange.admission):
            return await self.session.poll(max_records=ask.max_records, wait_s=ask.wait_s)
        exchange.still_admitted()
        return None

    async def _poll_and_ack(self, exchange: Exchange, ask: Ask, lease: str) -> Handout | None:
        """Both side by side. Nothing is answered before the commit; if the ack is refused, nothing is leased."""
        poll = asyncio.create_task(self.session.poll(max_records=ask.max_records, wait_s=ask.wait_s), name="poll")
        ack = asyncio.create_task(self.session.acknowledge(lease, accept="all", release=None), name="ack")
        try:
            with Interrupt(exchange, self.drain, admission=exchange.admission):
                await asyncio.wait([poll, ack], return_when=asyncio.FIRST_EXCEPTION)
            await ack  # it ends by itself, soon
            return await poll if poll.done() else None
        except BaseException:
            ack.cancel()
            if poll.done() and not poll.cancelled() and poll.exception() is None and (handout := poll.result()):
                self.session.release(handout, undelivered=True)
            raise
        finally:
            poll.cancel()
            await asyncio.gather(poll, ack, return_exceptions=True)

    async def _answer(self, exchange: Exchange, handout: Handout | None) -> None:
        records: Sequence[Delivery] = handout.records if handout else ()
        headers = [NO_STORE, VARY]
        if self.values_only:
            body = b"[" + b",".join([bare(record) for record, _ in records]) + b"]"
            if handout is not None and handout.lease:
                headers.append((b"stepbridge-lease", handout.lease.encode()))
        else:
            body = b'{"records":[' + b",".join([envelope(*delivery) for delivery in records]) + b"]"
            body += b',"lease":"%b"}' % handout.lease.encode() if handout is not None and handout.lease else b"}"
        if records:
            self.metrics.delivered(len(records), values_size_bytes(record for record, _ in records))
        await exchange.answer_json(200, body, headers)


@dataclass(frozen=True, slots=True)
class GroupStreaming:
    """GET with SSE or NDJSON: records as they come, until the client goes or the stream ends (`upkeep.py`)."""

    session: GroupReader
    is_auto: bool
    values_only: bool
    upkeep: Upkeep
    metrics: RouteMetrics

    async def __call__(self, exchange: Exchange, ask: Ask) -> None:
        stream = self.session.stream(ask.position)
        self.metrics.open_streams += 1
        try:
            await exchange.begin(200, [(b"content-type", ask.media.encode()), *STREAM_HEADERS])
            await exchange.write(self.upkeep.opening(ask.media))
            with self.upkeep.interrupt(exchange) as interrupt:
                await self._pump(exchange, ask, stream)
            await self.upkeep.finish(exchange, ask.media, interrupt.reason or "resumed")
        finally:
            self.metrics.open_streams -= 1
            stream.close()

    async def _pump(self, exchange: Exchange, ask: Ask, stream: GroupStream) -> None:
        heartbeat, heartbeat_s = self.upkeep.heartbeat(ask.media), self.upkeep.heartbeat_s
        owed: deque[tuple[float, Handout]] = deque()  # written, when it may be confirmed by later bytes
        while stream.is_open:
            wait_s = min(heartbeat_s, max(0.01, owed[0][0] - now_s())) if owed else heartbeat_s
            handout = await stream.next(max_records=STREAM_RECORDS, wait_s=wait_s)
            await exchange.write(self._frames(ask, stream, handout) if handout is not None else heartbeat)
            if owed and owed[0][0] <= now_s() and await exchange.connection.drained():
                while owed and owed[0][0] <= now_s():
                    stream.confirm(owed.popleft()[1])
            if handout is not None:
                size_bytes = values_size_bytes(record for record, _ in handout.records)
                self.metrics.delivered(len(handout.records), size_bytes)
                if self.is_auto:
                    owed.append((now_s() + CONFIRM_S, handout))

    def _frames(self, ask: Ask, stream: GroupStream, handout: Handout) -> bytes:
        events = []
        for delivery in handout.records:
            data = bare(delivery.record) if self.values_only else envelope(*delivery)
            if not self.values_only and handout.lease:
                data = with_members(data, lease=handout.lease)
            position = stream.event_id(delivery.record)
            events.append(frames.event(ask.media, data, position, is_bare=self.values_only))
        return b"".join(events)
