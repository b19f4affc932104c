"""Each client on a scripted bridge: what it makes of a refusal, a lost connection, an expired lease."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.demo.clients.dashboard import Dashboard
from proxy.demo.clients.inventory import Choice, InventoryManager
from proxy.demo.clients.ndjson import JsonLines
from proxy.demo.clients.post import Sender
from proxy.demo.clients.pricing import PricingService
from proxy.demo.clients.recommendation import RecommendationService
from proxy.demo.clients.sse import SseLines
from proxy.demo.clients.stream import Event, Stream
from proxy.demo.journal import Journal
from proxy.demo.retail import DASHBOARD, INVENTORY, PRICES, PRICING, RECOMMENDATION, RESTOCK, SALES, STOCK
from proxy.demo.stage import client_session
from proxy.demo.watch import Outcome, Seen
from tests.demo.scripted import ScriptedBridge

WITHIN_S = 5.0


@pytest.fixture
async def bridge() -> ScriptedBridge:
    return ScriptedBridge()


@pytest.fixture
async def http(bridge: ScriptedBridge) -> AsyncIterator[aiohttp.ClientSession]:
    server = TestServer(bridge.app())
    await server.start_server()
    async with client_session(str(server.make_url("/"))) as session:
        yield session
    await server.close()


@pytest.fixture
def journal() -> Journal:
    return Journal()


@pytest.fixture
def sender(http: aiohttp.ClientSession, journal: Journal) -> Sender:
    return Sender(http, journal, run="e")


class Running:
    """A client at work, for the length of a test."""

    def __init__(self, client: Any) -> None:
        self._task = asyncio.create_task(client.run())

    async def __aenter__(self) -> "Running":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                assert not self._task.done(), self._task
                await asyncio.sleep(0.01)


def entries(journal: Journal, reader: str) -> list[tuple[str, str]]:
    return [(entry.moment.value, entry.event_id) for entry in journal.readings[reader]]


def count(event_id: str, quantity: int) -> dict[str, Any]:
    return {"event_id": event_id, "sku": "A-001", "quantity": quantity}


# ---- sending


async def test_a_post_is_repeated_once_after_a_503(bridge: ScriptedBridge, sender: Sender, journal: Journal) -> None:
    bridge.refusals.extend([503])
    assert await sender.post("/stores/berlin/stock", STOCK, "berlin:A-001", sku="A-001") is Outcome.WRITTEN
    assert [record["value"]["event_id"] for record in bridge.log] == ["e1"]
    assert journal.posts["e1"].outcome is Outcome.WRITTEN


@pytest.mark.parametrize(
    ("statuses", "outcome"),
    [([503, 503], Outcome.REFUSED), ([422], Outcome.REFUSED), ([504], Outcome.UNKNOWN), ([500], Outcome.UNKNOWN)],
)
async def test_a_post_that_fails_says_which_of_the_three_it_is(
    bridge: ScriptedBridge, sender: Sender, journal: Journal, statuses: list[int], outcome: Outcome
) -> None:
    bridge.refusals.extend(statuses)
    assert await sender.post("/prices", PRICES, "berlin:A-001", store="berlin", sku="A-001") is outcome
    assert not bridge.refusals  # and no attempt more than that
    assert bridge.log == []
    assert journal.posts["e1"].detail == f"{statuses[-1]} scripted"


async def test_a_refusal_is_told_by_its_code_and_without_what_differs_each_time() -> None:
    async def refuse(_request: web.Request) -> web.Response:
        problem = {"status": 422, "code": "field_missing", "detail": "`sku` is missing.", "request_id": "7f-1"}
        return web.json_response(problem, status=422, content_type="application/problem+json")

    app = web.Application()
    app.router.add_post("/prices", refuse)
    async with TestServer(app) as server, client_session(str(server.make_url("/"))) as http:
        journal = Journal()
        await Sender(http, journal, run="e").post("/prices", PRICES, "k")
    assert journal.posts["e1"].detail == "422 field_missing: `sku` is missing."


async def test_a_post_to_nobody_is_unknown(journal: Journal) -> None:
    async with client_session("http://127.0.0.1:9") as http:
        outcome = await Sender(http, journal, run="e").post("/prices", PRICES, "k")
    assert outcome is Outcome.UNKNOWN
    assert "ClientConnectorError" in journal.posts["e1"].detail


# ---- the inventory manager


async def test_the_inventory_manager_accepts_and_orders_what_runs_low(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    await bridge.append(STOCK, "berlin:A-001", count("x1", 3))
    await bridge.append(SALES, "berlin:A-001", count("x2", 1))
    async with Running(InventoryManager(http, sender, journal)) as running:
        await running.until(lambda: len(journal.readings[INVENTORY]) == 4)
    orders = [record["value"] for record in bridge.log if record["topic"] == RESTOCK]
    assert orders == [{"event_id": "e1", "store": "berlin", "sku": "A-001", "quantity": 37}]  # one, not two
    assert entries(journal, INVENTORY) == [("seen", "x1"), ("seen", "x2"), ("accepted", "x1"), ("accepted", "x2")]
    assert not bridge.groups[INVENTORY].leases


async def test_a_record_whose_order_was_refused_is_released_and_tried_again(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    bridge.refusals.append(422)
    await bridge.append(STOCK, "berlin:A-001", count("x1", 3))
    async with Running(InventoryManager(http, sender, journal)) as running:
        await running.until(lambda: len(journal.readings[INVENTORY]) == 4)
    assert [moment for moment, _ in entries(journal, INVENTORY)] == ["seen", "returned", "seen", "accepted"]


async def test_what_is_left_comes_again_when_its_lease_has_run_out(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    choices = iter([Choice.LEAVE, Choice.ACCEPT])
    await bridge.append(STOCK, "berlin:A-001", count("x1", 30))
    async with Running(InventoryManager(http, sender, journal, lambda record: next(choices))) as running:
        await running.until(lambda: len(journal.readings[INVENTORY]) == 4)
    assert [moment for moment, _ in entries(journal, INVENTORY)] == ["seen", "returned", "seen", "accepted"]


async def test_an_ack_that_comes_too_late_accepts_nothing(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    def too_slow(_record: Seen) -> Choice:
        bridge.groups[INVENTORY].leases.clear()  # another reader has it by now
        return Choice.ACCEPT

    await bridge.append(STOCK, "berlin:A-001", count("x1", 30))
    async with Running(InventoryManager(http, sender, journal, too_slow)) as running:
        await running.until(lambda: len(journal.readings[INVENTORY]) == 2)
    assert entries(journal, INVENTORY) == [("seen", "x1"), ("returned", "x1")]


# ---- those that follow a stream


async def test_the_pricing_service_answers_scarcity_with_a_price(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    await bridge.append(STOCK, "berlin:A-001", count("x1", 3))
    await bridge.append(SALES, "berlin:A-001", count("x2", 1))
    async with Running(PricingService(http, sender, journal, {"A-001": 1000})) as running:
        await running.until(lambda: len(journal.readings[PRICING]) == 4)
    prices = [record["value"] for record in bridge.log if record["topic"] == PRICES]
    assert prices == [{"event_id": "e1", "store": "berlin", "sku": "A-001", "price_cents": 1100}]
    assert entries(journal, PRICING) == [("seen", "x1"), ("accepted", "x1"), ("seen", "x2"), ("accepted", "x2")]


async def test_a_stream_that_was_cut_resumes_after_the_last_event_dealt_with(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    pricing = PricingService(http, sender, journal, {})
    journal.sighted = lambda reader: pricing.stream.drop() if len(journal.readings[reader]) == 3 else None
    for number in range(1, 6):
        await bridge.append(SALES, "berlin:A-001", count(f"x{number}", 1))
    async with Running(pricing) as running:
        await running.until(lambda: len(journal.readings[PRICING]) == 10)
    assert pricing.stream.connections == 2
    assert [name for moment, name in entries(journal, PRICING) if moment == "seen"] == ["x1", "x2", "x3", "x4", "x5"]


async def test_the_recommendation_service_knows_what_sells(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, journal: Journal
) -> None:
    for number, quantity in enumerate([1, 4]):
        await bridge.append(SALES, "berlin:A-001", count(f"x{number}", quantity))
    service = RecommendationService(http, journal)
    async with Running(service) as running:
        await running.until(lambda: len(journal.readings[RECOMMENDATION]) == 4)
    assert service.bestsellers.top(1) == [("A-001", 5)]


async def test_a_dashboard_whose_position_is_gone_begins_anew(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, journal: Journal
) -> None:
    dashboard = Dashboard(http, journal)
    async with Running(dashboard) as running:
        await running.until(dashboard.stream.opened.is_set)
        await bridge.append(STOCK, "berlin:A-001", count("x1", 9))
        await running.until(lambda: len(journal.readings[DASHBOARD]) == 2)
        bridge.gone = True
        dashboard.stream.drop()
        await running.until(lambda: dashboard.stream.connections == 2)
        await bridge.append(STOCK, "berlin:A-001", count("x2", 8))
        await running.until(lambda: len(journal.readings[DASHBOARD]) == 4)
    assert ["Last-Event-ID" in headers for headers in bridge.headers] == [False, True, False]
    assert dashboard.board.stock == {"berlin:A-001": 8}


async def test_records_that_are_none_of_the_demos_disturb_no_reader(
    bridge: ScriptedBridge, http: aiohttp.ClientSession, sender: Sender, journal: Journal
) -> None:
    strangers: list[tuple[Any, Any]] = [
        (None, None),
        ({"base64": "gA:="}, {"quantity": 1}),
        ("no colon", "text"),
        ("a:b", 7),
        ("a:b", {}),
        ("a:b", {"quantity": "many"}),
    ]
    for topic in (STOCK, SALES):
        for key, value in strangers:
            await bridge.append(topic, key, value)
    await bridge.append(STOCK, "berlin:A-001", count("x1", 30))
    async with Running(InventoryManager(http, sender, journal)) as running:
        await running.until(lambda: ("accepted", "x1") in entries(journal, INVENTORY))
    async with Running(PricingService(http, sender, journal, {})) as running:
        await running.until(lambda: ("accepted", "x1") in entries(journal, PRICING))
    assert journal.posts == {}


async def test_a_stream_that_is_refused_waits_as_it_is_told_and_tries_again() -> None:
    answers = iter([503, 200])

    async def refuse_once(request: web.Request) -> web.Response:
        status = next(answers)
        return web.Response(
            status=status, headers={"Retry-After": "0"}, text="data: hello\n\n" if status == 200 else ""
        )

    app = web.Application()
    app.router.add_get("/events", refuse_once)
    server = TestServer(app)
    await server.start_server()
    heard: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    async def hear(event: Event) -> None:
        heard.set_result(event)

    async with client_session(str(server.make_url("/"))) as session:
        stream = Stream(session, "/events", SseLines(retry_ms=60_000))
        following = asyncio.create_task(stream.follow(hear))
        assert (await asyncio.wait_for(heard, WITHIN_S)).data == "hello"
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    await server.close()


def test_json_lines_carry_their_position() -> None:
    lines = JsonLines()
    assert lines.feed("") is None
    assert lines.feed('{"position": "a/1", "value": 1}') == Event('{"position": "a/1", "value": 1}', "a/1")


def test_json_lines_that_are_no_records_are_taken_for_what_they_are() -> None:
    lines = JsonLines()
    gap = '{"gap": {"lost": [], "next": "a/7"}}'
    assert lines.feed(gap) == Event(gap, "a/7", "gap")
    assert lines.feed('{"end": {"reason": "drain", "retry_ms": 2500}}') is None
    assert lines.retry_ms == 2500
