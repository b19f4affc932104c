"""An OpenTelemetry collector as far as a test needs one: it takes OTLP over HTTP, and keeps the spans."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


@dataclass
class Collector:
    """`endpoint` is for the configuration. `status` is what it answers."""

    endpoint: str = ""
    status: int = 200
    spans: list[Span] = field(default_factory=list)
    services: set[str] = field(default_factory=set)
    requests: int = 0

    async def take(self, request: web.Request) -> web.Response:
        self.requests += 1
        if self.status != 200:
            return web.Response(status=self.status)
        export = ExportTraceServiceRequest.FromString(await request.read())
        for of_service in export.resource_spans:
            named = {each.key: each.value.string_value for each in of_service.resource.attributes}
            self.services.add(named["service.name"])
            self.spans += [span for of_scope in of_service.scope_spans for span in of_scope.spans]
        body = ExportTraceServiceResponse().SerializeToString()
        return web.Response(body=body, content_type="application/x-protobuf")

    async def have(self, count: int, within_s: float = 10.0) -> list[Span]:
        """Its spans, once there are so many."""
        async with asyncio.timeout(within_s):
            while len(self.spans) < count:
                await asyncio.sleep(0.01)
        return self.spans


def attributes(span: Span) -> dict[str, str | int]:
    return {
        each.key: each.value.string_value if each.value.HasField("string_value") else each.value.int_value
        for each in span.attributes
    }


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    collector = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", collector.take)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    collector.endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield collector
    finally:
        await runner.cleanup()
