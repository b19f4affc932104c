"""An endpoint that is watched: as a span of a trace, and by the access log. Made only where either is configured.

While a request is traced, its `traceparent` is that of our own span: whatever copies it from the request, into a record
or to an upstream, passes on the right one.
"""

import time
from collections.abc import Iterator
from typing import NamedTuple

from proxy.clock import now_s
from proxy.config.model import Observe, Route
from proxy.errors import ProxyError
from proxy.http.dispatch import Handler
from proxy.http.exchange import ClientGone, Exchange
from proxy.observe.access import Accesses
from proxy.observe.metrics import Sample
from proxy.observe.span import Span
from proxy.observe.traceparent import NAMES, TRACEPARENT, Place, trace_id_of
from proxy.observe.tracing import Tracer, Tracers

MAX_PATH = 200  # characters of a path that no route has
CLIENT_GONE = "client_gone"
FAILED = "internal_error"


class Ending(NamedTuple):
    """How a request ended: the status its client gets (0: it had gone before), and the code of what went wrong.

    `is_fault`: it went wrong here or behind us, not with the client.
    """

    status: int
    code: str | None = None
    is_fault: bool = False


def ending(exchange: Exchange, error: BaseException | None) -> Ending:
    """Of a request whose endpoint has returned, or raised `error`, which the dispatcher is about to answer."""
    if error is None:
        return Ending(exchange.status)
    if isinstance(error, ProxyError):
        broken_off = exchange.status != 0
        return Ending(exchange.status or error.status, error.code, broken_off or error.status >= 500)
    if isinstance(error, Exception) and not isinstance(error, ClientGone):
        return Ending(exchange.status or 500, FAILED, is_fault=True)
    return Ending(exchange.status, CLIENT_GONE)


class Watching:
    """What of all routes is watched. `follow` the configuration before routes are made."""

    def __init__(self, tracers: Tracers, accesses: Accesses) -> None:
        self._tracers = tracers
        self._accesses = accesses
        self._tracer: Tracer | None = None
        self._log: Accesses | None = None

    def follow(self, observe: Observe) -> None:
        """Go by these settings, for routes that are made from now on."""
        self._tracer = self._tracers.follow(observe.tracing)
        self._log = self._accesses.follow(observe.access_log)

    @property
    def traces(self) -> bool:
        return self._tracer is not None

    def watched(self, route: Route, path: str, handle: Handler) -> Handler:
        """The endpoint at this path of a route (its own, or that of its acks), watched as configured.

        Itself, where nothing is watched.
        """
        logged = handle if self._log is None else LoggedEndpoint(handle, self._log, route, path)
        return logged if self._tracer is None else TracedEndpoint(logged, self._tracer, route, path)

    def unmatched(self, exchange: Exchange, error: ProxyError) -> None:
        """A request that matches no route: an error like another, but for its path, which is told as it came."""
        if self._log is not None:
            path = exchange.scope["raw_path"][:MAX_PATH].decode("ascii", "replace")
            line = _line(exchange, Ending(error.status, error.code), now_s() - exchange.started_s)
            self._log.note({"why": "error", "path": path, **line})

    def samples(self) -> Iterator[Sample]:
        """For the metrics."""
        yield from self._tracers.samples()
        yield from self._accesses.samples()


class TracedEndpoint:
    """Places each request in its trace; of those that are sampled it notes a span when they end."""

    def __init__(self, inner: Handler, tracer: Tracer, route: Route, path: str) -> None:
        self._inner = inner
        self._tracer = tracer
        self._route = route
        self._path = path
        self._topics = _topics(route)

    def __repr__(self) -> str:
        return f"<TracedEndpoint {self._route.name} {self._tracer}>"

    async def __call__(self, exchange: Exchange) -> None:
        place = self._tracer.place(exchange.headers)
        kept = [header for header in exchange.headers if header[0] not in NAMES]
        exchange.replace_headers(kept + place.headers)
        if not place.is_sampled:
            await self._inner(exchange)
            return
        began_ns = time.time_ns()
        error: BaseException | None = None
        try:
            await self._inner(exchange)
        except BaseException as exc:
            error = exc
            raise
        finally:
            self._tracer.note(self._span(exchange, place, ending(exchange, error), began_ns))

    def _span(self, exchange: Exchange, place: Place, end: Ending, began_ns: int) -> Span:
        name = f"{exchange.scope['method']} {self._path}"
        fault = end.code if end.is_fault else None
        return Span(place, name, self._attributes(exchange, end), began_ns, time.time_ns(), fault)

    def _attributes(self, exchange: Exchange, end: Ending) -> dict[str, str | int]:
        """By OpenTelemetry's conventions for HTTP servers; neither the path as it came nor its query."""
        attributes: dict[str, str | int] = {
            "http.request.method": exchange.scope["method"],
            "http.route": self._path,
            "stepbridge.route": self._route.name,
            "stepbridge.request_id": exchange.request_id,
            **self._topics,
        }
        if end.status:
            attributes["http.response.status_code"] = end.status
        if end.code:
            attributes["error.type"] = end.code
        if exchange.principal:
            attributes["enduser.id"] = exchange.principal.id
        return attributes


class LoggedEndpoint:
    """Has the access log note some of the requests, when they end."""

    def __init__(self, inner: Handler, accesses: Accesses, route: Route, path: str) -> None:
        self._inner = inner
        self._accesses = accesses
        self._route = route
        self._path = path
        self._may_wait = route.consume is not None and path == route.path  # for records: as long as its client says

    def __repr__(self) -> str:
        return f"<LoggedEndpoint {self._route.name} {self._accesses}>"

    async def __call__(self, exchange: Exchange) -> None:
        error: BaseException | None = None
        try:
            await self._inner(exchange)
        except BaseException as exc:
            error = exc
            raise
        finally:
            end = ending(exchange, error)
            seconds = now_s() - exchange.started_s
            why = self._accesses.reason(end.status, seconds, may_wait=self._may_wait)
            if why is not None:
                line = _line(exchange, end, seconds)
                self._accesses.note({"why": why, "route": self._route.name, "path": self._path, **line})


def _line(exchange: Exchange, end: Ending, seconds: float) -> dict[str, str | int | float | None]:
    """What every line of the access log says of its request."""
    return {
        "method": exchange.scope["method"],
        "status": end.status,
        "code": end.code,
        "ms": round(seconds * 1_000, 1),
        "client": exchange.client_address,
        "caller": exchange.principal.id if exchange.principal else None,
        "request_id": exchange.request_id,
        "trace_id": trace_id_of(exchange.header(TRACEPARENT)),
    }


def _topics(route: Route) -> dict[str, str | int]:
    """What the route writes to or reads from, by OpenTelemetry's conventions for messaging."""
    if route.produce:
        return {"messaging.system": "kafka", "messaging.destination.name": route.produce.topic}
    if route.consume:
        return {"messaging.system": "kafka", "messaging.destination.name": ",".join(route.consume.topics)}
    return {}
