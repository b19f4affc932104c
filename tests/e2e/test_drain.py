"""How a bridge stops: nothing that it took in is cut off, those who wait are answered, and it ends with 0."""

import asyncio
import contextlib
import json
import signal
import time

import httpx
import pytest
import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.events import NDJSON, SSE, record_of, sse
from tests.e2e.reader import Reader
from tests.e2e.records import numbered, until, write
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.unit.http.served import Client

HEAD = b"POST /w HTTP/1.1\r\nHost: a\r\n"


def draining(delay_ms: int, timeout_ms: int = 10_000) -> dict[str, int]:
    return {"delay_ms": delay_ms, "timeout_ms": timeout_ms}


async def has_begun(running: Bridge) -> bool:
    """Whether /readyz says 503."""
    async with client(running.admin_url) as admin:
        return (await admin.get("/readyz")).status_code == 503


# ---- under load


@pytest.mark.parametrize("delay_ms", [pytest.param(0, marks=pytest.mark.long), 500])
async def test_under_load_every_request_is_answered_or_was_never_taken(
    delay_ms: int, bridge: StartBridge, kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    """What is in the topic is exactly what was answered 201."""
    await kafka.create_topic(name, 2)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(delay_ms)))
    taken: list[bytes] = []
    cut: list[Exception] = []

    async def post(which: int) -> None:
        async with client(running.base_url) as http:
            for number in range(1_000_000):
                value = b"%d/%d" % (which, number)
                try:
                    answer = await http.post("/w", content=value)
                except httpx.ConnectError:
                    return  # the listener is closed
                except httpx.TransportError as exc:
                    cut.append(exc)
                    return
                assert answer.status_code == 201
                taken.append(value)

    clients = [asyncio.create_task(post(which)) for which in range(16)]
    async with asyncio.timeout(20):
        while len(taken) < 200:
            await asyncio.sleep(0.01)
    assert await running.stop() == 0, running.log
    await asyncio.gather(*clients)
    assert sorted(record.value or b"" for record in await consume_all(name)) == sorted(taken)
    if delay_ms:  # time to ask every client to go elsewhere; what connects while the listener closes may be unlucky
        assert len(cut) <= 1, f"{len(cut)} connections were ended under a request"


async def test_from_the_signal_on_it_is_unready_but_serves_and_asks_clients_to_go_elsewhere(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(1_500)))
    async with client(running.base_url) as http, client(running.admin_url) as admin:
        before = await http.post("/w")
        assert "connection" not in before.headers
        running.signal(signal.SIGTERM)
        signalled_s = time.monotonic()
        await until(lambda: has_begun(running), within_s=1)
        assert (await admin.get("/readyz?strict=1")).status_code == 503
        assert (await admin.get("/healthz")).status_code == 200
        for _ in range(3):
            during = await http.post("/w")
            assert (during.status_code, during.headers["connection"]) == (201, "close")
        assert time.monotonic() - signalled_s < 1.5
        assert await running.ended() == 0
        assert 1.4 < time.monotonic() - signalled_s < 6
    assert '"event":"drain_began"' in running.log
    assert '"event":"stopped"' in running.log


# ---- those who wait, and those who send


async def test_polls_streams_and_idle_connections_end_cleanly(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    await kafka.create_topic(name)
    await write(kafka, name, b"0")
    running = await bridge(config(kafka, consume("GET /r", name, group=name, lease_ms=60_000)))
    silent = await Client.connect(running.port)
    async with Reader(running.base_url, "/r") as reader:
        assert await reader.take(1) == [0]
        polling = [asyncio.create_task(reader.poll(wait_s=60)) for _ in range(3)]
        async with contextlib.AsyncExitStack() as stack:
            answers = [
                await stack.enter_async_context(reader.http.stream("GET", "/r", headers={"accept": media}))
                for media in (SSE, NDJSON)
            ]
            await asyncio.wait(polling, timeout=0.2)
            stopping = asyncio.create_task(running.stop())
            for answer in answers:
                await answer.aread()  # raises unless the last chunk came
        assert [(await each).records for each in polling] == [[], [], []]
        assert await stopping == 0
    assert await silent.rest() == b""
    silent.close()


async def test_a_stream_that_was_ended_goes_on_at_the_next_bridge(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    """The client of an ended stream comes back by itself, with Last-Event-ID: nothing is missed, nothing twice."""
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(6))
    text = config(kafka, consume("GET /r", name, group=name, ack="auto", lease_ms=60_000))
    first = await bridge(text)
    seen = []
    async with client(first.base_url) as http, sse(http, "/r") as events:
        async for event in events:
            if event.event == "message":  # not the one that says why the stream ends
                seen.append(record_of(event)["value"])
            if len(seen) == 6 and event.event == "message":
                stopping = asyncio.create_task(first.stop())
    assert await stopping == 0
    await write(kafka, name, *numbered(3, start=6))
    async with client((await bridge(text)).base_url) as http, sse(http, "/r", event.id) as events:
        while len(seen) < 9:
            seen.append(record_of(await anext(events))["value"])
    assert seen == list(range(9))


async def test_a_body_that_is_still_arriving_is_waited_for(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name)))
    slow = await Client.connect(running.port)
    slow.send(HEAD + b"Content-Length: 8\r\n\r\nhalf")
    async with client(running.base_url) as http:
        assert (await http.post("/w", content=b"other")).status_code == 201
    running.signal(signal.SIGTERM)
    await until(lambda: has_begun(running))
    slow.send(b"half")
    status, headers, _ = await slow.answer()
    assert (status, headers["connection"]) == (201, "close")
    slow.close()
    assert await running.ended() == 0
    assert [record.value for record in await kafka.consume_all(name)] == [b"other", b"halfhalf"]


async def test_what_does_not_end_in_time_is_cut_off_and_the_exit_code_says_so(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    running = await bridge(config(kafka, produce("POST /w", name), drain=draining(0, 1_000)))
    stuck = await Client.connect(running.port)
    stuck.send(HEAD + b"Content-Length: 8\r\n\r\nhalf")
    async with client(running.base_url) as http:
        assert (await http.post("/w", content=b"other")).status_code == 201
    began_s = time.monotonic()
    assert await running.stop() == 1
    assert time.monotonic() - began_s < 8
    assert await stuck.rest() == b""  # no answer: any would be a guess at what has become of it
    (said,) = [json.loads(line) for line in running.log.splitlines() if '"event":"request_cut_off"' in line]
    assert said["route"] == "post-w"
    assert said["request_id"]
    assert "traceback" not in running.log
    stuck.close()
    assert [record.value for record in await kafka.consume_all(name)] == [b"other"]


# ---- signals


@pytest_asyncio.fixture
async def lingering(bridge: StartBridge, kafka: Kafka, name: str) -> Bridge:
    """A bridge that takes a minute to drain."""
    await kafka.create_topic(name)
    return await bridge(config(kafka, produce("POST /w", name), drain=draining(60_000)))


@pytest.mark.parametrize("second", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.long)])
async def test_a_second_signal_ends_it_at_once(second: signal.Signals, lingering: Bridge) -> None:
    lingering.signal(signal.SIGTERM)
    await until(lambda: has_begun(lingering))
    began_s = time.monotonic()
    lingering.signal(second)
    assert await lingering.ended() == 128 + second
    assert time.monotonic() - began_s < 1


async def test_ctrl_c_drains_without_delay(lingering: Bridge) -> None:
    began_s = time.monotonic()
    lingering.signal(signal.SIGINT)
    assert await lingering.ended() == 0
    assert time.monotonic() - began_s < 5
