"""The recipes of docs/streaming.md do what the page says: clients miss nothing, a proxy holds nothing up."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.bridge import StartBridge
from tests.demo.browser import chromium
from tests.e2e.client import client
from tests.e2e.configuration import config, consume
from tests.e2e.events import SSE, sse, values
from tests.e2e.records import numbered, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port
from tests.unit.wait import until

PAGE = (Path(__file__).parents[2] / "docs" / "streaming.md").read_text()


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 8}


def recipe(language: str, holding: str) -> str:
    """The block in that language that has these words in it."""
    (found,) = [block for block in re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL) if holding in block]
    return str(found)


@pytest.mark.needs("chromium")
async def test_the_recipe_for_an_event_source(
    bridge: StartBridge, shared: SharedBridge, kafka: Kafka, tmp_path: Path
) -> None:
    """Through a lost connection, and through a refusal, after which an EventSource alone would have given up."""
    topic = shared.topic(1)
    reading = consume("GET /feed", topic, retry_ms=50)
    one = await bridge(config(kafka, reading))
    async with chromium(tmp_path) as browser:
        await browser.open(f"{one.base_url}/feed?wait=0")
        await browser.ask(recipe("javascript", "new EventSource"))
        await browser.ask(
            "seen = []; gaps = []; follow('/feed', {onRecord: (r) => seen.push(r.value), onGap: gaps.push})"
        )
        await _until_streams(one.admin_url, 1)
        await write(kafka, topic, b"0")
        await browser.until("seen.length === 1")

        one.kill()
        one.write_config(config(kafka, consume("GET /elsewhere", topic)))  # 404: it is refused
        one.start()
        await one.ready()
        await browser.until("performance.getEntriesByType('resource').length >= 2")
        await write(kafka, topic, b"1")
        one.write_config(config(kafka, reading))
        async with client(one.admin_url) as admin:
            assert (await admin.post("/admin/reload")).status_code == 200
        await browser.until("seen.length === 2")

        one.write_config(config(kafka, consume("GET /feed", topic, retry_ms=50, closed=True)))
        async with client(one.admin_url) as admin:
            assert (await admin.post("/admin/reload")).status_code == 200
        await _until_streams(one.admin_url, 0)
        assert await browser.ask("JSON.stringify([seen, gaps])") == "[[0,1],[]]"


@pytest.mark.needs("chromium")
async def test_the_recipe_for_fetch(shared: SharedBridge, kafka: Kafka, tmp_path: Path) -> None:
    topic = shared.topic(1)
    await shared.add(consume("GET /feed", topic, from_="earliest", lifetime_ms=1_500))
    await write(kafka, topic, *numbered(3))
    async with chromium(tmp_path) as browser:
        await browser.open(f"{shared.base_url}/feed?wait=0")
        await browser.ask(recipe("javascript", "getReader"))
        await browser.ask("seen = []; done = read('/feed', '', (r) => seen.push(r.value)).then((p) => { last = p; })")
        await browser.until("window.last !== undefined && last.length > 20")  # it has lasted its time
        await write(kafka, topic, b"3")
        await browser.ask("read('/feed', last, (r) => seen.push(r.value))")
        await browser.until("seen.length === 4")
        assert await browser.ask("seen") == [0, 1, 2, 3]


async def test_the_recipe_for_httpx_sse(bridge: StartBridge, shared: SharedBridge, kafka: Kafka) -> None:
    topic = shared.topic(1)
    await write(kafka, topic, *numbered(2))
    one = await bridge(config(kafka, consume("GET /feed", topic, from_="earliest", retry_ms=50)))
    scope: dict[str, Any] = {}
    exec(recipe("python", "connect_sse"), scope)
    seen: list[Any] = []

    def read() -> None:
        with httpx.Client(base_url=one.base_url, verify=False) as http:
            for position, record in scope["follow"](http, "/feed"):
                assert position
                seen.append(record["value"])

    reading = asyncio.create_task(asyncio.to_thread(read))
    await until(lambda: len(seen) == 2)
    one.kill()
    await write(kafka, topic, b"2")
    one.start()
    await one.ready()
    await until(lambda: len(seen) == 3)
    one.write_config(config(kafka, consume("GET /feed", topic, retry_ms=50, closed=True)))
    async with client(one.admin_url) as admin:
        assert (await admin.post("/admin/reload")).status_code == 200
    async with asyncio.timeout(10):
        await reading  # the route is retired, and it ends
    assert seen == [0, 1, 2]


@pytest.mark.needs("nginx")
async def test_the_recipe_for_nginx_passes_each_event_on_at_once(
    shared: SharedBridge, kafka: Kafka, tmp_path: Path
) -> None:
    topic = shared.topic(1)
    await shared.add(consume("GET /feed", topic, heartbeat_ms=500, lifetime_ms=3_000))
    async with nginx(tmp_path, shared.process.port) as base_url, client(base_url) as http:
        async with sse(http, "/feed") as events:
            for number in range(5):
                await write(kafka, topic, b"%d" % number)
                async with asyncio.timeout(3):
                    assert await values(events, 1) == [number]
            assert (await anext(events)).event == "end"
        async with http.stream("GET", "/feed", headers={"accept": SSE}) as answer, asyncio.timeout(5):
            assert answer.headers["x-request-id"]
            async for line in answer.aiter_lines():
                if line == ":":
                    break  # heartbeats too
        await _until_streams(shared.admin_url, 0)  # a hang-up goes through
        for _ in range(3):
            assert (await http.get("/feed?wait=1")).status_code == 200


@asynccontextmanager
async def nginx(directory: Path, port: int) -> AsyncIterator[str]:
    """The recipe, in front of the bridge at that port; its address."""
    own = free_port()
    site = (
        recipe("nginx", "upstream").replace("127.0.0.1:8080", f"127.0.0.1:{port}").replace("8000", f"127.0.0.1:{own}")
    )
    paths = "".join(
        f"{each}_temp_path {directory}/{each};\n" for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    whole = f"daemon off;\npid {directory}/pid;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{site}}}\n"
    (directory / "nginx.conf").write_text(whole)
    command = shutil.which("nginx") or "nginx"
    arguments = ["-p", str(directory), "-c", str(directory / "nginx.conf"), "-e", str(directory / "error.log")]
    process = await asyncio.create_subprocess_exec(command, *arguments)
    try:
        async with client(f"http://127.0.0.1:{own}") as http, asyncio.timeout(10):
            while not await _listens(http):
                assert process.returncode is None, (directory / "error.log").read_text()
                await asyncio.sleep(0.05)
        yield f"http://127.0.0.1:{own}"
    finally:
        process.terminate()
        await process.wait()


async def _listens(http: httpx.AsyncClient) -> bool:
    try:
        await http.get("/nowhere")
    except httpx.ConnectError:
        return False
    return True


async def _until_streams(admin_url: str, count: int) -> None:
    """Until so many are open."""
    async with client(admin_url) as admin, asyncio.timeout(10):
        while True:
            text = (await admin.get("/metrics")).text
            found = re.findall(r"^stepbridge_open_streams\{.*\} ([0-9.]+)", text, re.MULTILINE)
            if sum(map(float, found)) == count:
                return
            await asyncio.sleep(0.05)
