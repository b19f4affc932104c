"""NDJSON as many records: results while the body still arrives, and bounds whatever its length."""

import asyncio
import contextlib
import gc
import gzip
import sys
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from proxy.errors import NotWritten, OutcomeUnknown, ProxyError
from proxy.http.items import WINDOW
from proxy.limits.gate import Gate
from proxy.record import Record
from tests.unit.http.batching import NDJSON, Answered, Batching, ScriptedSubmitter, Upload, post, until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd


async def ask(body: bytes, batching: Batching | None = None, **headers: str) -> Answered:
    async with (batching or Batching()).serve() as serving:
        answer = await post(serving.port, body, NDJSON, **headers)
        await until(lambda: serving.is_idle)
        return answer


@pytest_asyncio.fixture
async def batching() -> AsyncIterator[Batching]:
    async with Batching().serve() as serving:
        yield serving
        await until(lambda: serving.is_idle)


@pytest_asyncio.fixture
async def upload(batching: Batching) -> AsyncIterator[Upload]:
    """An upload to it that has begun."""
    one = await Upload.begin(batching.port)
    yield one
    one.client.abort()


# ---- lines in, results out


async def test_each_line_is_a_record_with_exactly_its_bytes() -> None:
    batching = Batching()
    answer = await ask(b'{"sku":1}\r\n\n {"sku": 2.50 }\n  \n{"sku":"\xc3\xa9"}', batching)
    assert (answer.status, answer.headers["content-type"]) == (207, NDJSON)
    assert answer.lines == [{"index": index, "status": 201, "partition": 0, "offset": index} for index in range(3)]
    assert batching.submitter.values == [b'{"sku":1}', b' {"sku": 2.50 }', b'{"sku":"\xc3\xa9"}']
    assert batching.submitter.keys == [b"7:1", b"7:2.50", "7:é".encode()]


@pytest.mark.parametrize(
    ("line", "status", "step", "code"),
    [
        (b'{"sku":', 400, "parse", "not_json"),
        (b'{"sku": "\xff"}', 400, "parse", "not_json"),
        (b'{"sku": NaN}', 400, "parse", "not_json"),
        (b"[" * 100_000, 400, "parse", "not_json"),
        (b"{}", 422, "template", "field_missing"),
        (b"[1, 2]", 422, "template", "field_missing"),
        (b'{"sku": "%b"}' % (b"x" * 200_000), 413, "parse", "too_large"),
    ],
    ids=["cut off", "no UTF-8", "NaN", "100,000 deep", "field missing", "array", "too long"],
)
async def test_one_bad_line_fails_alone(line: bytes, status: int, step: str, code: str) -> None:
    batching = Batching(max_body_bytes=150_000)
    answer = await ask(b'{"sku":1}\n' + line + b'\n{"sku":2}\n', batching)
    assert [result["status"] for result in answer.lines] == [201, status, 201]
    assert (answer.lines[1]["step"], answer.lines[1]["code"], answer.lines[1]["index"]) == (step, code, 1)
    assert batching.submitter.values == [b'{"sku":1}', b'{"sku":2}']


async def test_a_line_is_json_whether_or_not_the_route_looks_into_it() -> None:
    answer = await ask(b"1\nx\n[]\n", Batching(produce={}))
    assert [result["status"] for result in answer.lines] == [201, 400, 201]


async def test_results_have_the_codes_of_a_request_of_their_own() -> None:
    def fate(record: Record) -> ProxyError | None:
        return {b"1": NotWritten("waited too long"), b"2": OutcomeUnknown("who knows")}.get(record.value or b"")

    answer = await ask(b"0\n1\n2\n", Batching(submitter=ScriptedSubmitter(fate), produce={}))
    results = [(result["status"], result.get("step"), result.get("code")) for result in answer.lines]
    assert results == [(201, None, None), (503, "queue", "not_written"), (504, "kafka", "outcome_unknown")]


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\n"])
async def test_a_body_without_lines_is_refused(body: bytes) -> None:
    answer = await ask(body)
    assert (answer.status, answer.json["code"]) == (422, "empty_batch")


async def test_a_route_that_does_not_name_ndjson_among_its_types_refuses_it() -> None:
    answer = await ask(b"1\n", Batching(produce={"content_types": ("application/json",)}))
    assert (answer.status, answer.json["code"]) == (415, "unsupported_media_type")


# ---- while it arrives


async def test_results_come_while_the_body_still_arrives(batching: Batching, upload: Upload) -> None:
    await upload.send(b'{"sku":1}\n{"sku"')
    assert await upload.head() == 207
    assert (await upload.result())["index"] == 0
    await upload.send(b":2}\n")
    assert (await upload.result())["offset"] == 1
    await upload.send(b'{"sku":3}')
    upload.end()
    assert (await upload.result())["index"] == 2
    assert await upload.result() is None
    assert batching.submitter.values == [b'{"sku":1}', b'{"sku":2}', b'{"sku":3}']


async def test_no_more_than_a_window_is_with_kafka_at_one_time(batching: Batching, upload: Upload) -> None:
    lines = b'{"sku":1}\n' * (3 * WINDOW + 5)
    batching.submitter.open.clear()
    await upload.send(lines)
    upload.end()
    await until(lambda: batching.submitter.windows == [WINDOW])
    assert batching.gate.count == batching.own.count == 1
    assert 0 < batching.gate.held_bytes <= len(lines)
    batching.submitter.open.set()
    assert await upload.head() == 207
    assert [(await upload.result())["offset"] for _ in range(3 * WINDOW + 5)] == list(range(3 * WINDOW + 5))
    assert max(batching.submitter.windows) == WINDOW


async def test_an_upload_that_waits_for_lines_is_a_stream_and_holds_no_place_among_requests(
    batching: Batching, upload: Upload
) -> None:
    await upload.send(b'{"sku":1}\n{"sk')
    await upload.head()
    await upload.result()
    assert (batching.streams.count, batching.gate.count, batching.own.count) == (1, 0, 0)
    assert batching.gate.held_bytes == len(b'{"sk')
    upload.client.close()


async def test_at_the_bound_of_requests_its_lines_are_refused_and_it_goes_on(
    batching: Batching, upload: Upload
) -> None:
    batching.own.limit = 0
    await upload.send(b'{"sku":1}\n')
    await upload.head()
    refused = await upload.result()
    assert (refused["status"], refused["step"], refused["code"]) == (503, "queue", "overloaded")
    batching.own.limit = 1
    await upload.send(b'{"sku":2}\n')
    assert (await upload.result())["status"] == 201
    upload.end()
    assert await upload.result() is None
    assert batching.submitter.values == [b'{"sku":2}']


async def test_at_the_bound_of_bytes_lines_are_refused_the_unfinished_one_too(
    batching: Batching, upload: Upload
) -> None:
    batching.gate.limit_bytes = 5
    await upload.send(b'{"sku":1}\n{"sku"')
    await upload.head()
    assert (await upload.result())["status"] == 503
    batching.gate.limit_bytes = 1_000
    await upload.send(b':2}\n{"sku":3}\n')
    assert [(await upload.result())["status"] for _ in range(2)] == [503, 201]
    upload.end()
    assert await upload.result() is None
    assert batching.submitter.values == [b'{"sku":3}']


async def test_at_the_bound_of_streams_an_upload_is_refused() -> None:
    batching = Batching()
    batching.streams.limit = 0
    answer = await ask(b"1\n", batching)
    assert (answer.status, answer.json["code"]) == (503, "too_many_streams")


# ---- others have their turn


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        (b"x\n" * 60_000, "identity"),
        (gzip.compress(b"x\n" * 60_000), "gzip"),
        (gzip.compress(b" \n" * 20_000_000, 1), "gzip"),
        (zstd.compress(b"") * 60_000, "zstd"),
    ],
    ids=["bad lines", "bad lines, compressed", "blank lines", "frames of nothing"],
)
async def test_what_needs_no_kafka_holds_up_nobody_else(body: bytes, coding: str) -> None:
    """The loop is everybody's: of all this only a part is done before others have their turn."""
    async with Batching().serve() as serving:
        with uncollected():
            turns = asyncio.create_task(longest_between_turns())
            await post(serving.port, body, NDJSON, content_encoding=coding)
            turns.cancel()
            assert await turns < 0.1


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """A collection's length is that of all that the tests of this process have left, not of the code looked at."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


async def longest_between_turns() -> float:
    """The most that this thread has computed without a turn for others, until cancelled: its share of all it has."""
    began_s = before_s = time.thread_time()
    longest_s = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(0)
            now_s = time.thread_time()
            longest_s, before_s = max(longest_s, now_s - before_s), now_s
    return longest_s / (time.thread_time() - began_s)


# ---- ends


async def test_a_line_cut_off_with_the_connection_is_not_written(batching: Batching, upload: Upload) -> None:
    await upload.send(b'{"sku":1}\n{"sku":2}')
    await upload.head()
    await upload.result()
    upload.client.abort()
    await until(lambda: batching.is_idle)
    assert batching.submitter.values == [b'{"sku":1}']


async def test_a_broken_chunk_ends_the_upload_with_a_last_result_that_says_so(
    batching: Batching, upload: Upload
) -> None:
    await upload.send(b'{"sku":1}\n{"sku":2}')
    await upload.head()
    await upload.result()
    upload.client.send(b"nonsense\r\n")
    last = await upload.result()
    assert (last["index"], last["status"], last["step"]) == (1, 400, "parse")
    assert await upload.result() is None
    assert await upload.ended()
    assert batching.submitter.values == [b'{"sku":1}']


async def test_a_drain_ends_the_upload_with_a_last_result_that_says_so(batching: Batching, upload: Upload) -> None:
    await upload.send(b'{"sku":1}\n')
    await upload.head()
    await upload.result()
    batching.drain.set_result(None)
    last = await upload.result()
    assert (last["index"], last["status"], last["code"]) == (1, 503, "draining")
    assert await upload.result() is None
    assert await upload.ended()


async def test_a_drain_does_not_cut_what_has_been_read(batching: Batching, upload: Upload) -> None:
    batching.submitter.open.clear()
    await upload.send(b'{"sku":1}\n' * (WINDOW + 1))
    await until(lambda: batching.submitter.windows == [WINDOW])
    batching.drain.set_result(None)
    batching.submitter.open.set()
    assert await upload.head() == 207
    results = [await upload.result() for _ in range(WINDOW + 2)]
    assert [result["status"] for result in results] == [201] * (WINDOW + 1) + [503]


async def test_an_upload_that_is_here_as_a_whole_is_taken_during_a_drain() -> None:
    batching = Batching()
    batching.drain.set_result(None)
    answer = await ask(b'{"sku":1}\n', batching)
    assert (answer.status, len(answer.lines)) == (207, 1)


async def test_a_client_that_never_reads_its_results_is_not_read_for_ever_and_ended_at_the_deadline() -> None:
    async with Batching(timeout_s=0.5).serve() as batching:
        upload = await Upload.begin(batching.port)
        sent = 0

        async def send_for_ever() -> None:
            nonlocal sent
            while True:
                await upload.send(b"x\n" * 32_000)
                sent += 64_000

        async with asyncio.timeout(30):
            with pytest.raises(ConnectionError):
                await send_for_ever()
        upload.client.abort()
        assert sent < 10_000_000  # what sockets and buffers hold; a result is a hundred times its line
        await until(lambda: batching.is_idle)


# ---- compressed


def results(answer: Answered) -> list[Any]:
    return [(result["status"], result.get("code")) for result in answer.lines]


async def test_a_compressed_upload_is_its_lines() -> None:
    batching = Batching()
    body = gzip.compress(b'{"sku":1}\n') + gzip.compress(b'{"sku":2}\n')
    assert results(await ask(body, batching, content_encoding="gzip")) == [(201, None)] * 2
    assert batching.submitter.values == [b'{"sku":1}', b'{"sku":2}']


async def test_a_gzip_that_ends_too_soon_is_the_last_result() -> None:
    batching = Batching()
    body = gzip.compress(b'{"sku":1}\n{"sku":2}')[:-1]
    answer = await ask(body, batching, content_encoding="gzip")
    assert results(answer) == [(201, None), (400, "bad_encoding")]
    assert batching.submitter.values == [b'{"sku":1}']


async def test_what_cannot_be_expanded_from_the_start_has_a_status_of_its_own() -> None:
    answer = await ask(b'{"sku":1}\n', content_encoding="gzip")
    assert (answer.status, answer.json["code"]) == (400, "bad_encoding")
    answer = await ask(b'{"sku":1}\n', content_encoding="br")
    assert (answer.status, answer.headers["accept-encoding"]) == (415, "gzip, zstd")


async def test_a_bomb_of_lines_is_ended_at_the_ratio() -> None:
    batching = Batching(produce={})
    line = b'"%b"\n' % (b"x" * 997)
    answer = await ask(gzip.compress(line * 10_000), batching, content_encoding="gzip")
    *written, last = results(answer)
    assert last == (413, "expands_too_much")
    assert set(written) == {(201, None)}
    assert 1_000 < len(written) < 10_000


async def test_only_so_many_windows_of_zstd_are_held() -> None:
    batching = Batching(zstd=Gate(0, 0))
    answer = await ask(b"", batching, content_encoding="zstd")
    assert (answer.status, answer.json["code"]) == (503, "overloaded")
