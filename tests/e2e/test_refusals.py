"""Every refusal is problem+json with a stable code, names the request, and nothing is written."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.client import client
from tests.e2e.configuration import produce
from tests.e2e.records import written
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 0, 2: 2}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def refusing(module_bridge: SharedBridge, kafka: Kafka) -> AsyncIterator[str]:
    """The URL of routes that write to one topic, into which nothing gets in the whole module."""
    (module_bridge.process.config_path.parent / "sku.json").write_text(json.dumps({"required": ["sku"]}))
    topic = module_bridge.topic()
    await module_bridge.add(
        produce("POST /any", topic, limits={"max_body_bytes": 1_000}),
        produce("PUT /any", topic),
        produce("POST /keyed/{store}", topic, key="{path.store}:{body.sku}", headers={"agent": "{header.x-agent}"}),
        produce("POST /query", topic, key="{query.a}"),
        produce("POST /schema", topic, schema="sku.json"),
        produce("POST /xml", topic, content_types=["application/xml", "text/xml"]),
        produce("POST /placed", topic, partition="{body.partition}", timestamp="{body.at}"),
        produce("POST /taken", module_bridge.topic(), limits={"max_body_bytes": 1_000}),
    )
    yield module_bridge.base_url
    assert await written(kafka, topic) == 0


@pytest_asyncio.fixture
async def http(refusing: str) -> AsyncIterator[httpx.AsyncClient]:
    async with client(refusing) as one:
        yield one


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The problem document, checked for what every one has."""
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code), document
    assert document["title"]
    assert document["detail"]
    assert document["type"] == "about:blank"
    assert document["request_id"] == answer.headers["x-request-id"]
    return document


KEYED = {"content-type": JSON, "x-agent": "till"}


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "code"),
    [
        ("POST", "/nowhere", b"{}", {}, 404, "no_route"),
        ("POST", "/any/", b"{}", {}, 404, "no_route"),
        ("POST", "/keyed/a%2", b"{}", KEYED, 404, "no_route"),
        ("POST", "/keyed/%2E%2E", b'{"sku": 1}', KEYED, 400, "ambiguous_path"),
        ("POST", "/keyed/%ff", b'{"sku": 1}', KEYED, 404, "no_route"),
        ("GET", "/any", b"", {}, 405, "method_not_allowed"),
        ("HEAD", "/any", b"", {}, 405, "method_not_allowed"),
        ("POST", "/any", b"x" * 1_001, {}, 413, "too_large"),
        ("POST", "/xml", b"<a/>", {}, 415, "unsupported_media_type"),
        ("POST", "/xml", b"<a/>", {"content-type": JSON}, 415, "unsupported_media_type"),
        ("POST", "/keyed/a", b"<a/>", {"content-type": "text/xml", "x-agent": "a"}, 415, "unsupported_media_type"),
        ("POST", "/schema", b"sku=1", {"content-type": FORM}, 415, "unsupported_media_type"),
        ("POST", "/keyed/a", b"\x1f\x8b\x08", KEYED | {"content-encoding": "gzip"}, 400, "bad_encoding"),
        ("POST", "/keyed/a", b"{}", KEYED | {"content-encoding": "br"}, 415, "unsupported_encoding"),
        ("POST", "/keyed/a", b"", KEYED, 400, "not_json"),
        ("POST", "/keyed/a", b'{"sku": 1} x', KEYED, 400, "not_json"),
        ("POST", "/keyed/a", b'{"sku": NaN}', KEYED, 400, "not_json"),
        ("POST", "/keyed/a", b'{"sku": "\xff"}', KEYED, 400, "not_json"),
        ("POST", "/keyed/a", b"[" * 100_000, KEYED, 400, "not_json"),
        ("POST", "/keyed/a", b"sku=%ff", KEYED | {"content-type": FORM}, 400, "bad_form"),
        ("POST", "/query?a=%ff", b"", {}, 400, "malformed_request"),
        ("POST", "/schema", b"{}", {"content-type": JSON}, 422, "schema_violation"),
        ("POST", "/schema", b"{", {"content-type": JSON}, 400, "not_json"),
        ("POST", "/keyed/a", b"{}", KEYED, 422, "field_missing"),
        ("POST", "/keyed/a", b'{"sku": null}', KEYED, 422, "field_missing"),
        ("POST", "/keyed/a", b"17", KEYED, 422, "field_missing"),
        ("POST", "/keyed/a", b'{"sku": 1}', {"content-type": JSON}, 422, "field_missing"),
        ("POST", "/query?b=1", b"", {}, 422, "field_missing"),
        ("POST", "/keyed/a", b'{"sku": {"a": 1}}', KEYED, 422, "field_invalid"),
        ("POST", "/keyed/a", b'{"sku": [1]}', KEYED, 422, "field_invalid"),
        ("POST", "/keyed/a", b'{"sku": "a\\r\\nb"}', KEYED, 422, "field_invalid"),
        ("POST", "/keyed/a", b'{"sku": "a\\u0000b"}', KEYED, 422, "field_invalid"),
        ("POST", "/keyed/a%0Ab", b'{"sku": 1}', KEYED, 422, "field_invalid"),
        ("POST", "/query?a=x%0D%0Ay", b"", {}, 422, "field_invalid"),
        ("POST", "/keyed/a", b'{"sku": "' + b"x" * 1_100 + b'"}', KEYED, 422, "field_invalid"),
        ("POST", "/keyed/a", b'{"sku": 1}', KEYED | {"x-agent": "x" * 1_100}, 422, "field_invalid"),
        ("POST", "/placed", b'{"partition": 2, "at": 1}', {}, 422, "field_invalid"),
        ("POST", "/placed", b'{"partition": -1, "at": 1}', {}, 422, "field_invalid"),
        ("POST", "/placed", b'{"partition": 0, "at": "yesterday"}', {}, 422, "field_invalid"),
        ("POST", "/placed", b'{"partition": 0, "at": "2024-01-01T00:00:00"}', {}, 422, "field_invalid"),
    ],
)
async def test_a_request_that_makes_no_record_is_refused_with_its_reason(
    method: str, path: str, body: bytes, headers: Mapping[str, str], status: int, code: str, http: httpx.AsyncClient
) -> None:
    answer = await http.request(method, path, content=body, headers=headers)
    if method == "HEAD":
        assert (answer.status_code, answer.content) == (status, b"")
    else:
        problem(answer, status, code)


async def test_405_lists_the_methods_of_the_path(http: httpx.AsyncClient) -> None:
    answer = await http.delete("/any")
    assert sorted(answer.headers["allow"].replace(" ", "").split(",")) == ["POST", "PUT"]


async def test_unreadable_json_is_refused_with_its_place(http: httpx.AsyncClient) -> None:
    refused = problem(await http.post("/schema", content=b'{"a": 1,\n  "b": x}'), 400, "not_json")
    assert (refused["line"], refused["column"]) == (2, 8)


async def test_all_missing_fields_are_told_at_once(http: httpx.AsyncClient) -> None:
    refused = problem(await http.post("/keyed/a", content=b"{}"), 422, "field_missing")
    assert [error.get("pointer") or error.get("field") for error in refused["errors"]] == ["/sku", "header.x-agent"]


async def test_413_tells_the_limit(http: httpx.AsyncClient) -> None:
    assert problem(await http.post("/any", content=b"x" * 1_001), 413, "too_large")["limit_bytes"] == 1_000


async def test_a_body_as_large_as_the_limit_is_taken(http: httpx.AsyncClient) -> None:
    assert (await http.post("/taken", content=b"x" * 1_000)).status_code == 201


async def test_the_clients_request_id_comes_back_in_header_and_problem(http: httpx.AsyncClient) -> None:
    answer = await http.post("/nowhere", headers={"x-request-id": "till-7_a.3"})
    assert answer.headers["x-request-id"] == "till-7_a.3"
    problem(answer, 404, "no_route")


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "<script>"])
async def test_a_request_id_that_could_do_harm_is_replaced(given: str, http: httpx.AsyncClient) -> None:
    answer = await http.post("/nowhere", headers={"x-request-id": given})
    assert answer.headers["x-request-id"] not in ("", given)


async def test_a_success_has_a_request_id_too(http: httpx.AsyncClient) -> None:
    ids = [(await http.post("/taken")).headers["x-request-id"] for _ in range(3)]
    assert len(set(ids)) == 3
    given = await http.post("/taken", headers={"x-request-id": "mine"})
    assert (given.status_code, given.headers["x-request-id"]) == (201, "mine")
