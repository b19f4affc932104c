"""One request as a trace: into the bridge, through a record's headers to a reader, and as a span at the collector."""

import json
import uuid
from typing import Any

from tests.bridge import Bridge, StartBridge
from tests.collector import attributes, collecting
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
            posted = await http.post("/orders/1", json={}, headers={"traceparent": PARENT, "tracestate": STATE})
            assert posted.status_code == 201, posted.text
            unsampled = await http.post("/orders/2", json={})
            assert unsampled.status_code == 201, unsampled.text
            missed = await http.get("/odrers?token=hush", headers={"traceparent": PARENT, "x-request-id": "lost-1"})
            assert missed.status_code == 404
            (span,) = await collector.have(1)
            page = await http.get("/orders", params={"wait": 5, "max": 1})
        (line,) = await _lines(running)
        await until(lambda: _counted(running, 'stepbridge_spans_total{outcome="exported"}', 1))
        await until(lambda: _counted(running, 'stepbridge_access_lines_total{outcome="written"}', 1))
        assert await running.stop() == 0
    assert collector.services == {"shop"}
    assert (span.trace_id.hex(), span.parent_span_id.hex(), span.name) == (TRACE, PARENT[36:52], "POST /orders/{id}")
    assert attributes(span)["stepbridge.request_id"] == posted.headers["x-request-id"]
    (record,) = page.json()["records"]
    assert record["headers"] == [["traceparent", f"00-{TRACE}-{span.span_id.hex()}-01"], ["tracestate", STATE]]
    assert (line["status"], line["path"], line["request_id"], line["trace_id"]) == (404, "/odrers", "lost-1", TRACE)


async def _lines(running: Bridge) -> list[dict[str, Any]]:
    """The access log's lines, once there is one: they are written twice a second."""

    async def written() -> bool:
        return bool(lines(running, "request"))

    await until(written)
    return lines(running, "request")


async def _counted(running: Bridge, name: str, count: int) -> bool:
    async with client(running.admin_url) as admin:
        return f"{name} {float(count)}" in (await admin.get("/metrics")).text.splitlines()
