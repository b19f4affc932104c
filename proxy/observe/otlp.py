"""Spans as OpenTelemetry has them, sent by its SDK's exporter. The only place that knows the SDK; the extra `tracing`.

What an operator's collector needs beside the address (a token, a certificate, compression) the exporter reads from the
environment: OTEL_EXPORTER_OTLP_HEADERS, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_COMPRESSION.
"""

from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from proxy import __version__
from proxy.config.model import Tracing
from proxy.observe.span import Deliver, Span
from proxy.observe.traceparent import Place

TIMEOUT_S = 5.0  # of one export, its repeats included

_SCOPE = InstrumentationScope("stepbridge", __version__)


def delivery_to(settings: Tracing) -> Deliver:
    """What sends spans to the collector of these settings."""
    exporter = OTLPSpanExporter(endpoint=settings.endpoint, timeout=TIMEOUT_S)
    resource = Resource.create({"service.name": settings.service_name, "service.version": __version__})

    def deliver(spans: Sequence[Span]) -> bool:
        return exporter.export([readable(span, resource) for span in spans]) is SpanExportResult.SUCCESS

    return deliver


def readable(span: Span, resource: Resource) -> ReadableSpan:
    """The same as the SDK's exporters take it."""
    place = span.place
    parent = _context(place.trace_id, place.parent_id, place, is_remote=True) if place.parent_id else None
    return ReadableSpan(
        name=span.name,
        context=_context(place.trace_id, place.span_id, place),
        parent=parent,
        resource=resource,
        attributes=span.attributes,
        kind=SpanKind.SERVER,
        instrumentation_scope=_SCOPE,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(StatusCode.UNSET),
        start_time=span.began_ns,
        end_time=span.ended_ns,
    )


def _context(trace_id: int, span_id: int, place: Place, *, is_remote: bool = False) -> SpanContext:
    state = TraceState.from_header([place.state.decode()]) if place.state else TraceState()
    return SpanContext(trace_id, span_id, is_remote, TraceFlags(place.flags), state)
