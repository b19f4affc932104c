"""Many at once: readers of whom one is slow, a herd that comes back after a crash, callers that say half a request."""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.bridge import StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume
from tests.e2e.events import sse, take
from tests.e2e.followers import Follower, follow, hang_up
from tests.e2e.records import numbered, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.load.usage import memory
from tests.unit.wait import until

FAST = 200
Say = Callable[[str], None]
HEADER_TIMEOUT_S = 1.5


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 8}


@pytest.fixture(scope="module")
def sections() -> dict[str, Any]:
    return {"limits": {"header_timeout_ms": int(HEADER_TIMEOUT_S * 1000), "streams": 12_000}}


@pytest.fixture
def say(capsys: pytest.CaptureFixture[str]) -> Say:
    """Figures for whoever runs a long test."""

    def line(text: str) -> None:
        with capsys.disabled():
            sys.stdout.write(f"\n{text}\n")

    return line


async def open_streams(shared: SharedBridge) -> float:
    async with client(shared.admin_url) as admin:
        text = (await admin.get("/metrics")).text
    lines = [line for line in text.splitlines() if line.startswith("stepbridge_open_streams{")]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


# ---- one that does not read


async def test_one_who_does_not_read_costs_the_others_nothing_and_loses_nothing(
    shared: SharedBridge, kafka: Kafka, say: Say
) -> None:
    """40 MB are more than the ring and all buffers hold: it goes on from the log when it reads again."""
    topic = shared.topic(1)
    await shared.add(consume("GET /feed", topic, from_="earliest"))
    slow, fast = Follower("/feed"), [Follower("/feed") for _ in range(10)]
    await follow(shared.process.port, [slow, *fast])
    await until(lambda: all(one.status == 200 for one in [slow, *fast]))
    slow.transport.pause_reading()
    before_mb = memory(shared.process.pid).rss_mb
    values = [b'"%03d%s"' % (number, b"x" * 100_000) for number in range(400)]
    await write(kafka, topic, *values)
    await until(lambda: all(len(one.values) == len(values) for one in fast), within_s=60)
    grown_mb = memory(shared.process.pid).rss_mb - before_mb
    assert len(slow.values) < len(values)
    slow.transport.resume_reading()
    await until(lambda: len(slow.values) == len(values), within_s=60)
    wanted = [value.decode().strip('"') for value in values]
    for one in (slow, *fast):
        assert one.values == wanted
        assert one.others == []
    hang_up([slow, *fast])
    say(f"40 MB passed one who did not read: the bridge grew by {grown_mb:.0f} MB")
    assert grown_mb < 80  # the ring and its frames; a queue for the slow one would come on top of them


async def test_hang_ups_are_noticed_at_once(shared: SharedBridge) -> None:
    """Nothing is written that could fail: the connections' ends are enough."""
    await shared.add(consume("GET /feed", shared.topic(1), heartbeat_ms=60_000))
    followers = [Follower("/feed") for _ in range(FAST)]
    await follow(shared.process.port, followers)
    await until(lambda: all(one.status == 200 for one in followers))
    assert await open_streams(shared) == FAST
    hang_up(followers)
    async with asyncio.timeout(2):
        while await open_streams(shared):
            await asyncio.sleep(0.01)


# ---- a herd


@pytest.mark.parametrize("count", [200, pytest.param(5_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
async def test_a_herd_that_comes_back_after_a_crash_loses_and_repeats_nothing(
    count: int, bridge: StartBridge, shared: SharedBridge, kafka: Kafka, say: Say
) -> None:
    """Each with a position of its own, at records from before and after the crash."""
    topic = shared.topic(1)
    await write(kafka, topic, *numbered(50))
    one = await bridge(config(kafka, consume("GET /feed", topic, from_="earliest")))
    async with client(one.base_url) as http, sse(http, "/feed") as events:
        ids = [event.id for event in await take(events, 50)]
    one.kill()
    await write(kafka, topic, *numbered(10, start=50))
    one.start()
    await one.ready()
    idle_mb, began_s = memory(one.pid).rss_mb, time.monotonic()
    herd = [Follower("/feed", ids[number % 50]) for number in range(count)]
    await follow(one.port, herd)
    await until(lambda: all(each.values[-1:] == [59] for each in herd), within_s=120)
    live_s = time.monotonic() - began_s
    await write(kafka, topic, *numbered(3, start=60))
    await until(lambda: all(each.values[-1:] == [62] for each in herd), within_s=60)
    grown_mb = memory(one.pid).rss_mb - idle_mb
    for number, each in enumerate(herd):
        assert (each.status, each.others) == (200, [])
        assert each.values == list(range(number % 50 + 1, 63))
    hang_up(herd)
    say(f"{count} came back: all live after {live_s:.1f} s, the bridge {grown_mb:.0f} MB above idle")
    assert grown_mb < 30 + count * 0.035


# ---- half a request


@pytest.mark.parametrize("count", [1_000, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(300)])])
async def test_half_requests_are_ended_in_time_and_hold_up_nobody(count: int, shared: SharedBridge, say: Say) -> None:
    await shared.add(consume("GET /feed", shared.topic(1)))
    before_mb, grown_mb, waits_s = memory(shared.process.pid).rss_mb, 0.0, list[float]()
    halves = [Half() for _ in range(count)]
    async with client(shared.base_url) as http, asyncio.timeout(60):
        assert (await http.get("/feed?wait=1")).status_code == 200  # the feed has begun
        connecting = asyncio.create_task(follow(shared.process.port, halves))
        while not all(one.is_lost for one in halves):
            began_s = time.monotonic()
            assert (await http.get("/feed?wait=0")).status_code == 200
            waits_s.append(time.monotonic() - began_s)
            grown_mb = max(grown_mb, memory(shared.process.pid).rss_mb - before_mb)
    await connecting
    assert {one.answer.partition(b"\r\n")[0] for one in halves} == {b"HTTP/1.1 408 Request Timeout"}
    say(f"{count} half requests: {len(waits_s)} others served, {max(waits_s):.3f} s at most; {grown_mb:.0f} MB at most")
    assert len(waits_s) > 20
    assert max(waits_s) < HEADER_TIMEOUT_S
    assert grown_mb < 10 + count * 0.02


class Half(asyncio.Protocol):
    """A client that stops in the middle of its request's head."""

    def __init__(self) -> None:
        self.answer = b""
        self.is_lost = False

    def connection_made(self, transport: Any) -> None:
        transport.write(b"GET /feed HTTP/1.1\r\nHost: a\r\nX-Long: ")

    def data_received(self, data: bytes) -> None:
        self.answer += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True
