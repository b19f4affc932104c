"""Where a request enters: match it, let its endpoint answer, and answer what the endpoint raises.

One place renders errors (STYLE, "Raise; one place answers"); one place counts answers (`Exchange.begin`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil

from proxy.clock import now_s
from proxy.errors import KafkaForbids, NotNow, ProxyError, Unauthenticated
from proxy.http.exchange import ClientGone, Exchange, Receive, Scope, Send
from proxy.limits.pace import Pace
from proxy.observe.logs import Seldom, logger
from proxy.observe.metrics import NO_ROUTE, Metrics, RouteMetrics
from proxy.routes.table import RouteTable

Handler = Callable[[Exchange], Awaitable[None]]

log = logger("http")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What a route's requests go to, and where they are counted."""

    name: str
    handle: Handler
    metrics: RouteMetrics


class Dispatcher:
    """The ASGI application of the public port. `table` is replaced as a whole by a reload."""

    def __init__(self, table: RouteTable[Endpoint], metrics: Metrics, pace: Pace | None = None) -> None:
        self.table = table
        self._unmatched = metrics.route(NO_ROUTE)
        self._seldom = Seldom()
        self._pace = pace or Pace()
        self.on_unmatched: Callable[[Exchange, ProxyError], object] = _ignore

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = Exchange(scope, receive, send)
        exchange.metrics = self._unmatched
        name = NO_ROUTE
        try:
            endpoint, exchange.path = self.table.match(scope["method"], scope["raw_path"])
            exchange.metrics = endpoint.metrics
            name = endpoint.name
            await endpoint.handle(exchange)
            self._pace.served()
        except ProxyError as error:
            await self._refuse(exchange, error, name)
        except ClientGone:
            pass
        except asyncio.CancelledError:  # the drain's time is over; any answer would be a guess at what has become of it
            log.warning("request_cut_off", route=name, request_id=exchange.request_id)
            exchange.connection.cut_off()
        except Exception as exc:  # noqa: BLE001 - the client gets an answer whatever we did wrong
            log.error("request_failed", route=name, request_id=exchange.request_id, exc=exc)
            await self._refuse(exchange, ProxyError("The bridge failed; its log has the reason."), name)

    async def _refuse(self, exchange: Exchange, error: ProxyError, name: str) -> None:
        if name == NO_ROUTE:
            self.on_unmatched(exchange, error)
        if isinstance(error, NotNow) and error.limit:
            self._note(error, name, exchange)
            self._hold_off(exchange, error)
        elif isinstance(error, Unauthenticated):
            self._hold_off(exchange, error)
        elif isinstance(error, KafkaForbids) and self._seldom(f"{name} {error.detail}"):
            log.warning("kafka_forbids", route=name, request_id=exchange.request_id, detail=error.detail)
        if not exchange.status:
            log.debug("refused", route=name, request_id=exchange.request_id, status=error.status, code=error.code)
            await exchange.refuse(error)
            return
        # The answer had begun: it can only be broken off, which uvicorn does with an answer left incomplete.
        log.warning("answer_broken_off", route=name, request_id=exchange.request_id, code=error.code)

    def _hold_off(self, exchange: Exchange, error: ProxyError) -> None:
        rest_s = self._pace.rest_s(now_s())
        if rest_s:
            exchange.connection.rest(rest_s)
            error.retry_after_s = max(error.retry_after_s or 0, ceil(rest_s))

    def _note(self, error: NotNow, name: str, exchange: Exchange) -> None:
        if exchange.metrics is not None:
            exchange.metrics.limited(error.limit)
        if self._seldom(f"{name} {error.limit}"):
            request_id = exchange.request_id
            log.warning("limit_reached", route=name, limit=error.limit, request_id=request_id, detail=error.detail)


def _ignore(exchange: Exchange, error: ProxyError) -> None:
    """Nobody asked."""
