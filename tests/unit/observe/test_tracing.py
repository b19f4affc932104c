"""Spans on their way to a real collector's endpoint, and what is counted of them."""

import asyncio

from opentelemetry.proto.trace.v1.trace_pb2 import Span as Exported
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from proxy.config.model import Tracing
from proxy.observe.span import Span
from proxy.observe.traceparent import place_of
from proxy.observe.tracing import Tracer, Tracers, to_collector
from tests.collector import attributes, collecting

PARENT = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HEADERS = [(b"traceparent", PARENT), (b"tracestate", b"rojo=1")]


def span(error: str | None = None) -> Span:
    attributes: dict[str, str | int] = {"http.route": "/orders", "http.response.status_code": 201}
    return Span(place_of(HEADERS, 0), "POST /orders", attributes, 1_000, 2_500, error)


def settings(endpoint: str, **said: str) -> Tracing:
    return Tracing.model_validate({"endpoint": endpoint, **said})


async def test_a_span_reaches_the_collector_with_its_place_its_times_and_its_service() -> None:
    async with collecting() as collector:
        tracer = to_collector(settings(collector.endpoint, service_name="shop-bridge"))
        sent = span()
        tracer.note(sent)
        await tracer.close()
        (got,) = collector.spans
    assert collector.services == {"shop-bridge"}
    assert (got.trace_id.hex(), got.parent_span_id.hex()) == (PARENT[3:35].decode(), PARENT[36:52].decode())
    assert int.from_bytes(got.span_id) == sent.place.span_id
    assert (got.name, got.kind, got.trace_state) == ("POST /orders", Exported.SPAN_KIND_SERVER, "rojo=1")
    assert (got.start_time_unix_nano, got.end_time_unix_nano) == (1_000, 2_500)
    assert attributes(got) == {"http.route": "/orders", "http.response.status_code": 201}
    assert got.status.code == Status.STATUS_CODE_UNSET
    assert tracer.counts() == (1, 0, 0)


async def test_a_span_of_what_went_wrong_here_is_an_error_and_names_it() -> None:
    async with collecting() as collector:
        tracer = to_collector(settings(collector.endpoint))
        tracer.note(span(error="outcome_unknown"))
        await tracer.close()
        (got,) = collector.spans
    assert (got.status.code, got.status.message) == (Status.STATUS_CODE_ERROR, "outcome_unknown")


async def test_spans_that_the_collector_does_not_take_are_counted_as_failed() -> None:
    async with collecting() as collector:
        collector.status = 400  # which says not to try again
        tracer = to_collector(settings(collector.endpoint))
        tracer.note(span())
        await tracer.close()
        assert collector.requests == 1
    assert tracer.counts() == (0, 1, 0)


async def test_what_was_counted_stays_when_the_settings_change() -> None:
    async with collecting() as collector, Tracers() as tracers:
        first = tracers.follow(settings(collector.endpoint))
        assert first is not None
        assert tracers.follow(settings(collector.endpoint)) is first
        first.note(span())
        second = tracers.follow(settings(collector.endpoint, sample="50%"))
        assert second not in (None, first)
        await collector.have(1)
        async with asyncio.timeout(5):
            while [sample.value for sample in tracers.samples()] != [1, 0, 0]:
                await asyncio.sleep(0.01)


async def test_nothing_is_told_of_spans_where_nothing_is_traced() -> None:
    async with Tracers() as tracers:
        assert tracers.follow(None) is None
        assert list(tracers.samples()) == []


async def test_the_share_of_the_settings_is_sampled() -> None:
    tracer = Tracer(settings("http://localhost:4318", sample="25%"), lambda spans: True)
    sampled = sum(tracer.place([]).is_sampled for _ in range(4_000))
    await tracer.close()
    assert 800 < sampled < 1_200
