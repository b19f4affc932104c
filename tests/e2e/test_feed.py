"""Reading without a group: every client sees everything, and its position, which is its own, holds at every replica."""

import asyncio
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiokafka import TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete

from tests.bridge import StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.conftest import StartWork
from tests.e2e.events import NDJSON, SSE, OpenStream, ndjson, position_of, sse, take, value_of, values
from tests.e2e.records import Put, numbered, until, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.unit.http.served import Client

BOTH = pytest.mark.parametrize("stream", [sse, ndjson], ids=["SSE", "NDJSON"])


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 6, 2: 26}


@dataclass(frozen=True, slots=True)
class Feed:
    """A topic of two partitions, and GET /feed, which reads it from its beginning."""

    kafka: Kafka
    topic: str
    http: httpx.AsyncClient

    async def write(self, values: Iterable[bytes]) -> None:
        """Every other record to the other partition."""
        await write(self.kafka, self.topic, *(Put(value, partition=n % 2) for n, value in enumerate(values)))

    async def page(self, position: str | None = None, **asked: int) -> Any:
        """One poll, which must be answered 200."""
        answer = await self.http.get(
            "/feed", params={"wait": 5, **asked} | ({"position": position} if position else {})
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest_asyncio.fixture
async def feed(shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, topic: str) -> Feed:
    await shared.add(consume("GET /feed", topic, from_="earliest", heartbeat_ms=300))
    return Feed(kafka, topic, http)


def in_order(records: Iterable[dict[str, Any]]) -> bool:
    """Whether the records of each partition are in its order, and none is there twice."""
    offsets: dict[int, list[int]] = defaultdict(list)
    for record in records:
        offsets[record["partition"]].append(record["offset"])
    return all(each == sorted(set(each)) for each in offsets.values())


# ---- polls


async def test_a_page_has_the_records_and_where_to_go_on(feed: Feed) -> None:
    await write(feed.kafka, feed.topic, Put(b'{"a": 1}', b"k", 1, [("h", b"v")], 1_700_000_000_123))
    answer = await feed.http.get("/feed?max=10")
    assert answer.status_code == 200
    assert "no-store" in answer.headers["cache-control"]
    page = answer.json()
    assert page["records"] == [
        {
            "id": f"{feed.topic}:1:0",
            "topic": feed.topic,
            "partition": 1,
            "offset": 0,
            "timestamp_ms": 1_700_000_000_123,
            "key": "k",
            "headers": [["h", "v"]],
            "value": {"a": 1},
            "encoding": "json",
        }
    ]
    link = answer.links["next"]["url"]
    assert "max=10" in link
    assert page["next"] in link
    await write(feed.kafka, feed.topic, b"2")
    following = (await feed.http.get(link)).json()
    assert [record["value"] for record in following["records"]] == [2]


async def test_a_client_that_follows_next_sees_everything_once_and_in_order(feed: Feed) -> None:
    await feed.write(numbered(500))
    records: list[dict[str, Any]] = []
    position = None
    while len(records) < 500:
        page = await feed.page(position, max=70)
        assert page["records"]
        records += page["records"]
        position = page["next"]
    assert sorted(record["value"] for record in records) == list(range(500))
    assert in_order(records)
    empty = await feed.page(position, wait=0)
    assert empty["records"] == []


async def test_a_page_can_be_asked_for_again(feed: Feed) -> None:
    await feed.write(numbered(20))
    first = await feed.page(max=5)
    pages = [await feed.page(first["next"], max=5) for _ in range(3)]
    assert [[record["id"] for record in page["records"]] for page in pages] == [
        [record["id"] for record in pages[0]["records"]]
    ] * 3


async def test_a_poll_waits_for_what_comes_and_then_has_it_at_once(feed: Feed) -> None:
    position = (await feed.page(wait=1))["next"]
    began_s = time.monotonic()
    assert (await feed.page(position, wait=1))["records"] == []
    assert 0.9 < time.monotonic() - began_s < 3
    waiting = asyncio.create_task(feed.page(position, wait=30))
    await feed.write([b"0"])
    written_s = time.monotonic()
    assert [record["value"] for record in (await waiting)["records"]] == [0]
    assert time.monotonic() - written_s < 1


async def test_shape_values_goes_on_by_the_link(shared: SharedBridge, feed: Feed) -> None:
    await shared.add(consume("GET /values", feed.topic, from_="earliest", shape="values"))
    await write(feed.kafka, feed.topic, b"0", b"text")
    answer = await feed.http.get("/values?wait=5")
    assert answer.json() == [0, "text"]
    again = await feed.http.get(answer.links["next"]["url"] + "&wait=0")
    assert again.json() == []


# ---- streams


@BOTH
async def test_every_client_sees_everything(stream: OpenStream, feed: Feed) -> None:
    await feed.write(numbered(30))

    async def read() -> list[Any]:
        async with stream(feed.http, "/feed") as events:
            return await values(events, 60)

    readers = [asyncio.create_task(read()) for _ in range(10)]
    await feed.write(numbered(30, start=30))
    for reader in readers:
        assert sorted(await reader) == list(range(60))


@BOTH
async def test_from_latest_a_client_sees_what_comes_after_it(
    stream: OpenStream, shared: SharedBridge, feed: Feed
) -> None:
    await shared.add(consume("GET /latest", feed.topic))
    await feed.write(numbered(10))
    page = (await feed.http.get("/latest?wait=1")).json()
    assert page["records"] == []
    async with stream(feed.http, "/latest", page["next"]) as events:
        await feed.write([b"10"])
        assert await values(events, 1) == [10]


@BOTH
async def test_a_stream_that_is_cut_and_resumed_misses_nothing_and_sees_nothing_twice(
    stream: OpenStream, feed: Feed
) -> None:
    await feed.write(numbered(60))
    seen: list[int] = []
    last = None
    while len(seen) < 60:
        async with stream(feed.http, "/feed", last) as events:
            for event in await take(events, min(11, 60 - len(seen))):
                seen.append(value_of(event))
                last = position_of(event)
    assert sorted(seen) == list(range(60))


async def test_a_poll_and_both_streams_understand_each_others_positions(feed: Feed) -> None:
    await feed.write(numbered(9))
    page = await feed.page(max=3)
    seen = [record["value"] for record in page["records"]]
    async with sse(feed.http, "/feed", page["next"]) as events:
        second = await take(events, 3)
    async with ndjson(feed.http, "/feed", second[-1].id) as lines:
        third = await take(lines, 3)
    assert sorted([*seen, *map(value_of, second), *map(value_of, third)]) == list(range(9))
    assert (await feed.page(third[-1]["position"], wait=0))["records"] == []


async def test_the_position_of_a_quiet_stream_is_there_before_its_first_record(
    feed: Feed, shared: SharedBridge
) -> None:
    """Whoever loses a stream on which nothing came yet does not miss what comes meanwhile."""
    await shared.add(consume("GET /latest", feed.topic, heartbeat_ms=300))
    async with feed.http.stream("GET", "/latest", headers={"accept": SSE}) as answer:
        async for line in answer.aiter_lines():
            if line.startswith("id: "):
                break
    await feed.write([b"0"])
    async with sse(feed.http, "/latest", line.removeprefix("id: ")) as events:
        assert await values(events, 1) == [0]


async def test_heartbeats_keep_a_quiet_stream_alive(feed: Feed) -> None:
    for media, heartbeat in ((SSE, ":"), (NDJSON, "")):
        async with feed.http.stream("GET", "/feed", headers={"accept": media}) as answer, asyncio.timeout(10):
            count = 0
            async for line in answer.aiter_lines():
                count += line == heartbeat
                if count >= 3:
                    break


# ---- at another replica, after a restart


@pytest.mark.parametrize("how", ["another", pytest.param("SIGTERM", marks=pytest.mark.long), "SIGKILL"])
async def test_a_position_holds_at_every_replica(
    how: str, bridge: StartBridge, kafka: Kafka, shared: SharedBridge
) -> None:
    topic = shared.topic()
    await write(kafka, topic, *(Put(b"%d" % n, partition=n % 2) for n in range(20)))
    text = config(kafka, consume("GET /feed", topic, from_="earliest"))
    first = await bridge(text)
    async with client(first.base_url) as http, sse(http, "/feed") as events:
        before = await take(events, 7)
    if how == "SIGKILL":
        first.kill()
    elif how == "SIGTERM":
        assert await first.stop() == 0
    second = await bridge(text)
    async with client(second.base_url) as http, sse(http, "/feed", before[-1].id) as events:
        after = await take(events, 13)
    assert sorted(value_of(event) for event in before + after) == list(range(20))


@pytest.mark.long
async def test_positions_are_said_to_end_with_a_restart_where_no_secret_is_configured(
    bridge: StartBridge, kafka: Kafka, topic: str
) -> None:
    text = config(kafka, consume("GET /feed", topic, from_="earliest"), secret=[])
    first = await bridge(text)
    async with client(first.base_url) as http:
        position = (await http.get("/feed?wait=1")).json()["next"]
    assert "secret_made_up" in first.log
    assert await first.stop() == 0
    async with client((await bridge(text)).base_url) as http:
        answer = await http.get("/feed", params={"position": position})
    assert (answer.status_code, answer.json()["code"]) == (403, "token_not_ours")


# ---- positions that lead nowhere


async def test_what_is_no_position_is_refused(feed: Feed, shared: SharedBridge, work: StartWork) -> None:
    group = await work(b"0")
    lease = (await group.reader.poll()).lease
    other = shared.topic()
    await shared.add(consume("GET /other", other, from_="earliest"))
    foreign = (await feed.http.get("/other?wait=1")).json()["next"]
    mine = (await feed.page(wait=1))["next"]
    middle = len(mine) // 2
    changed = mine[:middle] + ("A" if mine[middle] != "A" else "B") + mine[middle + 1 :]
    for position, status, code in (
        ("17", 400, "bad_token"),
        ("é", 400, "bad_token"),
        (str(lease), 400, "bad_token"),
        (changed, 403, "token_not_ours"),
        (foreign, 403, "token_of_another_route"),
        ("x" * 20_000, 400, "malformed_request"),
    ):
        polled = await feed.http.get("/feed", params={"position": position})
        assert (polled.status_code, polled.json()["code"]) == (status, code)
        if position.isascii():
            streamed = await feed.http.get("/feed", headers={"accept": SSE, "last-event-id": position})
            assert (streamed.status_code, streamed.json()["code"]) == (status, code)
            assert streamed.headers["content-type"] == "application/problem+json"


async def test_what_retention_has_taken_is_told_with_its_range_and_never_skipped_silently(
    bridge: StartBridge, feed: Feed
) -> None:
    """By a bridge that did not see the records come: the one that did may still have them."""
    await write(feed.kafka, feed.topic, *numbered(10))
    position = (await feed.page(max=2))["next"]
    await delete_before(feed.kafka, feed.topic, 7)
    later = await bridge(config(feed.kafka, consume("GET /feed", feed.topic, from_="earliest")))
    async with client(later.base_url) as http:
        answer = await http.get("/feed", params={"position": position})
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (410, "position_gone")
        (lost,) = [each for each in problem["lost"] if each["partition"] == 0]
        assert (lost["topic"], lost["position"], lost["begins"], lost["ends"]) == (feed.topic, 2, 7, 10)
        following = (await http.get("/feed", params={"position": problem["next"]})).json()
        assert [record["value"] for record in following["records"]] == [7, 8, 9]
        async with sse(http, "/feed", position) as events:
            gap = await anext(events)
            assert (gap.event, json.loads(gap.data)["lost"]) == ("gap", problem["lost"])
            assert await values(events, 3) == [7, 8, 9]
        async with sse(http, "/feed", gap.id) as events:
            assert await values(events, 3) == [7, 8, 9]
        async with ndjson(http, "/feed", position) as lines:
            assert (await anext(lines))["gap"]["lost"] == problem["lost"]
            assert await values(lines, 3) == [7, 8, 9]


async def delete_before(kafka: Kafka, topic: str, offset: int) -> None:
    """As retention does."""
    async with kafka.admin() as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=offset)})


@pytest.mark.long
async def test_a_topic_made_anew_is_told_from_the_one_that_was_there(feed: Feed, kafka: Kafka) -> None:
    await write(kafka, feed.topic, *numbered(5))
    position = (await feed.page())["next"]
    await kafka.delete_topic(feed.topic)

    async def is_gone() -> bool:
        return feed.topic not in await kafka.list_topics()

    await until(is_gone)
    await kafka.create_topic(feed.topic, 2)
    await write(kafka, feed.topic, *numbered(8, start=100))

    async def is_told() -> bool:
        answer = await feed.http.get("/feed", params={"position": position, "wait": 1})
        assert answer.status_code in (200, 410, 503)
        assert answer.status_code != 200 or not answer.json()["records"], "a silent jump into another log"
        return answer.status_code == 410

    await until(is_told, within_s=40)


# ---- topics that come and grow


async def test_a_missing_topic_is_503_and_read_from_its_beginning_once_it_is_made(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, name: str
) -> None:
    await shared.add(consume("GET /later", name, from_="earliest"))
    for headers in ({}, {"accept": SSE}):
        answer = await http.get("/later?wait=1", headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "topic_missing")
        assert "retry-after" in answer.headers
    assert name not in await kafka.list_topics()
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(3))

    async def is_read() -> bool:
        answer = await http.get("/later?wait=1")
        return answer.status_code == 200 and [record["value"] for record in answer.json()["records"]] == [0, 1, 2]

    await until(is_read, within_s=10)


@pytest.mark.long
async def test_a_partition_added_while_a_stream_is_open_is_read_from_its_beginning(feed: Feed, kafka: Kafka) -> None:
    async with sse(feed.http, "/feed") as events:
        await feed.write([b"0"])
        assert await values(events, 1) == [0]
        async with kafka.admin() as admin:
            await admin.create_partitions({feed.topic: NewPartitions(3)})

        async def is_there() -> bool:
            return len(await kafka.partitions(feed.topic)) == 3

        await until(is_there)
        await write(kafka, feed.topic, Put(b"1", partition=2))
        async with asyncio.timeout(40):
            event = await anext(events)
    assert value_of(event) == 1
    assert (await feed.page(event.id, wait=0))["records"] == []


# ---- faults


async def test_what_the_bridge_itself_writes_comes_out_of_an_open_stream(
    shared: SharedBridge, http: httpx.AsyncClient, feed: Feed
) -> None:
    await shared.add(produce("POST /in", feed.topic, key="{body.k}"))
    async with sse(http, "/feed") as events:
        for number in range(10):
            answer = await http.post("/in", json={"k": number})
            assert answer.status_code == 201
            record = json.loads((await anext(events)).data)
            assert (record["offset"], record["partition"]) == (answer.json()["offset"], answer.json()["partition"])
            assert (record["key"], record["value"]) == (str(number), {"k": number})


async def test_a_client_that_does_not_read_holds_up_nobody_and_gets_everything_in_the_end(
    shared: SharedBridge, feed: Feed
) -> None:
    """More than the ring and the sockets' buffers hold: it falls back to reading the log at its own pace."""
    request = f"GET /feed HTTP/1.1\r\nHost: a\r\nAccept: {SSE}\r\n\r\n".encode()
    slow, quick = [await Client.connect(shared.process.port) for _ in range(2)]
    for each in (slow, quick):
        each.send(request)
        assert b"200" in await each.reader.readline()
    await feed.write(b'"%04d%s"' % (number, b"x" * 200_000) for number in range(100))
    everything = {b"%04d" % number for number in range(100)}
    assert await beginnings(quick, 100) == everything
    assert await beginnings(slow, 100) == everything
    for each in (slow, quick):
        each.close()


async def beginnings(stream: Client, count: int) -> set[bytes]:
    """The first letters of the next values of a stream, each there once."""
    found: list[bytes] = []
    tail = b""
    async with asyncio.timeout(30):
        while len(found) < count:
            piece = tail + await stream.reader.read(1 << 20)
            found += re.findall(rb'"value":"(\d{4})', piece)
            tail = piece[-12:]  # shorter than what is looked for
    assert len(set(found)) == count
    return set(found)


async def test_open_streams_go_on_after_kafka_was_frozen(bridge: StartBridge, own_kafka: Kafka, name: str) -> None:
    await own_kafka.create_topic(name)
    await write(own_kafka, name, b"0")
    running = await bridge(config(own_kafka, consume("GET /feed", name, from_="earliest", heartbeat_ms=200)))
    async with client(running.base_url, timeout_s=60) as http, sse(http, "/feed") as events:
        assert await values(events, 1) == [0]
        own_kafka.freeze()
        waiting = asyncio.create_task(values(events, 1))
        await asyncio.wait([waiting], timeout=1)
        own_kafka.thaw()
        await write(own_kafka, name, b"1")
        assert await waiting == [1]
