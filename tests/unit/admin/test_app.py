"""The admin side over HTTP, in front of a scripted bridge."""

import base64
import hashlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.admin.app import admin_app
from proxy.admin.operations import (
    AddressState,
    Dependency,
    GroupState,
    MemberState,
    PartitionState,
    RouteState,
    UpstreamState,
)
from proxy.config.mistake import ConfigMistakes, Mistake
from tests.unit.admin.scripted import ScriptedOperations


@pytest.fixture
def operations() -> ScriptedOperations:
    return ScriptedOperations()


@pytest.fixture
async def admin(operations: ScriptedOperations) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(admin_app(operations), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://admin:9090") as client:
        yield client


def assert_problem(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert (document["status"], document["code"]) == (status, code)
    assert document["title"]
    assert document["detail"]


# ---- health


async def test_healthy_is_whatever_answers(admin: httpx.AsyncClient, operations: ScriptedOperations) -> None:
    operations.is_ready = False
    answer = await admin.get("/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_ready_does_not_ask_for_kafka(admin: httpx.AsyncClient, operations: ScriptedOperations) -> None:
    operations.needs = [Dependency("kafka", up=False, detail="no broker answers")]
    answer = await admin.get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ready"})


@pytest.mark.parametrize("query", ["", "?strict=0", "?strict=1"])
async def test_before_serving_and_while_draining_it_is_not_ready(
    admin: httpx.AsyncClient, operations: ScriptedOperations, query: str
) -> None:
    operations.is_ready = False
    answer = await admin.get(f"/readyz{query}")
    assert_problem(answer, 503, "not_ready")
    assert answer.headers["retry-after"] == "1"


async def test_strictly_ready_gives_the_state_of_each_dependency(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/readyz?strict=1")
    assert answer.status_code == 200
    assert answer.json() == {"status": "ready", "dependencies": [{"name": "kafka", "up": True, "detail": ""}]}


async def test_strictly_ready_is_503_if_one_dependency_is_missing_and_names_it(
    admin: httpx.AsyncClient, operations: ScriptedOperations
) -> None:
    operations.needs = [Dependency("kafka", up=True), Dependency("topic orders", up=False, detail="create it")]
    answer = await admin.get("/readyz?strict=1")
    assert_problem(answer, 503, "not_ready")
    assert answer.json()["detail"] == "Missing: topic orders."
    assert [one["up"] for one in answer.json()["dependencies"]] == [True, False]


# ---- metrics and states


async def test_metrics_are_prometheus_text_or_openmetrics_as_asked(
    admin: httpx.AsyncClient, operations: ScriptedOperations
) -> None:
    operations.metrics.route("post-orders").answered(201, 0.002)
    plain = await admin.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'stepbridge_requests_total{route="post-orders",status="201"} 1.0' in plain.text
    opened = await admin.get("/metrics", headers={"accept": "application/openmetrics-text"})
    assert opened.headers["content-type"].startswith("application/openmetrics-text")
    assert opened.text.endswith("# EOF\n")


async def test_routes_are_listed_in_the_files_order_with_state_and_counts(
    admin: httpx.AsyncClient, operations: ScriptedOperations
) -> None:
    route = operations.metrics.route("post-orders")
    route.answered(201, 0.002)
    route.answered(503, 0.001)
    route.in_flight = 3
    operations.route_states = {"get-orders-feed": RouteState("topic_missing", "create orders")}
    answer = await admin.get("/admin/routes")
    assert answer.json() == {
        "routes": [
            {
                "name": "post-orders",
                "method": "POST",
                "path": "/orders",
                "upstream": None,
                "kind": "produce",
                "topics": ["orders"],
                "group": None,
                "state": "serving",
                "detail": "",
                "migration": None,
                "requests": {"201": 1, "503": 1},
                "in_flight": 3,
                "open_streams": 0,
            },
            {
                "name": "get-orders-feed",
                "method": "GET",
                "path": "/orders/feed",
                "upstream": None,
                "kind": "consume",
                "topics": ["orders"],
                "group": "shops",
                "state": "topic_missing",
                "detail": "create orders",
                "migration": None,
                "requests": {},
                "in_flight": 0,
                "open_streams": 0,
            },
        ]
    }


async def test_groups_are_listed_with_their_partitions_and_the_lag_that_is_known(
    admin: httpx.AsyncClient, operations: ScriptedOperations
) -> None:
    known = PartitionState("orders", 0, 90, 100, 10, "a:1", leases_out=4, oldest_lease_s=1.5, holes=2, open_records=9)
    unknown = PartitionState("orders", 1, owner="b:1")
    members = [
        MemberState("a:1", True, True, ["orders:0"], waiting=2, streams=1, is_joined=True, is_fenced=False),
        MemberState("b:1", False, False, ["orders:1"]),
    ]
    operations.group_states = [
        GroupState("shops", [known, unknown], 4, 1.5, waiting=2, redeliveries=1, streams=1, members=members),
        GroupState("auditors", [], leases_out=0, oldest_lease_s=None, waiting=0, redeliveries=0),
    ]
    auditors, shops = (await admin.get("/admin/groups")).json()["groups"]
    assert auditors["group"] == "auditors"
    assert shops == {
        "group": "shops",
        "partitions": [
            {
                "topic": "orders",
                "partition": 0,
                "committable": 90,
                "end": 100,
                "lag": 10,
                "owner": "a:1",
                "leases_out": 4,
                "oldest_lease_s": 1.5,
                "holes": 2,
                "open_records": 9,
                "dead_waiting": None,
            },
            {
                "topic": "orders",
                "partition": 1,
                "committable": None,
                "end": None,
                "lag": None,
                "owner": "b:1",
                **dict.fromkeys(("leases_out", "oldest_lease_s", "holes", "open_records", "dead_waiting")),
            },
        ],
        "leases_out": 4,
        "oldest_lease_s": 1.5,
        "waiting": 2,
        "redeliveries": 1,
        "is_joined": True,
        "is_fenced": False,
        "trouble": None,
        "rejected": 0,
        "discarded": 0,
        "dead_letters": 0,
        "renewed": 0,
        "dead_waiting": 0,
        "streams": 1,
        "members": [
            {
                "address": "a:1",
                "is_here": True,
                "is_reachable": True,
                "partitions": ["orders:0"],
                "waiting": 2,
                "streams": 1,
                "is_joined": True,
                "is_fenced": False,
                "trouble": None,
            },
            {
                "address": "b:1",
                "is_here": False,
                "is_reachable": False,
                "partitions": ["orders:1"],
                **dict.fromkeys(("waiting", "streams", "is_joined", "is_fenced", "trouble")),
            },
        ],
        "lag": 10,
    }


async def test_the_configured_routes_are_described_as_openapi(admin: httpx.AsyncClient) -> None:
    document = (await admin.get("/openapi.json")).json()
    assert document["openapi"] == "3.1.0"
    assert set(document["paths"]) == {"/orders", "/orders/feed", "/orders/feed/ack"}


# ---- control


async def test_a_reload_says_what_changed(admin: httpx.AsyncClient, operations: ScriptedOperations) -> None:
    operations.next_reload = ["route post-orders: changed"]
    answer = await admin.post("/admin/reload")
    assert (answer.status_code, answer.json()) == (200, {"changed": ["route post-orders: changed"]})


async def test_a_bad_file_is_refused_with_all_its_mistakes(
    admin: httpx.AsyncClient, operations: ScriptedOperations
) -> None:
    operations.next_reload = ConfigMistakes(Mistake("b.yaml", line, 3, "routes[0]", "is wrong") for line in (4, 9))
    answer = await admin.post("/admin/reload")
    assert_problem(answer, 422, "bad_configuration")
    assert answer.json()["mistakes"] == ["b.yaml:4:3: routes[0]: is wrong", "b.yaml:9:3: routes[0]: is wrong"]


async def test_another_sites_page_cannot_reload(admin: httpx.AsyncClient, operations: ScriptedOperations) -> None:
    for origin in ("http://evil.example", "null", "http://admin:9091"):
        assert_problem(await admin.post("/admin/reload", headers={"origin": origin}), 403, "foreign_origin")
    assert operations.reloads == 0
    assert (await admin.post("/admin/reload", headers={"origin": "http://admin:9090"})).status_code == 200


async def test_a_body_is_refused_unread(admin: httpx.AsyncClient, operations: ScriptedOperations) -> None:
    read = 0

    async def counted() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield b"x"

    assert_problem(await admin.post("/admin/reload", content=b"x" * 1_025), 413, "too_large")
    chunked = {"transfer-encoding": "chunked"}
    assert_problem(await admin.post("/admin/reload", content=counted(), headers=chunked), 413, "too_large")
    assert (read, operations.reloads) == (0, 0)


# ---- the edges


async def test_an_unknown_path_is_a_problem(admin: httpx.AsyncClient) -> None:
    assert_problem(await admin.get("/nothing"), 404, "no_route")


async def test_a_wrong_method_is_a_problem_that_names_the_right_one(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/admin/reload")
    assert_problem(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "POST"


async def test_our_own_failure_is_a_problem_without_its_insides(
    admin: httpx.AsyncClient, operations: ScriptedOperations, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> bool:
        raise RuntimeError("secret insides")

    monkeypatch.setattr(operations, "ready", broken)
    answer = await admin.get("/readyz")
    assert_problem(answer, 500, "internal_error")
    assert "secret" not in answer.text


async def test_the_front_page_links_only_what_is_served_and_needs_nothing_from_elsewhere(
    admin: httpx.AsyncClient,
) -> None:
    answer = await admin.get("/")
    links = re.findall(r'href="([^"]+)"', answer.text)
    assert len(links) >= 7
    for link in links:
        assert (await admin.get(link)).status_code == 200, link
    assert "<script" not in answer.text
    assert "http" not in answer.text


async def test_the_front_pages_policy_allows_its_own_style_and_nothing_else(admin: httpx.AsyncClient) -> None:
    answer = await admin.get("/")
    policy = answer.headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", answer.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize("path", ["/", "/healthz", "/metrics", "/nothing", "/openapi.json"])
async def test_every_answer_stays_out_of_caches_and_guesses(admin: httpx.AsyncClient, path: str) -> None:
    headers = (await admin.get(path)).headers
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert (headers["x-frame-options"], headers["referrer-policy"]) == ("DENY", "no-referrer")
    assert headers["cross-origin-resource-policy"] == "same-origin"


async def test_upstreams_are_shown_address_by_address(admin: httpx.AsyncClient, operations: ScriptedOperations) -> None:
    address = AddressState("http://old:1", False, True, "open", 5, 0, "Connection refused")
    operations.upstream_states = [UpstreamState("old", 0, 0, [address])]
    (shown,) = (await admin.get("/admin/upstreams")).json()["upstreams"]
    assert shown == {
        "name": "old",
        "in_use": 0,
        "waiting": 0,
        "addresses": [
            {
                "url": "http://old:1",
                "up": False,
                "healthy": True,
                "breaker": "open",
                "failed_in_a_row": 5,
                "in_use": 0,
                "trouble": "Connection refused",
            }
        ],
    }
