"""Streams of a group: SSE and NDJSON, acknowledged by POST or by being read, dropped and resumed."""

import asyncio
import json
import time
from collections import Counter
from contextlib import closing

import pytest

from tests.e2e.conftest import StartWork
from tests.e2e.events import NDJSON, SSE, OpenStream, ndjson, position_of, record_of, sse, take, value_of, values
from tests.e2e.records import Put, numbered, until
from tests.e2e.shared import SharedBridge

BOTH = pytest.mark.parametrize("stream", [sse, ndjson], ids=["SSE", "NDJSON"])


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 24, 2: 4}


# ---- what comes


async def test_an_event_is_the_record_with_its_lease_under_an_id(work: StartWork) -> None:
    one = await work(Put(b'{"a": 1}', b"k", 0, [("h", b"v")], 1_700_000_000_123))
    polled = await one.reader.poll()
    await one.reader.ack(polled.lease, release="all")
    async with sse(one.reader.http, one.path) as events:
        event = await anext(events)
    record = record_of(event)
    assert event.event == "message"
    assert event.id
    assert event.retry is None or event.retry > 0
    assert record.pop("lease")
    assert record == polled.records[0] | {"deliveries": 2}


async def test_an_event_stream_looks_as_browsers_and_proxies_want_it(work: StartWork) -> None:
    one = await work(b"0", heartbeat_ms=200)
    async with one.reader.http.stream("GET", one.path, headers={"accept": SSE}) as answer:
        assert answer.headers["content-type"].startswith(SSE)
        assert "no-store" in answer.headers["cache-control"]
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["x-request-id"]
        text = ""
        async with asyncio.timeout(10):
            async for piece in answer.aiter_text():
                text += piece
                if text.count("\n:") >= 3:
                    break
    assert text.startswith("retry: ")
    assert text.count("\ndata: ") == 1


async def test_an_ndjson_stream_is_a_line_a_record_with_lease_and_position(work: StartWork) -> None:
    one = await work(b'{"a":\n1}', b"text\nwith lines", heartbeat_ms=200)
    async with one.reader.http.stream("GET", one.path, headers={"accept": NDJSON}) as answer:
        assert answer.headers["content-type"].startswith(NDJSON)
        assert "no-store" in answer.headers["cache-control"]
        lines = []
        async with asyncio.timeout(10):
            async for line in answer.aiter_lines():
                lines.append(line)
                if len(lines) >= 6:
                    break
    records = [json.loads(line) for line in lines if line]
    assert [record["value"] for record in records] == [{"a": 1}, "text\nwith lines"]
    assert all(record["lease"] and record["position"] for record in records)


async def test_a_value_with_line_breaks_is_still_one_event(work: StartWork) -> None:
    hostile = [
        b'{\r\n "a":\n 1\r}',
        b"data: x\n\nevent: y\r\rid: z",
        "line\u2028separator\u0085".encode(),
        b"\x00\r\n\xff",
    ]
    one = await work(*hostile)
    async with sse(one.reader.http, one.path) as events:
        found = [record_of(event) for event in await take(events, 4)]
    assert [record["encoding"] for record in found] == ["json", "text", "text", "base64"]
    assert found[0]["value"] == {"a": 1}
    assert found[1]["value"] == "data: x\n\nevent: y\r\rid: z"
    assert found[2]["value"] == "line\u2028separator\u0085"


async def test_shape_values_streams_the_bare_values(work: StartWork) -> None:
    one = await work(b'{"a": 1}', b"text", shape="values", ack="auto")
    async with sse(one.reader.http, one.path) as events:
        assert [json.loads(event.data) for event in await take(events, 2)] == [{"a": 1}, "text"]


@BOTH
async def test_a_record_reaches_an_open_stream_at_once(stream: OpenStream, work: StartWork) -> None:
    one = await work(b"0", heartbeat_ms=60_000)
    async with stream(one.reader.http, one.path) as events:
        assert await values(events, 1) == [0]
        await one.write(b"1")
        written_s = time.monotonic()
        assert await values(events, 1) == [1]
        assert time.monotonic() - written_s < 1


async def test_streams_and_polls_share_the_records_of_their_group(work: StartWork) -> None:
    one = await work(heartbeat_ms=60_000)
    seen: Counter[int] = Counter()

    async def read(stream: OpenStream) -> None:
        async with stream(one.reader.http, one.path) as events:
            async for event in events:
                seen[value_of(event)] += 1

    async def poll() -> None:
        while True:
            seen.update((await one.reader.poll(most=3)).values)

    readers = [asyncio.create_task(reading) for reading in (read(sse), read(sse), read(ndjson), poll())]
    for start in range(0, 90, 30):
        await one.write(*numbered(30, start=start))
    async with asyncio.timeout(10):
        while len(seen) < 90:
            await asyncio.sleep(0.01)
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*readers, return_exceptions=True)
    assert seen == Counter(range(90))


# ---- acknowledged by POST


@BOTH
async def test_an_explicit_stream_is_acknowledged_with_the_leases_of_its_events(
    stream: OpenStream, work: StartWork
) -> None:
    one = await work(*numbered(5), lease_ms=60_000)
    async with stream(one.reader.http, one.path) as events:
        for event in await take(events, 5):
            record = record_of(event)
            await one.reader.accept(record["lease"], [record["id"]])
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 5


async def test_what_an_explicit_stream_does_not_accept_comes_again_on_it(work: StartWork) -> None:
    one = await work(*numbered(2), lease_ms=500)
    async with sse(one.reader.http, one.path) as events:
        records = [record_of(event) for event in await take(events, 4)]
    assert [(record["value"], record["deliveries"]) for record in records] == [(0, 1), (1, 1), (0, 2), (1, 2)]


async def test_an_explicit_stream_that_is_resumed_keeps_what_it_has_and_gets_the_rest(work: StartWork) -> None:
    """What came up to Last-Event-ID can still be acknowledged with its leases; the rest of the stream comes again."""
    one = await work(*numbered(10), lease_ms=60_000)
    async with sse(one.reader.http, one.path) as events:
        first = await take(events, 4)
    async with sse(one.reader.http, one.path, first[-1].id) as events:
        second = await take(events, 6)
    assert [value_of(event) for event in second] == [4, 5, 6, 7, 8, 9]
    for record in (record_of(event) for event in [*first, *second]):
        await one.reader.accept(record["lease"], [record["id"]])
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 10


# ---- acknowledged by being read


@BOTH
async def test_with_ack_auto_what_an_open_stream_was_sent_is_soon_committed(
    stream: OpenStream, work: StartWork
) -> None:
    one = await work(*numbered(5), ack="auto", heartbeat_ms=60_000)

    async def is_committed() -> bool:
        commit = await one.committed()
        return commit is not None and commit.offset == 5

    async with stream(one.reader.http, one.path) as events:
        assert await values(events, 5) == list(range(5))
        await until(is_committed, within_s=5)


@BOTH
async def test_with_ack_auto_a_resumed_stream_misses_nothing_and_sees_nothing_twice(
    stream: OpenStream, work: StartWork
) -> None:
    one = await work(*(Put(b"%d" % n, partition=n % 2) for n in range(40)), partitions=2, ack="auto")
    seen: list[int] = []
    last = None
    while len(seen) < 40:
        async with stream(one.reader.http, one.path, last) as events:
            for event in await take(events, min(7, 40 - len(seen))):
                seen.append(value_of(event))
                last = position_of(event)
    assert sorted(seen) == list(range(40))


async def test_with_ack_auto_what_a_dropped_stream_did_not_confirm_goes_to_the_next(work: StartWork) -> None:
    """Without Last-Event-ID nobody knows what was read: all of it comes again, after time to resume."""
    one = await work(*numbered(5), ack="auto", lease_ms=60_000, heartbeat_ms=60_000)
    async with sse(one.reader.http, one.path) as events:
        assert await values(events, 1) == [0]
    polled = await one.reader.poll(wait_s=20)
    assert sorted(polled.values) == list(range(5))
    assert set(polled.deliveries) == {2}


# ---- refused


async def test_a_last_event_id_that_is_not_ours_opens_no_stream(work: StartWork) -> None:
    one, other = await work(b"0"), await work(b"0")
    async with sse(other.reader.http, other.path) as events:
        foreign = (await anext(events)).id
    for wrong, refusal in (
        ("17", (400, "bad_token")),
        (foreign, (403, "token_of_another_route")),
        ("x" * 20_000, (400, "malformed_request")),
    ):
        headers = {"accept": SSE, "last-event-id": wrong}
        answer = await one.reader.http.get(one.path, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == refusal
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await one.reader.poll()).deliveries == [1]


# ---- one reader's trouble is its own


async def test_a_stream_that_nobody_reads_keeps_nothing_from_the_others(work: StartWork, shared: SharedBridge) -> None:
    """It is sent what fits into its buffers; the others of its group get everything else."""
    one = await work(ack="auto", heartbeat_ms=60_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.process.port, limit=1_024)
    with closing(writer):
        writer.write(f"GET {one.path} HTTP/1.1\r\nHost: a\r\nAccept: {SSE}\r\n\r\n".encode())
        assert b"200" in await reader.readline()
        big = b"x" * 300_000
        await one.write(*(b'"%03d%s"' % (number, big) for number in range(60)))
        seen: set[str] = set()
        async with sse(one.reader.http, one.path) as events, asyncio.timeout(30):
            while len(seen) < 20:
                seen.add(value_of(await anext(events))[:3])
