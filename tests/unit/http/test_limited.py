"""An endpoint behind its rates, over a real connection: what is let through, what answers say, what goes on after."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import pytest

from proxy.config.model import Config
from proxy.errors import Overloaded
from proxy.http.bounds import Bounds
from proxy.http.dispatch import Dispatcher, Endpoint
from proxy.http.exchange import Exchange
from proxy.limits.pace import Pace
from proxy.observe.metrics import Metrics
from proxy.routes.table import RouteTable
from tests.unit.http.served import Client, connected, served

Rate = Mapping[str, object]


def config(common: Rate | None = None, own: Rate | None = None, *, limits: Mapping[str, int] = {}) -> Config:
    route = {"route": "POST /a/{store}", "name": "a", "produce": {"topic": "a"}, "limits": {"rate": own, **limits}}
    return Config.model_validate({"kafka": {"bootstrap_servers": "a:1"}, "limits": {"rate": common}, "routes": [route]})


class Counting:
    """Two routes' worth of bounds, and an endpoint that answers 201 and counts."""

    def __init__(self, config: Config) -> None:
        self.bounds = Bounds(config)
        self.metrics = Metrics()
        self.served = 0
        self.app = Dispatcher(self.table(config), self.metrics)

    def table(self, config: Config) -> RouteTable[Endpoint]:
        (route,) = config.routes
        handle = self.bounds.limited(route, self.serve)
        return RouteTable.build([(route.method, route.path, Endpoint("a", handle, self.metrics.route("a")))])

    def reload(self, config: Config) -> None:
        self.bounds.follow(config)
        self.app.table = self.table(config)

    async def serve(self, exchange: Exchange) -> None:
        self.served += 1
        await exchange.answer_json(201, b"{}")


@asynccontextmanager
async def counting(config: Config) -> AsyncIterator[tuple[Counting, Client]]:
    bridge = Counting(config)
    async with connected(bridge.app) as client:
        yield bridge, client


def post(path: str = "/a/1", *headers: str, body: bytes = b"{}") -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: a", f"Content-Length: {len(body)}", *headers, "\r\n"]
    return "\r\n".join(lines).encode() + body


async def statuses(client: Client, count: int, *request: str) -> list[int]:
    found = []
    for _ in range(count):
        client.send(post(*request))
        found.append((await client.answer())[0])
    return found


async def test_beyond_the_rate_it_is_429_and_the_endpoint_is_not_asked() -> None:
    async with counting(config(own={"total": "2/h"})) as (bridge, client):
        assert await statuses(client, 2) == [201, 201]
        client.send(post())
        status, headers, body = await client.answer()
        document = json.loads(body)
        assert (status, document["code"], document["limit"]) == (429, "rate_limited", "route_rate")
        assert int(headers["retry-after"]) == 1_800
        assert headers["ratelimit-policy"] == '"route_rate";q=2;w=3600'
        assert headers["ratelimit"] == '"route_rate";r=0;t=1800'
        assert document["request_id"] == headers["x-request-id"]
        assert bridge.served == 2


async def test_an_answer_that_was_let_through_says_how_things_stand() -> None:
    rates = {"total": "100/min burst 150", "client": "10/min"}
    async with counting(config(common=rates)) as (_, client):
        client.send(post())
        _, headers, _ = await client.answer()
    assert headers["ratelimit-policy"] == '"client_rate";q=10;w=60, "rate";q=100;w=60'
    assert headers["ratelimit"] == '"client_rate";r=9;t=6, "rate";r=149;t=1'


async def test_without_a_rate_no_answer_speaks_of_one() -> None:
    async with counting(config()) as (bridge, client):
        assert bridge.app.table.match("POST", b"/a/1")[0].handle == bridge.serve
        client.send(post())
        assert not {"ratelimit", "ratelimit-policy"} & (await client.answer())[1].keys()


async def test_the_connection_goes_on_after_a_refusal_with_or_without_its_body() -> None:
    async with counting(config(own={"total": "1/h"})) as (_, client):
        assert await statuses(client, 1) == [201]
        head, _, body = post(body=b"0123456789").partition(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n" + body[:4])
        assert (await client.answer())[0] == 429
        client.send(body[4:])
        assert await statuses(client, 3) == [429, 429, 429]


async def test_what_one_limit_refuses_the_others_do_not_count() -> None:
    """A client beyond its own rate does not use up everybody's."""
    async with counting(config(own={"total": "5/h", "client": "2/h", "by": "{header.x-key}"})) as (_, client):
        assert await statuses(client, 20, "/a/1", "X-Key: greedy") == [201] * 2 + [429] * 18
        assert await statuses(client, 2, "/a/1", "X-Key: modest") == [201] * 2
        assert await statuses(client, 2, "/a/1", "X-Key: third") == [201, 429]


@pytest.mark.parametrize(
    ("by", "one", "other"),
    [
        ("{header.x-key}", ("/a/1", "X-Key: a"), ("/a/1", "X-Key: b")),
        ("{query.key}", ("/a/1?key=a",), ("/a/1?key=b",)),
        ("{path.store}", ("/a/1",), ("/a/2",)),
        ("{path.store}-{header.x-key}", ("/a/1", "X-Key: a"), ("/a/1", "X-Key: b")),
    ],
)
async def test_clients_are_told_apart_by_the_template(by: str, one: tuple[str, ...], other: tuple[str, ...]) -> None:
    async with counting(config(own={"client": "1/h", "by": by})) as (_, client):
        assert await statuses(client, 2, *one) == [201, 429]
        assert await statuses(client, 2, *other) == [201, 429]


async def test_clients_without_the_field_are_told_apart_by_address_and_cannot_pose_as_one() -> None:
    async with counting(config(own={"client": "1/h", "by": "{header.x-key}"})) as (_, client):
        assert await statuses(client, 1, "/a/1", "X-Key: 127.0.0.1") == [201]
        assert await statuses(client, 2) == [201, 429]


async def test_by_default_a_client_is_an_address() -> None:
    async with counting(config(own={"client": "1/h"})) as (_, client):
        assert await statuses(client, 2, "/a/1", "X-Key: a") == [201, 429]


async def test_a_field_that_is_too_long_to_remember_is_422() -> None:
    async with counting(config(own={"client": "1/h", "by": "{header.x-key}"})) as (_, client):
        assert await statuses(client, 1, "/a/1", "X-Key: " + "x" * 2_000) == [422]


async def test_what_is_refused_is_counted_by_route_and_limit() -> None:
    async with counting(config(common={"total": "3/h"}, own={"client": "1/h"})) as (bridge, client):
        await statuses(client, 6)
        numbers = bridge.metrics.snapshot().numbers
        assert numbers["stepbridge_limited_total"] == {("a", "route_client_rate"): 5}
        assert numbers["stepbridge_requests_total"] == {("a", "201"): 1, ("a", "429"): 5}
        samples = {(one.name, one.labels["route"], one.labels["limit"]): one.value for one in bridge.bounds.samples()}
        assert samples["stepbridge_rate_clients", "a", "route_client_rate"] == 1
        assert samples["stepbridge_rate_uncounted_total", "(all)", "rate"] == 0


async def test_a_new_client_at_the_bound_of_clients_is_held_by_the_common_rate_alone() -> None:
    rates = {"total": "4/h", "client": "1/h", "by": "{header.x-key}", "clients": 1}
    async with counting(config(own=rates)) as (bridge, client):
        assert await statuses(client, 2, "/a/1", "X-Key: first") == [201, 429]
        assert await statuses(client, 4, "/a/1", "X-Key: second") == [201, 201, 201, 429]
        uncounted = [one.value for one in bridge.bounds.samples() if one.name == "stepbridge_rate_uncounted_total"]
        assert uncounted == [3, 0]


async def test_a_reload_keeps_the_count_of_a_rate_that_is_as_it_was() -> None:
    common, own = {"total": "3/h"}, {"client": "2/h"}
    async with counting(config(common, own)) as (bridge, client):
        assert await statuses(client, 2) == [201, 201]
        bridge.reload(config(common, own))
        assert await statuses(client, 1) == [429]
        bridge.reload(config(common, {"client": "9/h"}))
        assert await statuses(client, 2) == [201, 429]  # the third of the common rate was its last


@pytest.mark.parametrize("own", [{}, {"in_flight": 3}, {"in_flight_bytes": 2_000_000}])
async def test_a_reload_keeps_what_is_in_flight(own: Mapping[str, int]) -> None:
    file = config(limits=own)
    bounds = Bounds(file)
    gate = bounds.gate_of(file.routes[0])
    assert (gate is not bounds.gate) == bool(own)
    gate.enter(7)
    bounds.follow(config({"total": "5/s"}, limits=own))
    assert bounds.gate_of(file.routes[0]) is gate
    assert (bounds.gate.count, bounds.gate.held_bytes) == (gate.count, gate.held_bytes) == (1, 7)
    gate.leave(7)
    assert (bounds.gate.count, bounds.gate.held_bytes) == (0, 0)


async def test_a_connection_that_goes_on_asking_rests_and_another_does_not() -> None:
    loop = asyncio.get_running_loop()
    file = config(own={"client": "1/h", "by": "{header.x-key}"})
    bridge = Counting(file)
    bridge.app = Dispatcher(bridge.table(file), bridge.metrics, Pace(per_s=4, least_per_s=4, at_once=2))
    async with served(bridge.app) as port:
        hasty, calm = await Client.connect(port), await Client.connect(port)
        assert await statuses(hasty, 4) == [201, 429, 429, 429]
        began_s = loop.time()
        resting = asyncio.create_task(statuses(hasty, 1))
        assert await statuses(calm, 1, "/a/1", "X-Key: b") == [201]
        assert not resting.done()
        assert await resting == [429]
        assert loop.time() - began_s > 0.1
        for client in (hasty, calm):
            client.close()


async def test_under_a_flood_retry_after_says_how_long_the_connection_rests() -> None:
    async def refuse(_: Exchange) -> None:
        raise Overloaded("As many are in flight as may be.", limit="in_flight")

    metrics = Metrics()
    table = RouteTable.build([("POST", "/a/{x}", Endpoint("a", refuse, metrics.route("a")))])
    async with served(Dispatcher(table, metrics, Pace(per_s=0.4, least_per_s=0.4, at_once=1))) as port:
        told = []
        for _ in range(3):
            client = await Client.connect(port)
            client.send(post())
            _, headers, _ = await client.answer()
            told.append(int(headers["retry-after"]))
            client.close()
    assert told == [1, 3, 5], "the first of them is free; each after it is one more, of two in five seconds"
