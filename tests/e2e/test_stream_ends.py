"""How streams begin, are kept alive and end: told why, and when to come back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from httpx_sse import EventSource, ServerSentEvent

from tests.bridge import StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume
from tests.e2e.events import NDJSON, SSE, sse, value_of, values
from tests.e2e.records import numbered, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka

BOTH = pytest.mark.parametrize("media", [SSE, NDJSON], ids=["SSE", "NDJSON"])
KINDS = pytest.mark.parametrize("kind", ["feed", "group"])


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 24}


def reading(kind: str, path: str, topic: str, **keys: Any) -> Any:
    """A route of that kind."""
    group = {"group": f"group-of-{topic}", "ack": "auto"} if kind == "group" else {}
    return consume(f"GET {path}", topic, from_="earliest", **group, **keys)


@asynccontextmanager
async def everything(http: httpx.AsyncClient, path: str, media: str) -> AsyncIterator[AsyncIterator[Any]]:
    """All events of a stream that are no heartbeat, those without a record too; it must begin with 200."""
    async with http.stream("GET", path, headers={"accept": media}) as answer:
        assert answer.status_code == 200
        if media == SSE:
            yield EventSource(answer).aiter_sse()
        else:
            yield (json.loads(line) async for line in answer.aiter_lines() if line)


def reason_of(event: Any) -> str:
    """Why the stream ends; the event must be its end, with a pause to come back after."""
    if isinstance(event, ServerSentEvent):
        assert event.event == "end"
        said = json.loads(event.data)
        assert event.retry == said["retry_ms"]
    else:
        said = event["end"]
    assert 500 <= said["retry_ms"] <= 1_000
    return str(said["reason"])


async def end_of(events: AsyncIterator[Any]) -> tuple[list[Any], str]:
    """The values of the records up to the end of the stream, and its reason; nothing may come after it."""
    async with asyncio.timeout(20):
        *records, last = [event async for event in events]
    return [value_of(record) for record in records], reason_of(last)


@BOTH
@KINDS
async def test_a_stream_ends_when_it_has_lasted_its_time(
    kind: str, media: str, shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    await shared.add(reading(kind, "/a", topic, lifetime_ms=1_000, retry_ms=500))
    await write(kafka, topic, *numbered(3))
    began_s = time.monotonic()
    async with everything(http, "/a", media) as events:
        assert await end_of(events) == ([0, 1, 2], "lifetime")
    assert 0.9 <= time.monotonic() - began_s < 10


@BOTH
@KINDS
async def test_a_draining_bridge_says_so_on_its_streams(
    kind: str, media: str, bridge: StartBridge, shared: SharedBridge, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    await write(kafka, topic, *numbered(2))
    one = await bridge(config(kafka, reading(kind, "/a", topic, retry_ms=500)))
    async with client(one.base_url) as http, everything(http, "/a", media) as events:
        assert await values(events, 2) == [0, 1]
        stopping = asyncio.create_task(one.stop())
        assert await end_of(events) == ([], "drain")
    assert await stopping == 0


@KINDS
async def test_a_route_that_is_retired_ends_its_streams_and_tells_everyone_to_stop(
    kind: str, shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic, other = shared.topic(1), shared.topic(1)
    route = reading(kind, "/a", topic, retry_ms=500)
    await shared.add(route, reading(kind, "/b", other, retry_ms=500))
    await write(kafka, topic, b"0")
    await write(kafka, other, b"0")
    async with everything(http, "/a", SSE) as one, everything(http, "/b", SSE) as another:
        assert await values(one, 1) == [0]
        assert await values(another, 1) == [0]
        route["consume"]["closed"] = True
        await shared.restore()
        assert await end_of(one) == ([], "closed")
        await write(kafka, other, b"1")
        assert await values(another, 1) == [1]  # what is not retired goes on
    stopped = await http.get("/a", headers={"accept": SSE})
    assert (stopped.status_code, stopped.content) == (204, b"")
    for accept in (NDJSON, "application/json", "*/*"):
        refused = await http.get("/a", headers={"accept": accept})
        assert (refused.status_code, refused.json()["code"]) == (410, "route_closed")
    route["consume"]["closed"] = False
    await shared.restore()
    async with everything(http, "/a", SSE):
        pass


@KINDS
async def test_a_route_that_reads_otherwise_after_a_reload_ends_its_streams(
    kind: str, shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    route = reading(kind, "/a", topic, retry_ms=500)
    await shared.add(route)
    await write(kafka, topic, b"0")
    async with everything(http, "/a", SSE) as events:
        assert await values(events, 1) == [0]
        route["consume"]["shape"] = "values"
        await shared.restore()
        assert await end_of(events) == ([], "reload")
    async with everything(http, "/a", NDJSON) as events:
        await write(kafka, topic, b"1")
        while await anext(events) != 1:
            pass
        await shared.clear()
        assert reason_of(await anext(events)) == "reload"
    assert (await http.get("/a")).status_code == 404


async def test_a_stream_that_its_client_resumed_elsewhere_says_so(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    await shared.add(reading("group", "/a", topic, retry_ms=500))
    await write(kafka, topic, *numbered(2))
    async with everything(http, "/a", SSE) as events:
        first = await anext(events)
        async with sse(http, "/a", first.id) as more:
            assert await values(more, 1) == [1]
            assert (await end_of(events))[1] == "resumed"


@KINDS
async def test_a_named_heartbeat_is_seen_by_programs_that_see_no_comments(
    kind: str, shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    await shared.add(reading(kind, "/a", topic, heartbeat_ms=100, heartbeat_event="beat", retry_ms=1234))
    await write(kafka, topic, b"0")
    async with everything(http, "/a", SSE) as events:
        record = await anext(events)
        while record.event == "beat":
            record = await anext(events)
        beats = [await anext(events) for _ in range(3)]
    assert record.retry in (1234, None)  # on the first event, whichever that was
    assert {(beat.event, beat.data) for beat in beats} == {("beat", "{}")}
    assert {beat.id for beat in beats} == {record.id}  # it leaves the client where it is


@pytest.mark.needs("curl")
async def test_curl_prints_a_stream_to_its_end_and_is_content(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka
) -> None:
    topic = shared.topic(1)
    await shared.add(reading("feed", "/a", topic, lifetime_ms=500))
    await write(kafka, topic, b"0")
    arguments = ("-sN", "-H", f"Accept: {SSE}", f"{shared.base_url}/a")
    process = await asyncio.create_subprocess_exec("curl", *arguments, stdout=asyncio.subprocess.PIPE)
    said, _ = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0  # 18 would be an answer that was cut off
    assert b'"value":0' in said
    assert b"\nevent: end\ndata: {" in said
