"""Requests over a real connection, as traces and the access log see them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from proxy.config.model import Config, Route
from proxy.errors import NotNow, OutcomeUnknown, Unprocessable
from proxy.http.dispatch import Dispatcher, Endpoint, Handler
from proxy.http.exchange import Exchange
from proxy.http.passthrough import request_headers
from proxy.http.watched import LoggedEndpoint, TracedEndpoint, Watching
from proxy.observe.access import Accesses
from proxy.observe.metrics import Metrics
from proxy.observe.span import Span
from proxy.observe.tracing import Tracer, Tracers
from proxy.principal import Principal
from proxy.routes.table import RouteTable
from tests.unit.http.served import Client, connected

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Lines(Accesses):
    """Keeps the lines it is to write."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, Any]] = []

    def note(self, fields: Any) -> None:
        self.lines.append({name: value for name, value in fields.items() if value is not None})


class Watched:
    """A bridge with one route, `POST /orders/{id}`, and whatever endpoint; what was seen of its requests."""

    def __init__(self, handle: Handler, **observe: Any) -> None:
        route = {"route": "POST /orders/{id}", "name": "orders", "produce": {"topic": "shop.orders"}}
        config = {"kafka": {"bootstrap_servers": "a:1"}, "routes": [route], "observe": observe}
        self.config = Config.model_validate(config)
        self.spans: list[Span] = []
        self.accesses = Lines()
        self.tracers = Tracers(lambda settings: Tracer(settings, self._take, every_s=0.001))
        self.watching = Watching(self.tracers, self.accesses)
        self.watching.follow(self.config.observe)
        self.app = Dispatcher(RouteTable.build([("POST", "/orders/{id}", self._endpoint(handle))]), Metrics())
        self.app.on_unmatched = self.watching.unmatched

    def _endpoint(self, handle: Handler) -> Endpoint:
        return Endpoint("orders", self.watching.watched(self.route, self.route.path, handle), Metrics().route("orders"))

    @property
    def route(self) -> Route:
        return self.config.routes[0]

    def _take(self, spans: Any) -> bool:
        self.spans += spans
        return True

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Client]:
        """When it is left, all that was seen is there."""
        async with self.accesses, self.tracers, connected(self.app) as client:
            yield client


def post(*headers: str, path: str = "/orders/4711?token=hush") -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: a", "Content-Length: 2", *headers, "\r\n"]).encode() + b"{}"


async def created(exchange: Exchange) -> None:
    await exchange.answer_json(201, b"{}")


def raising(error: Exception) -> Handler:
    async def handle(exchange: Exchange) -> None:
        raise error

    return handle


TRACED = {"tracing": {"endpoint": "http://a", "sample": "0%"}}
LOGGED = {"access_log": {"sample": "100%"}}


async def test_where_nothing_is_watched_the_endpoint_is_itself() -> None:
    bridge = Watched(created)
    assert bridge.watching.watched(bridge.route, bridge.route.path, created) is created


async def test_within_a_traced_request_its_parent_is_our_span() -> None:
    seen: list[bytes | None] = []

    async def handle(exchange: Exchange) -> None:
        seen.append(exchange.header(b"traceparent"))
        seen.append(dict(exchange.headers)[b"traceparent"])
        await created(exchange)

    bridge = Watched(handle, **TRACED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}"))
        assert (await client.answer())[0] == 201
    (span,) = bridge.spans
    assert span.place.parent_id == 0x00F067AA0BA902B7
    assert seen == [f"00-4bf92f3577b34da6a3ce929d0e0e4736-{span.place.span_id:016x}-01".encode()] * 2


async def test_an_upstream_is_told_of_our_span_as_its_parent() -> None:
    passed_on: list[tuple[bytes, bytes]] = []

    async def handle(exchange: Exchange) -> None:
        passed_on.extend(request_headers(exchange))
        await created(exchange)

    bridge = Watched(handle, **TRACED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}", "tracestate: rojo=1"))
        await client.answer()
    told = [value for name, value in passed_on if name == b"traceparent"]
    assert told == [f"00-4bf92f3577b34da6a3ce929d0e0e4736-{bridge.spans[0].place.span_id:016x}-01".encode()]
    assert dict(passed_on)[b"tracestate"] == b"rojo=1"


async def test_a_span_says_what_became_of_the_request_and_nothing_its_client_wrote() -> None:
    bridge = Watched(created, **TRACED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}", "X-Request-Id: r-1"))
        await client.answer()
    (span,) = bridge.spans
    assert span.name == "POST /orders/{id}"
    assert span.attributes == {
        "http.request.method": "POST",
        "http.route": "/orders/{id}",
        "http.response.status_code": 201,
        "messaging.system": "kafka",
        "messaging.destination.name": "shop.orders",
        "stepbridge.route": "orders",
        "stepbridge.request_id": "r-1",
    }
    assert span.error is None
    assert 0 < span.ended_ns - span.began_ns < 5_000_000_000


async def test_a_request_that_is_not_sampled_leaves_no_span_but_has_its_place() -> None:
    seen: list[bytes | None] = []

    async def handle(exchange: Exchange) -> None:
        seen.append(exchange.header(b"traceparent"))
        await created(exchange)

    bridge = Watched(handle, **TRACED)
    async with bridge.client() as client:
        client.send(post())
        await client.answer()
    assert bridge.spans == []
    assert seen[0] is not None
    assert seen[0].endswith(b"-00")


@pytest.mark.parametrize(
    ("error", "status", "code", "fault"),
    [
        (Unprocessable("no"), 422, "unprocessable", None),
        (NotNow("later"), 503, "unavailable", "unavailable"),
        (OutcomeUnknown("?"), 504, "outcome_unknown", "outcome_unknown"),
        (ValueError("ours"), 500, "internal_error", "internal_error"),
    ],
)
async def test_what_is_refused_has_the_status_its_client_gets_and_only_our_faults_are_errors(
    error: Exception, status: int, code: str, fault: str | None
) -> None:
    bridge = Watched(raising(error), **TRACED, **LOGGED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}"))
        assert (await client.answer())[0] == status
    (span,) = bridge.spans
    assert (span.attributes["http.response.status_code"], span.attributes["error.type"]) == (status, code)
    assert span.error == fault
    (line,) = bridge.accesses.lines
    assert (line["why"], line["status"], line["code"]) == ("error", status, code)


async def test_an_answer_that_is_broken_off_is_an_error_of_ours() -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.begin(200, [])
        await exchange.write(b"x")
        raise NotNow("the source went away")

    bridge = Watched(handle, **TRACED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}"))
        await client.rest()
    assert bridge.spans[0].attributes["http.response.status_code"] == 200
    assert bridge.spans[0].error == "unavailable"


async def test_a_line_of_the_access_log_names_the_route_and_never_the_path_as_it_came() -> None:
    bridge = Watched(created, **LOGGED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}", "X-Request-Id: r-1"))
        await client.answer()
    (line,) = bridge.accesses.lines
    assert 0 <= line.pop("ms") < 5_000
    assert line == {
        "why": "sample",
        "route": "orders",
        "path": "/orders/{id}",
        "method": "POST",
        "status": 201,
        "client": "127.0.0.1",
        "request_id": "r-1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }


class Admitted:
    """That a caller was let in."""

    principal = Principal("key", "store-7")


async def test_a_caller_that_was_let_in_is_named_in_line_and_span() -> None:
    async def handle(exchange: Exchange) -> None:
        exchange.admission = Admitted()  # type: ignore[assignment]
        await created(exchange)

    bridge = Watched(handle, **TRACED, **LOGGED)
    async with bridge.client() as client:
        client.send(post(f"traceparent: {PARENT}"))
        await client.answer()
    assert bridge.accesses.lines[0]["caller"] == "key:store-7"
    assert bridge.spans[0].attributes["enduser.id"] == "key:store-7"


async def test_an_ack_is_named_by_its_own_path_and_may_be_slow() -> None:
    route = Route.model_validate({"route": "GET /jobs", "consume": {"topics": ["jobs"], "group": "g"}})
    bridge = Watched(created, access_log={"sample": "0%", "slow_ms": 1})

    async def handle(exchange: Exchange) -> None:
        exchange.started_s -= 9.0
        await created(exchange)

    for path in ("/jobs", "/jobs/ack"):
        bridge.app.table = RouteTable.build(
            [("POST", path, Endpoint("g", bridge.watching.watched(route, path, handle), Metrics().route("g")))]
        )
        async with connected(bridge.app) as client:
            client.send(post(path=path))
            await client.answer()
    async with bridge.accesses, bridge.tracers:
        pass
    assert [(line["path"], line["why"]) for line in bridge.accesses.lines] == [("/jobs/ack", "slow")]


async def test_a_request_that_matches_no_route_gets_a_line_with_its_path_and_without_its_query() -> None:
    bridge = Watched(created, **LOGGED)
    async with bridge.client() as client:
        client.send(post(path="/odrers/" + "9" * 300 + "?token=hush"))
        assert (await client.answer())[0] == 404
    (line,) = bridge.accesses.lines
    assert line["path"] == "/odrers/" + "9" * 192
    assert (line["status"], line["code"]) == (404, "no_route")


async def test_a_client_that_goes_before_its_answer_gets_a_line_that_says_so() -> None:
    async def handle(exchange: Exchange) -> None:
        await exchange.piece()
        await exchange.connection.gone()
        await exchange.piece()

    bridge = Watched(handle, **LOGGED)
    async with bridge.client() as client:
        client.send(post()[:-1])
        client.send(b"}")
        client.close()
    (line,) = bridge.accesses.lines
    assert (line["status"], line["code"]) == (0, "client_gone")


async def test_both_can_watch_and_say_what_they_are() -> None:
    bridge = Watched(created, **TRACED, **LOGGED)
    watched = bridge.watching.watched(bridge.route, bridge.route.path, created)
    assert isinstance(watched, TracedEndpoint)
    assert "TracedEndpoint orders" in repr(watched)
    assert "LoggedEndpoint orders" in repr(LoggedEndpoint(created, bridge.accesses, bridge.route, "/a"))
    async with bridge.accesses, bridge.tracers:
        pass
