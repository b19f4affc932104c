"""One request as a trace: into the bridge, through a record's headers to a reader, and as a span at the collector."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from aiohttp import web
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.bridge import Bridge, StartBridge
from tests.collector import Collector, attributes, collecting
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.records import until
from tests.kafka.cluster import Kafka

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
STATE = "rojo=00f067aa0ba902b7"


def lines(bridge: Bridge, event: str) -> list[dict[str, Any]]:
    """The log's lines of one event."""
    return [line for line in map(json.loads, bridge.log.splitlines()) if line["event"] == event]


async def test_a_trace_goes_through_the_record_to_its_reader_and_its_spans_to_the_collector(
    kafka: Kafka, bridge: StartBridge
) -> None:
    """With two workers: whichever takes the request, its span comes from there, and the numbers are of both."""
    topic = f"e2e-trace-{uuid.uuid4().hex[:8]}"
    await kafka.create_topic(topic)
    async with collecting() as collector:
        observe = {
            "log_format": "json",
            "tracing": {"endpoint": collector.endpoint, "sample": "0%", "service_name": "shop"},
            "access_log": {"sample": "0%", "slow_ms": 60_000},
        }
        routes = (produce("POST /orders/{id}", topic), consume("GET /orders", topic, from_="earliest"))
        running = await bridge(config(kafka, *routes, observe=observe), workers=2)
        async with client(running.base_url) as http:
            posted = await _created(http, {"traceparent": PARENT, "tracestate": STATE})
            await _created(http, {})  # begins a trace, which is not sampled
            missed = await http.get("/odrers?token=hush", headers={"traceparent": PARENT, "x-request-id": "lost-1"})
            assert missed.status_code == 404
            span = await _span(collector, posted.headers["x-request-id"])
            page = await http.get("/orders", params={"wait": 5, "max": 1})
        (line,) = [line for line in await _lines(running) if line["status"] == 404]
        spans, written = (
            'stepbridge_spans_total{outcome="exported"}',
            'stepbridge_access_lines_total{outcome="written"}',
        )
        await until(lambda: _counted(running, spans, len(collector.spans)))
        await until(lambda: _counted(running, written, len(lines(running, "request"))))
        assert await running.stop() == 0
    assert {got.trace_id.hex() for got in collector.spans} == {TRACE}
    assert collector.services == {"shop"}
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, PARENT[36:52], "POST /orders/{id}")
    (record,) = page.json()["records"]
    assert record["headers"] == [["traceparent", f"00-{TRACE}-{span.span_id.hex()}-01"], ["tracestate", STATE]]
    assert (line["status"], line["path"], line["request_id"], line["trace_id"]) == (404, "/odrers", "lost-1", TRACE)


@asynccontextmanager
async def upstream(seen: list[str]) -> AsyncIterator[str]:
    """A service that notes the `traceparent` of what it is asked; its address."""

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.headers["traceparent"])
        return web.Response(text="as ever")

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_trace_goes_on_to_an_upstream_with_our_span_as_its_parent(kafka: Kafka, bridge: StartBridge) -> None:
    seen: list[str] = []
    async with collecting() as collector, upstream(seen) as url:
        observe = {"tracing": {"endpoint": collector.endpoint}}
        route = {"route": "* /{rest...}", "upstream": "shop"}
        running = await bridge(config(kafka, route, observe=observe, upstreams={"shop": {"url": url}}))
        async with client(running.base_url) as http:
            passed = await http.get("/old", headers={"traceparent": PARENT})
            assert (passed.status_code, passed.text) == (200, "as ever")
        (span,) = await collector.have(1)
    assert seen == [f"00-{TRACE}-{span.span_id.hex()}-01"]
    assert (span.parent_span_id.hex(), span.name) == (PARENT[36:52], "GET /{rest...}")


async def _created(http: httpx.AsyncClient, headers: dict[str, str]) -> httpx.Response:
    """The answer once it is 201: a worker that has just started may not have reached Kafka yet."""
    answers: list[httpx.Response] = []

    async def is_created() -> bool:
        answers.append(await http.post("/orders/1", json={}, headers=headers))
        return answers[-1].status_code == 201

    await until(is_created)
    return answers[-1]


async def _span(collector: Collector, request_id: str) -> Span:
    found: list[Span] = []

    async def is_there() -> bool:
        found.extend(span for span in collector.spans if attributes(span)["stepbridge.request_id"] == request_id)
        return bool(found)

    await until(is_there)
    return found[0]


async def _lines(running: Bridge) -> list[dict[str, Any]]:
    """The access log's lines, once that of the 404 is there: they are written twice a second."""

    async def written() -> bool:
        return any(line["status"] == 404 for line in lines(running, "request"))

    await until(written)
    return lines(running, "request")


async def _counted(running: Bridge, name: str, count: int) -> bool:
    async with client(running.admin_url) as admin:
        return f"{name} {float(count)}" in (await admin.get("/metrics")).text.splitlines()
