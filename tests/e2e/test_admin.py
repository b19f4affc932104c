"""The admin side of a running bridge: health, metrics that count what was done, the routes as OpenAPI, the groups."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest_asyncio
import schemathesis
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from tests.bridge import StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.conftest import StartWork
from tests.e2e.events import sse
from tests.e2e.records import Put, numbered, until
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port

OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


@pytest_asyncio.fixture
async def admin(shared: SharedBridge) -> AsyncIterator[httpx.AsyncClient]:
    async with client(shared.admin_url) as one:
        yield one


async def number(admin: httpx.AsyncClient, name: str, **labels: str) -> float:
    """One sample of the metrics as they are now; 0 while there is none."""
    text = (await admin.get("/metrics")).text
    samples = [sample for family in parser.text_string_to_metric_families(text) for sample in family.samples]
    found = [sample.value for sample in samples if sample.name == name and sample.labels == labels]
    assert len(found) <= 1, found
    return found[0] if found else 0.0


# ---- health


async def test_health_and_readiness_are_answered(admin: httpx.AsyncClient) -> None:
    assert (await admin.get("/healthz")).status_code == 200
    assert (await admin.get("/readyz")).status_code == 200
    strict = await admin.get("/readyz?strict=1")
    assert strict.status_code == 200
    assert {"name": "kafka", "up": True, "detail": ""} in strict.json()["dependencies"]


async def test_without_kafka_the_bridge_is_ready_and_strictly_speaking_not(bridge: StartBridge) -> None:
    nowhere = Kafka.at(f"127.0.0.1:{free_port()}")
    running = await bridge(config(nowhere, produce("POST /w", "t", timeout_ms=500), consume("GET /r", "t", group="g")))
    async with client(running.admin_url) as admin, client(running.base_url) as http:
        assert (await admin.get("/healthz")).status_code == 200
        assert (await admin.get("/readyz")).status_code == 200
        strict = await admin.get("/readyz?strict=1")
        assert strict.status_code == 503
        assert [each["up"] for each in strict.json()["dependencies"] if each["name"] == "kafka"] == [False]
        routes = (await admin.get("/admin/routes")).json()["routes"]
        assert {route["state"] for route in routes} == {"kafka_unavailable"}
        for answer in [await http.post("/w"), await http.get("/r?wait=1")]:
            assert (answer.status_code, answer.json()["code"]) == (503, "kafka_unavailable")
            assert "retry-after" in answer.headers
        assert await number(admin, "stepbridge_kafka_up") == 0


async def test_a_missing_topic_is_told_of_its_route_alone(
    shared: SharedBridge, admin: httpx.AsyncClient, topic: str, name: str
) -> None:
    await shared.add(produce("POST /there", topic), produce("POST /missing", name))

    async def is_told() -> bool:
        routes = (await admin.get("/admin/routes")).json()["routes"]
        states = {route["path"]: route["state"] for route in routes}
        return (states["/there"], states["/missing"]) == ("serving", "topic_missing")

    await until(is_told, within_s=5)
    strict = await admin.get("/readyz?strict=1")
    assert strict.status_code == 503
    assert name in strict.text


# ---- metrics


async def test_metrics_are_prometheus_text_and_openmetrics(admin: httpx.AsyncClient) -> None:
    text = await admin.get("/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    plain = {family.name for family in parser.text_string_to_metric_families(text.text)}
    modern = await admin.get("/metrics", headers={"accept": OPENMETRICS})
    assert modern.headers["content-type"].startswith("application/openmetrics-text")
    assert modern.text.endswith("# EOF\n")
    families = {family.name for family in openmetrics.text_string_to_metric_families(modern.text)}  # type: ignore[no-untyped-call]
    assert {"stepbridge_requests", "stepbridge_records", "stepbridge_ready"} <= families & plain


async def test_what_was_written_is_counted_by_route_and_outcome(
    shared: SharedBridge, http: httpx.AsyncClient, admin: httpx.AsyncClient, topic: str
) -> None:
    route = produce("POST /counted", topic, key="{query.k}", limits={"max_body_bytes": 100}) | {"name": "counted"}
    await shared.add(route)
    for _ in range(3):
        assert (await http.post("/counted?k=1", content=b"12345")).status_code == 201
    assert (await http.post("/counted", content=b"12345")).status_code == 422
    assert (await http.post("/counted?k=1", content=b"x" * 101)).status_code == 413
    for status, count in (("201", 3), ("422", 1), ("413", 1)):
        assert await number(admin, "stepbridge_requests_total", route="counted", status=status) == count
    written = {"route": "counted", "direction": "in", "outcome": "written"}
    assert await number(admin, "stepbridge_records_total", **written) == 3
    assert await number(admin, "stepbridge_bytes_total", **written) == 15
    assert await number(admin, "stepbridge_records_total", **written | {"outcome": "refused"}) >= 1
    assert await number(admin, "stepbridge_produce_seconds_count", route="counted", outcome="written") == 3
    assert await number(admin, "stepbridge_request_seconds_count", route="counted") == 5
    assert await number(admin, "stepbridge_requests_in_flight", route="counted") == 0
    assert await number(admin, "stepbridge_produce_queue_records", topic=topic) == 0


async def test_what_matches_no_route_is_counted_without_its_path(
    http: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    before = await number(admin, "stepbridge_requests_total", route="(none)", status="404")
    for path in ("/wp-login.php", "/.env"):
        await http.get(path)
    assert await number(admin, "stepbridge_requests_total", route="(none)", status="404") == before + 2
    assert "wp-login" not in (await admin.get("/metrics")).text


async def test_reading_is_counted_lag_leases_deliveries_and_open_streams(
    work: StartWork, admin: httpx.AsyncClient
) -> None:
    one = await work(*(Put(b"%d" % n, partition=n % 2) for n in range(10)), partitions=2, lease_ms=60_000)
    route = f"get-{one.topic}"
    polled = [await one.reader.poll(most=4) for _ in range(2)]
    assert await number(admin, "stepbridge_group_leases_out", group=one.group) == 8
    await one.reader.ack(polled[0].lease, release="all")
    again = await one.reader.poll(most=4)
    await one.reader.accept(again.lease)
    await one.reader.accept(polled[1].lease)
    assert await number(admin, "stepbridge_group_redeliveries_total", group=one.group) == len(
        [count for count in again.deliveries if count > 1]
    )
    lags = [
        await number(admin, "stepbridge_group_lag_records", group=one.group, topic=one.topic, partition=partition)
        for partition in "01"
    ]
    assert sum(lags) >= 2
    delivered = {"route": route, "direction": "out", "outcome": "delivered"}
    assert await number(admin, "stepbridge_records_total", **delivered) == 12
    async with sse(one.reader.http, one.path) as events:
        await anext(events)
        assert await number(admin, "stepbridge_open_streams", route=route) == 1

    async def is_closed() -> bool:
        return await number(admin, "stepbridge_open_streams", route=route) == 0

    await until(is_closed, within_s=5)


# ---- routes, groups


async def test_admin_routes_tell_what_is_configured_and_what_was_answered(
    shared: SharedBridge, http: httpx.AsyncClient, admin: httpx.AsyncClient, topic: str
) -> None:
    await shared.add(produce("POST /here/{x}", topic, key="{path.x}") | {"name": "here"})
    await http.post("/here/1")
    (found,) = [route for route in (await admin.get("/admin/routes")).json()["routes"] if route["name"] == "here"]
    expected = {"method": "POST", "path": "/here/{x}", "kind": "produce", "topics": [topic], "state": "serving"}
    assert expected.items() <= found.items()
    assert found["requests"] == {"201": 1}


async def test_admin_groups_tell_partitions_leases_and_lag(work: StartWork, admin: httpx.AsyncClient) -> None:
    one = await work(*numbered(10), lease_ms=60_000)
    polled = await one.reader.poll(most=4)
    await one.reader.accept(polled.lease, polled.ids[:3])
    group = await the_group(admin, one.group)
    assert group["leases_out"] == 1
    assert group["lag"] == 7
    (partition,) = group["partitions"]
    known = {"topic": one.topic, "partition": 0, "committable": 3, "end": 10, "lag": 7}
    assert (known | {"leases_out": 1, "holes": 0, "dead_waiting": 0, "owner": None}).items() <= partition.items()
    [member] = group["members"]
    assert (member["is_here"], member["is_reachable"], member["partitions"]) == (True, True, [f"{one.topic}:0"])
    assert group["oldest_lease_s"] >= 0


async def the_group(admin: httpx.AsyncClient, name: str) -> dict[str, Any]:
    (found,) = [each for each in (await admin.get("/admin/groups")).json()["groups"] if each["group"] == name]
    assert isinstance(found, dict)
    return found


async def test_openapi_is_valid_and_has_the_configured_routes(
    shared: SharedBridge, admin: httpx.AsyncClient, topic: str
) -> None:
    await shared.add(
        produce("POST /stores/{store}/stock", topic, key="{path.store}:{body.sku}"),
        consume("GET /changes", topic, group="a-group"),
    )
    document = (await admin.get("/openapi.json")).json()
    schemathesis.openapi.from_dict(document).validate()
    assert document["openapi"].startswith("3.1")
    assert "post" in document["paths"]["/stores/{store}/stock"]
    assert "get" in document["paths"]["/changes"]
    assert "post" in document["paths"]["/changes/ack"]


# ---- refusals of its own


async def test_the_admin_side_refuses_like_the_rest(admin: httpx.AsyncClient) -> None:
    for answer, status in (
        (await admin.get("/nowhere"), 404),
        (await admin.get("/admin/reload"), 405),
        (await admin.post("/healthz"), 405),
        (await admin.post("/admin/reload", content=b"x" * 5_000), 413),
        (await admin.post("/admin/reload", headers={"origin": "https://elsewhere.example"}), 403),
    ):
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"]


async def test_the_public_port_has_nothing_of_the_admin_side(http: httpx.AsyncClient) -> None:
    for path in ("/metrics", "/healthz", "/admin/routes", "/openapi.json"):
        assert (await http.get(path)).status_code == 404
