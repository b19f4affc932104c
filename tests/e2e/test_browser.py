"""Streams in a real browser: its own EventSource, and fetch, from the bridge's origin and from another one."""

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.bridge import StartBridge
from tests.demo.browser import Browser, chromium
from tests.e2e.configuration import config, consume, produce
from tests.e2e.records import numbered, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka

pytestmark = pytest.mark.needs("chromium")

FOLLOW = """(() => {
  const source = window.source = new EventSource(%s);
  const seen = window.seen = {values: [], ids: [], ends: [], gaps: [], beats: 0, opened: 0, lost: 0};
  source.onopen = () => seen.opened++;
  source.onerror = () => seen.lost++;
  source.onmessage = (event) => { seen.values.push(JSON.parse(event.data).value); seen.ids.push(event.lastEventId); };
  source.addEventListener("end", (event) => seen.ends.push(JSON.parse(event.data).reason));
  source.addEventListener("gap", (event) => seen.gaps.push(JSON.parse(event.data)));
  source.addEventListener("beat", () => seen.beats++);
})()"""
READ_LINES = """(async () => {
  window.lines = [];
  const answer = await fetch(%s, {headers: {accept: "application/x-ndjson"}});
  window.request_id = answer.headers.get("x-request-id");
  let rest = "";
  for await (const piece of answer.body.pipeThrough(new TextDecoderStream())) {
    const pieces = (rest + piece).split("\\n");
    rest = pieces.pop();
    window.lines.push(...pieces.filter((line) => line).map((line) => JSON.parse(line)));
  }
})().catch((error) => { window.failed = String(error); })"""
POST = """(async () => {
  const headers = {"content-type": "application/json", "x-api-key": "k"};
  const answer = await fetch(%s, {method: "POST", headers, body: "{}"});
  window.posted = answer.status;
})().catch((error) => { window.posted = String(error); })"""
CLOSED = "source.readyState === EventSource.CLOSED"


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 8}


async def follow(browser: Browser, url: str) -> None:
    await browser.ask(FOLLOW % json.dumps(url))
    await browser.until("seen.opened === 1")


async def saw(browser: Browser, count: int) -> Any:
    """The first values of its records, in order; a few may come beyond, and would show there."""
    await browser.until(f"seen.values.length >= {count}")
    return await browser.ask("seen.values")


@asynccontextmanager
async def page_elsewhere() -> AsyncIterator[str]:
    """The origin of an empty page."""

    async def empty(_: web.Request) -> web.Response:
        return web.Response(text="<title>elsewhere</title>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", empty)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_an_event_source_comes_back_by_itself_and_misses_nothing(
    bridge: StartBridge, shared: SharedBridge, kafka: Kafka, tmp_path: Path
) -> None:
    """Through a crash, a drain and a lifetime: it says where it was, and hears why, where there was time to say it."""
    topic = shared.topic(1)
    route = consume("GET /feed", topic, retry_ms=50, heartbeat_ms=100, heartbeat_event="beat")
    one = await bridge(config(kafka, route))
    async with chromium(tmp_path) as browser:
        await browser.open(f"{one.base_url}/feed?wait=0")  # any document of the bridge's origin
        await follow(browser, "/feed")
        await browser.until("seen.beats > 1")
        await write(kafka, topic, *numbered(3))
        assert await saw(browser, 3) == [0, 1, 2]

        one.kill()
        await write(kafka, topic, *numbered(3, start=3))
        one.start()
        await one.ready()
        assert await saw(browser, 6) == [0, 1, 2, 3, 4, 5]
        assert await browser.ask("seen.ends") == []

        one.signal(signal.SIGTERM)
        await browser.until("seen.ends.length >= 1")
        assert await one.ended() == 0
        await write(kafka, topic, *numbered(2, start=6))
        one.write_config(config(kafka, {**route, "consume": {**route["consume"], "lifetime_ms": 300}}))
        one.start()
        await one.ready()
        assert await saw(browser, 8) == list(range(8))

        await browser.until("seen.ends.filter((reason) => reason === 'lifetime').length >= 3")
        await write(kafka, topic, *numbered(2, start=8))
        assert await saw(browser, 10) == list(range(10))
        reasons = [reason for reason, _ in groupby(await browser.ask("seen.ends"))]
        assert reasons == ["drain", "lifetime"]  # it may have come back before the listener had closed
        assert await browser.ask("seen.gaps") == []
        assert len(set(await browser.ask("seen.ids"))) == 10


async def test_an_event_source_stops_for_good_when_its_route_is_retired(
    shared: SharedBridge, kafka: Kafka, tmp_path: Path
) -> None:
    topic = shared.topic(1)
    route = consume("GET /feed", topic, retry_ms=50)
    await shared.add(route)
    async with chromium(tmp_path) as browser:
        await browser.open(f"{shared.base_url}/feed?wait=0")
        await follow(browser, "/feed")
        await write(kafka, topic, b"0")
        assert await saw(browser, 1) == [0]
        route["consume"]["closed"] = True
        await shared.restore()
        await browser.until(CLOSED)
        assert await browser.ask("seen.ends") == ["closed"]


async def test_a_page_elsewhere_reads_and_writes_where_a_route_lets_it(
    shared: SharedBridge, kafka: Kafka, tmp_path: Path
) -> None:
    topic = shared.topic(1)
    async with page_elsewhere() as origin, chromium(tmp_path) as browser:
        cors = {"origins": [origin], "headers": ["X-Api-Key"]}
        await shared.add(
            {**consume("GET /feed", topic), "cors": cors},
            {**consume("GET /foreign", topic), "cors": {"origins": ["https://shop.example"]}},
            {**produce("POST /in", topic), "cors": cors},
            produce("POST /plain", topic),
        )
        await browser.open(f"{origin}/")
        await browser.until("document.title === 'elsewhere'")
        await follow(browser, f"{shared.base_url}/feed")
        await browser.ask(READ_LINES % json.dumps(f"{shared.base_url}/feed"))
        await browser.until("window.request_id")  # which is no plain header: it is exposed
        for path, outcome in (("/in", 201), ("/plain", "TypeError: Failed to fetch")):
            await browser.ask("window.posted = 0")
            await browser.ask(POST % json.dumps(f"{shared.base_url}{path}"))
            await browser.until("window.posted")
            assert await browser.ask("window.posted") == outcome
        assert await saw(browser, 1) == [{}]
        await browser.until("lines.length === 1")
        assert await browser.ask("lines[0].value") == {}

        await browser.ask(FOLLOW % json.dumps(f"{shared.base_url}/foreign"))
        await browser.until(CLOSED)
        assert await browser.ask("seen.opened") == 0
