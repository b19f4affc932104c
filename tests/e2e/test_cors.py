"""Pages of other origins: preflights, who may see what, and what stays as it was for everyone else."""

from typing import Any

import httpx
import pytest

from tests.e2e.configuration import consume, produce
from tests.e2e.events import SSE
from tests.e2e.records import numbered, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka

SHOP, STRANGER = "https://shop.example", "https://stranger.example"


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 12}


def granted(answer: httpx.Response) -> dict[str, str]:
    """What the answer says of CORS."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


async def preflight(http: httpx.AsyncClient, path: str, method: str, origin: str = SHOP) -> httpx.Response:
    headers = {"origin": origin, "access-control-request-method": method, "access-control-request-headers": "x"}
    answer = await http.request("OPTIONS", path, headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")
    assert "origin" in answer.headers["vary"]
    return answer


def with_cors(route: dict[str, Any], *origins: str, **keys: Any) -> dict[str, Any]:
    return {**route, "cors": {"origins": origins, **keys}}


async def test_a_preflight_is_answered_with_what_the_route_grants(
    shared: SharedBridge, http: httpx.AsyncClient
) -> None:
    topic = shared.topic(1)
    keys = {"headers": ["X-Api-Key"], "credentials": True, "max_age_ms": 5_000}
    await shared.add(with_cors(produce("POST /{store}/a", topic), SHOP, "http://localhost:3000", **keys))
    assert granted(await preflight(http, "/7/a", "POST")) == {
        "access-control-allow-origin": SHOP,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "POST",
        "access-control-allow-headers": "content-type, last-event-id, prefer, x-request-id, x-api-key",
        "access-control-max-age": "5",
    }
    assert granted(await preflight(http, "/7/a", "PUT")) == {}
    for origin in (STRANGER, "null", "http://shop.example", f"{SHOP}.evil", SHOP.upper(), ""):
        assert granted(await preflight(http, "/7/a", "POST", origin)) == {}


async def test_answers_and_refusals_alike_may_be_seen_by_the_routes_origins(
    shared: SharedBridge, http: httpx.AsyncClient
) -> None:
    route = with_cors(produce("POST /a", shared.topic(1), key="{body.k}"), SHOP)
    await shared.add({**route, "limits": {"rate": {"total": "100/s"}}})
    for body, status in (({"k": "1"}, 201), ({}, 422)):
        answer = await http.post("/a", json=body, headers={"origin": SHOP})
        assert answer.status_code == status
        assert granted(answer)["access-control-allow-origin"] == SHOP
        exposed = granted(answer)["access-control-expose-headers"].lower()
        for name in ("x-request-id", "ratelimit", "link", "etag", "stepbridge-lease", "retry-after"):
            assert name in exposed
        assert "origin" in answer.headers["vary"]
        assert answer.headers["ratelimit"]
        assert granted(await http.post("/a", json=body)) == {}
        stranger = await http.post("/a", json=body, headers={"origin": STRANGER})
        assert (stranger.status_code, granted(stranger)) == (status, {})
        assert "origin" in stranger.headers["vary"]


async def test_streams_polls_and_acks_of_a_group_may_be_called(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    await shared.add(with_cors(consume("GET /a", topic, group=f"group-of-{topic}"), "*"))
    await write(kafka, topic, *numbered(2))
    assert granted(await preflight(http, "/a", "GET"))["access-control-allow-origin"] == "*"
    assert granted(await preflight(http, "/a/ack", "POST"))["access-control-allow-origin"] == "*"
    polled = await http.get("/a?max=1", headers={"origin": SHOP})
    assert granted(polled)["access-control-allow-origin"] == "*"
    assert {"accept", "origin"} <= {name.strip() for name in polled.headers["vary"].split(",")}
    ack = {"lease": polled.json()["lease"], "accept": "all"}
    accepted = await http.post("/a/ack", json=ack, headers={"origin": SHOP})
    assert (accepted.status_code, granted(accepted)["access-control-allow-origin"]) == (200, "*")
    async with http.stream("GET", "/a", headers={"origin": SHOP, "accept": SSE}) as stream:
        assert granted(stream)["access-control-allow-origin"] == "*"


async def test_routes_that_share_a_path_grant_for_themselves(shared: SharedBridge, http: httpx.AsyncClient) -> None:
    topic = shared.topic(1)
    await shared.add(
        with_cors(consume("GET /a", topic), SHOP),
        with_cors(produce("POST /a", topic), STRANGER),
        produce("PUT /a", topic),
    )
    for method, origin, allowed in (
        ("GET", SHOP, True),
        ("GET", STRANGER, False),
        ("POST", SHOP, False),
        ("POST", STRANGER, True),
        ("PUT", SHOP, False),
    ):
        assert bool(granted(await preflight(http, "/a", method, origin))) is allowed


async def test_elsewhere_options_stays_a_method_like_any_other(shared: SharedBridge, http: httpx.AsyncClient) -> None:
    topic = shared.topic(1)
    await shared.add(produce("POST /plain", topic), produce("OPTIONS /own", topic), consume("GET /feed", topic))
    headers = {"origin": SHOP, "access-control-request-method": "POST"}
    for path, status in (("/plain", 405), ("/feed", 405), ("/own", 201), ("/nowhere", 404)):
        answer = await http.request("OPTIONS", path, headers=headers)
        assert (answer.status_code, granted(answer)) == (status, {})
    for path in ("/plain", "/feed"):
        head = await http.head(path)
        assert (head.status_code, head.content) == (405, b"")
        assert head.headers["allow"] == ("POST" if path == "/plain" else "GET")


async def test_the_most_literal_route_grants_where_several_take_a_path(
    shared: SharedBridge, http: httpx.AsyncClient
) -> None:
    topic = shared.topic(1)
    await shared.add(
        with_cors(produce("POST /stores/all", topic), SHOP), with_cors(produce("* /stores/{rest...}", topic), STRANGER)
    )
    assert granted(await preflight(http, "/stores/all", "POST", SHOP))
    assert granted(await preflight(http, "/stores/7", "DELETE", STRANGER))
    assert not granted(await preflight(http, "/stores/7", "DELETE", SHOP))
    assert not granted(await preflight(http, "/stores/7", "BREW", STRANGER))
