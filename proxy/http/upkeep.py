"""How a stream is kept alive, and how it ends although its client is still there: told why, and when to come back.

The reasons: `drain`: the bridge is shutting down. `lifetime`: it has lasted as long as its route allows. `closed`: its
route is retired. `reload`: its route reads otherwise now, or is gone. `resumed`: its client goes on with it elsewhere.
`expired`, `revoked`: its caller's token has, or its key was.
"""

import asyncio
from dataclasses import dataclass
from random import uniform

import orjson

from proxy.config.model import Config, Consume, Route
from proxy.http.consume import SSE
from proxy.http.end import End
from proxy.http.exchange import Exchange
from proxy.http.frames import NDJSON_HEARTBEAT, SSE_HEARTBEAT, ndjson, sse_id, sse_named, sse_retry
from proxy.http.interrupt import Interrupt

JITTER = 0.1  # of a lifetime, either way: streams that began together do not end together
SPREAD = 2.0  # of the pause before coming back: those that end together come back within twice the time


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What a route's streams have in common."""

    end: End  # of the route's streams, with the reason
    heartbeat_s: float = 15.0
    heartbeat_event: str | None = None
    retry_ms: int = 2_000
    lifetime_s: float | None = None
    last_words_s: float = 5.0  # for a client that does not read to take the end

    @classmethod
    def of(cls, consume: Consume, end: End) -> "Upkeep":
        lifetime_s = consume.lifetime_ms / 1000 if consume.lifetime_ms else None
        return cls(end, consume.heartbeat_ms / 1000, consume.heartbeat_event, consume.retry_ms, lifetime_s)

    def opening(self, media: str, position: str | None = None) -> bytes:
        """The first bytes of a stream; `position` is where it begins, if that is known."""
        if media != SSE:
            return NDJSON_HEARTBEAT
        return sse_retry(self.retry_ms) + (sse_id(position) if position is not None else b"")

    def heartbeat(self, media: str, position: str | None = None) -> bytes:
        """`position`: where the stream is, past records that its client is not shown."""
        if media != SSE:
            return NDJSON_HEARTBEAT
        if self.heartbeat_event:
            return sse_named(self.heartbeat_event, b"{}", position)
        return (sse_id(position) if position is not None else b"") + SSE_HEARTBEAT

    def interrupt(self, exchange: Exchange) -> Interrupt:
        """Around all that a stream waits for; its lifetime begins now."""
        jitter = uniform(1 - JITTER, 1 + JITTER)
        return Interrupt(exchange, self.end, self.lifetime_s and self.lifetime_s * jitter, exchange.admission)

    async def finish(self, exchange: Exchange, media: str, reason: str) -> None:
        """Say why, and end the answer. A client that does not read is not waited for: its connection is cut."""
        try:
            async with asyncio.timeout(self.last_words_s):
                await exchange.end(self._last_words(media, reason))
        except TimeoutError:
            exchange.connection.abort()
            await asyncio.wait([exchange.connection.gone()])

    def _last_words(self, media: str, reason: str) -> bytes:
        retry_ms = int(uniform(1, SPREAD) * self.retry_ms)
        document = orjson.dumps({"reason": reason, "retry_ms": retry_ms})
        if media == SSE:
            return sse_retry(retry_ms) + sse_named("end", document)
        return ndjson(b'{"end":%b}' % document)


class Ends:
    """What ends the streams of each route. Who may read is part of how it reads."""

    def __init__(self, drain: asyncio.Future[None]) -> None:
        self._ends: dict[str, tuple[Route, End]] = {}
        self._drain = drain
        drain.add_done_callback(self._drained)

    def __repr__(self) -> str:
        return f"<Ends of {len(self._ends)} routes>"

    def of(self, route: Route) -> End:
        """Of a route that reads, of the configuration in force."""
        return self._ends[route.name][1]

    def follow(self, config: Config) -> None:
        """Put this configuration in force: the streams of routes that read otherwise now, or not at all, end."""
        former, self._ends = self._ends, {}
        new = {route.name: route for route in config.routes if route.consume}
        for name, route in new.items():
            before = former.get(name)
            self._ends[name] = before if before and _reads_alike(before[0], route) else (route, self._new())
        for name, (_, end) in former.items():
            if name not in new or self._ends[name][1] is not end:
                end.set_result("closed" if name in new and _is_closed(new[name]) else "reload")

    def _new(self) -> End:
        end = End()
        if self._drain.done():
            end.set_result("drain")
        return end

    def _drained(self, _: asyncio.Future[None]) -> None:
        for _route, end in self._ends.values():
            end.set_result("drain")


def _reads_alike(old: Route, new: Route) -> bool:
    return (old.route, old.consume, old.auth) == (new.route, new.consume, new.auth)


def _is_closed(route: Route) -> bool:
    return route.consume is not None and route.consume.closed
