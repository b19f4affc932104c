"""Many records in one request, on a real Kafka: what is in the topic is what the results say, in the order sent."""

import asyncio
import gzip
import json
import random
import sys
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from proxy.http.items import WINDOW
from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, produce
from tests.e2e.records import until, written
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.load.usage import memory
from tests.unit.http.batching import NDJSON, Upload, chunks
from tests.unit.http.served import Client

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

KEY = "{path.store}:{body.sku}"
LINES = {"content-type": NDJSON}


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 0, 2: 13}


@pytest_asyncio.fixture
async def batch(shared: SharedBridge, topic: str) -> SharedBridge:
    """A bridge with one route, POST /b/{store}, that takes batches."""
    await shared.add(produce("POST /b/{store}", topic, key=KEY, batch=True))
    return shared


@pytest_asyncio.fixture
async def upload(batch: SharedBridge) -> AsyncIterator[Upload]:
    """An NDJSON request that has begun."""
    one = await Upload.begin(batch.process.port)
    yield one
    one.client.abort()


def lines_of(answer: httpx.Response) -> list[Any]:
    assert (answer.status_code, answer.headers["content-type"]) == (207, NDJSON)
    return [json.loads(line) for line in answer.text.splitlines()]


# ---- what is written


async def test_the_records_of_an_array_are_its_elements_byte_for_byte(
    batch: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    elements = [b'{"sku": 1.10}', b'{ "sku":\t"a,]" }', '{"sku":"é"}'.encode(), b'{"sku":12345678901234567890123}']
    answer = await http.post(
        "/b/7", content=b"[ " + b" , ".join(elements) + b"\n]", headers={"content-type": "application/json"}
    )
    assert answer.status_code == 201
    records = {(record.partition, record.offset): record for record in await consume_all(topic)}
    found = [records[item["partition"], item["offset"]] for item in answer.json()["items"]]
    assert [record.value for record in found] == elements
    assert [record.key.decode() for record in found] == ["7:1.10", "7:a,]", "7:é", "7:12345678901234567890123"]
    assert len(records) == len(elements)


@pytest.mark.parametrize("form", ["array", "ndjson"])
async def test_a_batch_larger_than_a_window_keeps_the_order_of_each_key(
    form: str, batch: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    values = [{"sku": number % 7, "number": number} for number in range(10 * WINDOW)]
    if form == "array":
        answer = await http.post("/b/7", json=values)
        assert answer.status_code == 201
        results = answer.json()["items"]
    else:
        results = lines_of(await http.post("/b/7", content="\n".join(map(json.dumps, values)), headers=LINES))
    assert {result["status"] for result in results} == {201}
    assert [result["index"] for result in results] == list(range(len(values)))
    numbers = defaultdict(list)
    for record in await consume_all(topic):
        numbers[record.key].append(json.loads(record.value)["number"])
    assert sorted(numbers.values()) == [list(range(first, len(values), 7)) for first in range(7)]


async def test_every_result_tells_the_truth_about_its_line(
    batch: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    sent = [b'{"sku":%d}' % number for number in range(3_000)]
    for number in range(0, 3_000, 10):
        sent[number] = (b'{"sku"', b"{}", b'{"sku":[]}', b'{"sku":"\xff"}')[number // 10 % 4]
    results = lines_of(await http.post("/b/7", content=b"\r\n".join(sent), headers=LINES))
    bad = {result["index"]: result["status"] for result in results if result["status"] != 201}
    assert bad == {number: (400, 422, 422, 400)[number // 10 % 4] for number in range(0, 3_000, 10)}
    records = {(record.partition, record.offset): record.value for record in await consume_all(topic)}
    places = {
        (result["partition"], result["offset"]): sent[result["index"]] for result in results if result["status"] == 201
    }
    assert records == places


async def test_what_the_topic_would_refuse_fails_alone(
    bridge: StartBridge, kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    await kafka.create_topic(name, 1, {"max.message.bytes": "1000", "cleanup.policy": "compact"})
    running = await bridge(
        config(kafka, produce("POST /b", name, key="{body.sku}", batch=True), produce("POST /n", name, batch=True))
    )
    async with client(running.base_url) as http:
        items = (await http.post("/b", json=[{"sku": 1}, {"sku": 2, "note": "x" * 1_000}, {"sku": 3}])).json()["items"]
        keyless = (await http.post("/n", json=[1])).json()
    assert [(item["status"], item.get("step"), item.get("limit_bytes")) for item in items] == [
        (201, None, None),
        (413, "refuse", 1_000),
        (201, None, None),
    ]
    assert (keyless["items"][0]["status"], keyless["items"][0]["code"]) == (422, "key_required")
    assert [record.key for record in await consume_all(name)] == [b"1", b"3"]


async def test_a_missing_topic_fails_each_item_and_is_not_made(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    running = await bridge(config(kafka, produce("POST /b", name, batch=True)))
    async with client(running.base_url) as http:
        answer = await http.post("/b", json=[1, 2])
    assert (answer.status_code, answer.json()["retry"]) == (207, [0, 1])
    assert {(item["status"], item["code"]) for item in answer.json()["items"]} == {(503, "topic_missing")}
    assert name not in await kafka.list_topics()


async def test_with_kafka_frozen_each_item_is_unknown_or_not_written_and_only_the_latter_is_to_be_retried(
    bridge: StartBridge, own_kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    await own_kafka.create_topic(name, 1)
    running = await bridge(config(own_kafka, produce("POST /b", name, batch=True, timeout_ms=700)))
    async with client(running.base_url) as http:
        assert (await http.post("/b", json=["before"])).status_code == 201
        own_kafka.freeze()
        first = asyncio.create_task(http.post("/b", json=["unknown"]))
        await until(lambda: _one_is_with_kafka(running))
        second = (await http.post("/b", json=["a", "b"])).json()
        own_kafka.thaw()
    unknown = (await first).json()
    assert ([item["status"] for item in unknown["items"]], unknown["retry"]) == ([504], [])
    assert ([item["step"] for item in second["items"]], second["retry"]) == (["queue", "queue"], [0, 1])

    async def arrived() -> bool:
        return await written(own_kafka, name) >= 2

    await until(arrived)  # the frozen broker had it: it is written after all
    assert [record.value for record in await consume_all(name)] == [b'"before"', b'"unknown"']


async def _one_is_with_kafka(running: Bridge) -> bool:
    async with client(running.admin_url) as admin:
        metrics = (await admin.get("/metrics")).text
    return any(
        line.startswith("stepbridge_batches_in_flight{") and line.endswith(" 1.0") for line in metrics.splitlines()
    )


# ---- streams of lines


async def test_results_come_while_an_ordinary_client_still_sends(batch: SharedBridge, upload: Upload) -> None:
    for number in range(5):
        await upload.send(b'{"sku":%d}\n{"sk' % number if number == 0 else b'u":%d}\n{"sk' % number)
        if number == 0:
            assert await upload.head() == 207
        assert (await upload.result())["index"] == number
    await upload.send(b'u":5}')
    upload.end()
    assert (await upload.result())["status"] == 201
    assert await upload.result() is None


async def test_a_client_that_streams_its_body_and_its_answer(batch: SharedBridge, http: httpx.AsyncClient) -> None:
    async def body() -> AsyncIterator[bytes]:
        for number in range(500):
            yield b'{"sku":%d}' % number
            yield b"\n"

    async with http.stream("POST", "/b/7", content=body(), headers=LINES) as answer:
        assert answer.status_code == 207
        results = [json.loads(line) async for line in answer.aiter_lines()]
    assert [(result["index"], result["status"]) for result in results] == [(number, 201) for number in range(500)]


async def test_a_connection_goes_on_after_a_batch(batch: SharedBridge) -> None:
    one = await Client.connect(batch.process.port)
    for body in (b'[{"sku":1}]', b'[{"sku":2}]'):
        head = b"POST /b/7 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        one.send(head % len(body) + body)
        status, headers, _ = await one.answer()
        assert (status, headers.get("connection")) == (201, None)
    one.close()


async def test_an_upload_cut_off_leaves_whole_lines_only(
    batch: SharedBridge, upload: Upload, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    await upload.send(b'{"sku":1}\n{"sku":2}')
    await upload.head()
    await upload.result()
    upload.client.abort()
    assert (await http.post("/b/7", json={"sku": "after"})).status_code == 201
    assert b'{"sku":2}' not in [record.value for record in await consume_all(topic)]


async def test_a_drain_ends_an_upload_with_a_result_that_says_from_where_to_go_on(
    bridge: StartBridge, kafka: Kafka, name: str, consume_all: ConsumeAll
) -> None:
    await kafka.create_topic(name, 1)
    running = await bridge(config(kafka, produce("POST /b/{store}", name, key=KEY, batch=True)))
    upload = await Upload.begin(running.port)
    await upload.send(b'{"sku":1}\n')
    await upload.head()
    await upload.result()
    stopping = asyncio.create_task(running.stop())
    last = await upload.result()
    assert (last["index"], last["status"], last["code"]) == (1, 503, "draining")
    assert await upload.result() is None
    upload.client.close()
    assert await stopping == 0
    assert [record.value for record in await consume_all(name)] == [b'{"sku":1}']


async def test_single_records_are_answered_while_a_huge_upload_runs(
    batch: SharedBridge, upload: Upload, http: httpx.AsyncClient
) -> None:
    """They wait for a window of the upload's, not for its end."""

    async def send_for_ever() -> None:
        while True:
            await upload.send(b'{"sku":1}\n' * 5_000)

    async def read_for_ever() -> None:
        await upload.head()
        while await upload.result():
            pass

    working = [asyncio.create_task(send_for_ever()), asyncio.create_task(read_for_ever())]
    for number in range(10):
        async with asyncio.timeout(10):
            assert (await http.post("/b/7", json={"sku": number})).status_code == 201
    assert not any(task.done() for task in working)
    for task in working:
        task.cancel()
    await asyncio.gather(*working, return_exceptions=True)


async def test_a_client_that_does_not_read_its_results_is_ended_and_costs_the_others_nothing(
    shared: SharedBridge, topic: str, http: httpx.AsyncClient
) -> None:
    await shared.add(produce("POST /b/{store}", topic, key=KEY, batch=True, timeout_ms=500))
    upload = await Upload.begin(shared.process.port)

    async def send_for_ever() -> None:
        while True:
            await upload.send(b"x\n" * 10_000)

    async with asyncio.timeout(30):
        with pytest.raises(ConnectionError):
            await send_for_ever()
    upload.client.abort()
    assert (await http.post("/b/7", json={"sku": 1})).status_code == 201
    assert "results_not_read" in shared.process.log


# ---- compressed


@pytest.mark.parametrize("route", [{"key": KEY, "batch": True}, {}], ids=["batch", "any body"])
async def test_what_is_written_is_what_was_compressed(
    route: dict[str, Any], shared: SharedBridge, topic: str, http: httpx.AsyncClient, consume_all: ConsumeAll
) -> None:
    await shared.add(produce("POST /b/{store}", topic, **route))
    body = gzip.compress(b'{"sku": 1}')
    answer = await http.post(
        "/b/7", content=body, headers={"content-encoding": "gzip", "content-type": "application/json"}
    )
    assert answer.status_code == 201
    assert [record.value for record in await consume_all(topic)] == [b'{"sku": 1}']


async def test_a_bomb_is_refused_and_nothing_of_it_is_written(
    batch: SharedBridge, http: httpx.AsyncClient, topic: str, kafka: Kafka
) -> None:
    bomb = gzip.compress(b'[{"sku":1},' + b" " * 200_000_000 + b'{"sku":2}]')
    answer = await http.post(
        "/b/7", content=bomb, headers={"content-encoding": "gzip", "content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await written(kafka, topic) == 0


# ---- for long


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("expand", [False, True], ids=["plain", "zstd"])
async def test_memory_does_not_grow_with_the_length_of_an_upload(
    expand: bool, bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    """What 100 MB take, 20 MB have taken too."""
    await kafka.create_topic(name, 2)
    running = await bridge(config(kafka, produce("POST /b/{store}", name, key=KEY, batch=True)))
    upload = await Upload.begin(running.port, **({"content_encoding": "zstd"} if expand else {}))
    reading = asyncio.create_task(_count_results(upload))
    resident_mb = []
    for _ in range(5):
        for _ in range(20):
            lines = b"".join(
                b'{"sku":%d,"note":"%b"}\n' % (number, random.randbytes(450).hex().encode()) for number in range(1_100)
            )
            await upload.send(zstd.compress(lines) if expand else lines)
        resident_mb.append(memory(running.pid).rss_mb)
    upload.end()
    assert await reading == 5 * 20 * 1_100
    upload.client.close()
    assert resident_mb[-1] - resident_mb[0] < 15, resident_mb
    assert await written(kafka, name) == 5 * 20 * 1_100


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_one_broken_line_in_a_million_fails_that_line_only(bridge: StartBridge, kafka: Kafka, name: str) -> None:
    await kafka.create_topic(name, 2)
    running = await bridge(config(kafka, produce("POST /b/{store}", name, batch=True)))
    upload = await Upload.begin(running.port)
    reading = asyncio.create_task(_failed_results(upload))
    for start in range(0, 1_000_000, 10_000):
        lines = [b"%d" % number for number in range(start, start + 10_000)]
        if start == 770_000:
            lines[777] = b"77O777"
        await upload.send(b"\n".join(lines) + b"\n")
    upload.end()
    (failed,) = await reading
    upload.client.close()
    assert (failed["index"], failed["status"], failed["code"]) == (770_777, 400, "not_json")
    assert await written(kafka, name) == 999_999


async def _failed_results(upload: Upload) -> list[Any]:
    await upload.head()
    results = b"".join([piece async for piece in chunks(upload.client)])
    return [json.loads(line) for line in results.splitlines() if b'"status":201' not in line]


async def _count_results(upload: Upload) -> int:
    """How many were written."""
    await upload.head()
    return sum([piece.count(b'"status":201') async for piece in chunks(upload.client)])
