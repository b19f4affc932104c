"""What a client of a feed is shown, and from where: filters, starts, and answers that have nothing new."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.e2e.configuration import consume
from tests.e2e.events import SSE, OpenStream, ndjson, sse, value_of, values
from tests.e2e.records import Put, until, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka

BOTH = pytest.mark.parametrize("stream", [sse, ndjson], ids=["SSE", "NDJSON"])
NOON_MS = 1_795_348_800_000
FILTER = {
    "key": {"prefix": "{path.store}:"},
    "header.kind": "sale",
    "body.n": {"min": "{query.least}", "max": "{query.most}"},
}


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {2: 18}


class Shops:
    """Stores a and b: sales and returns of each, numbered, and GET /STORE/sales that shows the sales of one."""

    def __init__(self, kafka: Kafka, topic: str, http: httpx.AsyncClient) -> None:
        self.kafka = kafka
        self.topic = topic
        self.http = http

    async def write(self, *records: tuple[str, str, int]) -> None:
        """Store, kind and number of each."""
        puts = [
            Put(b'{"n": %d}' % number, f"{store}:1".encode(), number % 2, [("kind", kind.encode())])
            for store, kind, number in records
        ]
        await write(self.kafka, self.topic, *puts)

    async def page(self, path: str, **asked: Any) -> tuple[list[int], str]:
        answer = await self.http.get(path, params={"wait": 3, **asked})
        assert answer.status_code == 200, answer.text
        page = answer.json()
        return [record["value"]["n"] for record in page["records"]], page["next"]


@pytest_asyncio.fixture
async def shops(shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, topic: str) -> Shops:
    await shared.add(
        consume("GET /{store}/sales", topic, from_="earliest", allow_from=True, filter=FILTER, heartbeat_ms=200)
    )
    return Shops(kafka, topic, http)


MIXED = [("a", "sale", 0), ("a", "return", 2), ("b", "sale", 4), ("ab", "sale", 6), ("a", "sale", 8), ("b", "sale", 10)]


# ---- filters


async def test_a_page_has_what_the_filter_shows_of_the_clients_path_and_query(shops: Shops) -> None:
    await shops.write(*MIXED)
    assert (await shops.page("/a/sales"))[0] == [0, 8]
    assert (await shops.page("/b/sales"))[0] == [4, 10]
    assert (await shops.page("/b/sales", least=5))[0] == [10]
    assert (await shops.page("/b/sales", least=4, most=9.5))[0] == [4]
    assert (await shops.page("/ab/sales"))[0] == [6]
    one, position = await shops.page("/a/sales", max=1)
    assert one == [0]
    assert (await shops.page("/a/sales", max=1, position=position))[0] == [8]


async def test_next_goes_past_what_is_not_shown(shops: Shops) -> None:
    await shops.write(*MIXED)
    nothing, start = await shops.page("/c/sales", wait=1)
    assert nothing == []
    await shops.write(("a", "sale", 12))
    assert (await shops.page("/a/sales", position=start))[0] == [12]


async def test_a_poll_waits_for_what_passes(shops: Shops) -> None:
    _, start = await shops.page("/a/sales", wait=1)
    waiting = asyncio.create_task(shops.page("/a/sales", position=start, wait=20))
    await shops.write(("b", "sale", 0), ("a", "return", 2))
    await asyncio.wait([waiting], timeout=0.3)
    assert not waiting.done()
    await shops.write(("a", "sale", 4))
    assert (await asyncio.wait_for(waiting, 3))[0] == [4]


@BOTH
async def test_streams_of_different_filters_get_each_its_own(stream: OpenStream, shops: Shops) -> None:
    await shops.write(*MIXED)

    async def read(path: str, count: int) -> list[int]:
        async with stream(shops.http, path) as events:
            return [value["n"] for value in await values(events, count)]

    wanted = {"/a/sales": [0, 8, 12], "/b/sales": [4, 10, 16], "/a/sales?least=8": [8, 12], "/b/sales?most=4": [4]}
    readers = {
        path: [asyncio.create_task(read(path, len(expected))) for _ in range(3)] for path, expected in wanted.items()
    }
    await asyncio.sleep(0)
    await shops.write(("a", "sale", 12), ("a", "return", 14), ("b", "sale", 16))
    async with asyncio.timeout(10):
        for path, tasks in readers.items():
            assert [await task for task in tasks] == [wanted[path]] * 3


async def test_a_stream_to_which_nothing_comes_says_how_far_it_is_and_is_resumed_there(shops: Shops) -> None:
    await shops.write(*MIXED)
    ids: list[str] = []
    async with shops.http.stream("GET", "/c/sales", headers={"accept": SSE}) as answer, asyncio.timeout(10):
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                ids.append(line.removeprefix("id: "))
            if len(set(ids)) >= 2 and ids[-1] == ids[-2]:  # it has come to the end
                break
    shown, _ = await shops.page("/a/sales", position=ids[-1], wait=0)
    assert shown == []
    await shops.write(("a", "sale", 12))
    async with sse(shops.http, "/a/sales", ids[-1]) as events:
        assert [value_of(await anext(events))["n"]] == [12]


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [("least=few", 422, "field_invalid"), ("least=" + "9" * 1_100, 422, "field_invalid"), ("x=%ff", 400, None)],
)
async def test_what_cannot_be_compared_is_refused(shops: Shops, query: str, status: int, code: str | None) -> None:
    for headers in ({}, {"accept": SSE}):
        answer = await shops.http.get(f"/a/sales?{query}", headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
        assert code is None or answer.json()["code"] == code


# ---- where a client begins


async def test_a_client_says_where_it_begins_where_its_route_lets_it(shared: SharedBridge, shops: Shops) -> None:
    topic = shared.topic()
    await shared.add(
        consume("GET /any", topic, allow_from=True), consume("GET /noon", topic, from_="2026-11-22T12:00:00Z")
    )
    puts = [Put(b"%d" % n, partition=n % 2, timestamp_ms=NOON_MS + (n - 2) * 1_000) for n in range(4)]
    await write(shops.kafka, topic, *puts)

    async def shown(path: str, **asked: Any) -> list[int]:
        answer = await shops.http.get(path, params={"wait": 1, **asked})
        assert answer.status_code == 200, answer.text
        return sorted(record["value"] for record in answer.json()["records"])

    async def has_all() -> bool:
        return await shown("/any", **{"from": "earliest"}) == [0, 1, 2, 3]

    await until(has_all)
    assert await shown("/noon") == [2, 3]
    assert await shown("/any", **{"from": "2026-11-22T12:00:01Z"}) == [3]
    assert await shown("/any", **{"from": "2026-11-22T13:00:01+01:00"}) == [3]
    assert await shown("/any", **{"from": "2030-01-01"}) == []
    assert await shown("/any", **{"from": "latest"}) == []
    async with ndjson(shops.http, "/any?from=2026-11-22T12:00:00Z") as lines:
        assert sorted(await values(lines, 2)) == [2, 3]
    end = (await shops.http.get("/any?wait=0")).json()["next"]
    assert await shown("/any", position=end, **{"from": "earliest"}) == []  # a position beats it


@pytest.mark.parametrize(
    ("path", "start"), [("/any", "yesterday"), ("/any", ""), ("/any", "1969-01-01"), ("/no", "latest")]
)
async def test_what_is_no_start_or_not_allowed_is_refused(
    shared: SharedBridge, shops: Shops, path: str, start: str
) -> None:
    await shared.add(consume("GET /any", shops.topic, allow_from=True), consume("GET /no", shops.topic))
    answer = await shops.http.get(path, params={"from": start})
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request")


# ---- nothing new


async def test_a_client_that_has_what_there_is_is_told_so_without_a_body(shops: Shops) -> None:
    await shops.write(("a", "sale", 0))
    first = await shops.http.get("/a/sales?wait=3")
    tag, position = first.headers["etag"], first.json()["next"]
    assert tag == f'W/"{position}"'

    async def again(tag: str) -> httpx.Response:
        return await shops.http.get(
            "/a/sales", params={"wait": 0, "position": position}, headers={"if-none-match": tag}
        )

    for said in (tag, tag.removeprefix("W/"), f'"x", {tag}'):
        answer = await again(said)
        assert (answer.status_code, answer.content) == (304, b"")
        assert (answer.headers["etag"], answer.headers["cache-control"]) == (tag, "no-store")
        assert position in answer.links["next"]["url"]
    assert (await again('W/"other"')).status_code == 200
    waiting = asyncio.create_task(
        shops.http.get("/a/sales", params={"wait": 20, "position": position}, headers={"if-none-match": tag})
    )
    await shops.write(("a", "sale", 2))
    answer = await waiting
    assert (answer.status_code, [record["value"]["n"] for record in answer.json()["records"]]) == (200, [2])


async def test_records_are_never_hidden_behind_a_304(shops: Shops) -> None:
    """Whoever says that it has a page, and asks for it again all the same, may have lost it."""
    await shops.write(("a", "sale", 0))
    first = await shops.http.get("/a/sales?wait=3")
    again = await shops.http.get("/a/sales?wait=3", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, json.loads(again.content)["records"]) == (200, first.json()["records"])
