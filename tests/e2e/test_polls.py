"""Long polls of a group: what a record looks like, who gets it, when it comes again, and how long one waits."""

import asyncio
import base64
import socket
import time

import httpx
import pytest

from tests.e2e.configuration import consume
from tests.e2e.conftest import StartWork
from tests.e2e.reader import Reader
from tests.e2e.records import Put, numbered, write
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 34, 2: 2}


def told(answer: httpx.Response) -> tuple[int, int]:
    """How many records an ack says it accepted and released."""
    document = answer.json()
    return document["accepted"], document["released"]


# ---- what a record looks like


async def test_a_record_comes_with_all_that_kafka_has_of_it(work: StartWork) -> None:
    headers = [("text", "grün".encode()), ("twice", b"1"), ("twice", b"2"), ("raw", b"\xff\x00"), ("empty", b"")]
    one = await work(Put(b'{"sku": 1.10, "sku": 2}', b"k", 1, headers, 1_700_000_000_123), partitions=2)
    answer = await one.reader.http.get(one.path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    (record,) = answer.json()["records"]
    assert record == {
        "id": f"{one.topic}:1:0",
        "topic": one.topic,
        "partition": 1,
        "offset": 0,
        "timestamp_ms": 1_700_000_000_123,
        "key": "k",
        "headers": [["text", "grün"], ["twice", "1"], ["twice", "2"], ["raw", {"base64": "/wA="}], ["empty", ""]],
        "value": {"sku": 2},
        "encoding": "json",
        "deliveries": 1,
    }
    assert b'{"sku": 1.10, "sku": 2}' in answer.content  # as it was written, not as a parser would write it


async def test_a_value_is_json_else_text_else_base64_and_encoding_says_which(work: StartWork) -> None:
    binary = bytes(range(256))
    one = await work(
        Put(b' [1, "\xc3\xa9"]\r\n'),
        Put("stück\r\n".encode()),
        Put(binary),
        Put(None, b"\xff"),
        Put(b"", b""),
        Put(b"null"),
    )
    records = (await one.reader.poll()).records
    assert [(record["encoding"], record["value"], record["key"]) for record in records] == [
        ("json", [1, "é"], None),
        ("text", "stück\r\n", None),
        ("base64", base64.b64encode(binary).decode(), None),
        ("none", None, {"base64": "/w=="}),
        ("text", "", ""),
        ("json", None, None),
    ]


async def test_shape_values_is_the_bare_array_with_the_lease_in_a_header(work: StartWork) -> None:
    one = await work(b'{"a":1}', b"text", Put(None, b"key"), shape="values")
    answer = await one.reader.http.get(one.path)
    assert answer.json() == [{"a": 1}, "text", None]
    lease = answer.headers["stepbridge-lease"]
    await one.reader.accept(lease)
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 3
    empty = await one.reader.http.get(one.path, params={"wait": 0})
    assert (empty.status_code, empty.json()) == (200, [])
    assert "stepbridge-lease" not in empty.headers


# ---- who gets it


async def test_a_record_goes_to_one_client_of_the_group(work: StartWork) -> None:
    one = await work(*numbered(60))
    polls = await asyncio.gather(*(one.reader.poll(most=10) for _ in range(6)))
    assert sorted(value for polled in polls for value in polled.values) == list(range(60))
    assert len({polled.lease for polled in polls}) == 6


async def test_records_of_a_partition_come_in_order_and_no_more_than_asked_for(work: StartWork) -> None:
    one = await work(*numbered(25))
    values = []
    for expected in (10, 10, 5):
        polled = await one.reader.poll(most=10)
        assert len(polled.records) == expected
        values += polled.values
    assert values == list(range(25))


async def test_two_groups_both_get_everything(work: StartWork, shared: SharedBridge) -> None:
    one = await work(*numbered(5))
    await shared.add({"route": "GET /second", "consume": {"topics": [one.topic], "group": f"{one.group}-2"}})
    answer = await one.reader.http.get("/second")
    assert [record["value"] for record in answer.json()["records"]] == list(range(5))
    assert (await one.reader.poll()).values == list(range(5))


async def test_from_latest_a_new_group_begins_at_the_end(work: StartWork) -> None:
    one = await work(*numbered(5), from_="latest")
    polling = asyncio.create_task(one.reader.poll())
    async with asyncio.timeout(15):
        while not polling.done():
            await one.write(b'"new"')
    assert set((await polling).values) == {"new"}


# ---- acceptance


async def test_what_was_accepted_is_committed_and_never_comes_again(work: StartWork) -> None:
    one = await work(*numbered(10), lease_ms=300)
    polled = await one.reader.poll()
    answer = await one.reader.ack(polled.lease, accept="all")
    assert (answer.status_code, answer.json()["accepted"]) == (200, 10)
    assert answer.headers["content-type"] == "application/json"
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 10
    assert (await one.reader.poll(wait_s=1)).records == []


async def test_records_are_accepted_one_by_one_in_any_order(work: StartWork) -> None:
    one = await work(*numbered(6), lease_ms=60_000)
    polled = await one.reader.poll()
    await one.reader.accept(polled.lease, [polled.ids[4], polled.ids[1]])
    first = await one.committed()
    assert first is not None
    assert first.offset == 0  # 0 is still out, and holds the commit back
    await one.reader.accept(polled.lease, [polled.ids[0]])
    second = await one.committed()
    assert second is not None
    assert second.offset == 2
    await one.reader.accept(polled.lease, [polled.ids[5], polled.ids[3], polled.ids[2]])
    third = await one.committed()
    assert third is not None
    assert third.offset == 6


async def test_an_ack_can_be_repeated(work: StartWork) -> None:
    one = await work(*numbered(4))
    polled = await one.reader.poll()
    words = {"accept": polled.ids[:2], "release": polled.ids[2:]}
    answers = [await one.reader.ack(polled.lease, **words) for _ in range(3)]
    assert [(answer.status_code, told(answer)) for answer in answers] == [(200, (2, 2))] * 3
    again = await one.reader.poll()
    assert (again.values, again.deliveries) == ([2, 3], [2, 2])


async def test_acceptance_leaves_out_what_it_does_not_name(work: StartWork) -> None:
    one = await work(*numbered(3), lease_ms=500)
    polled = await one.reader.poll()
    await one.reader.accept(polled.lease, [polled.ids[1]])
    again = await one.reader.poll()
    assert (again.values, again.deliveries) == ([0, 2], [2, 2])


# ---- coming again


async def test_what_is_released_comes_again_at_once_and_is_counted(work: StartWork) -> None:
    one = await work(*numbered(3), lease_ms=60_000)
    for delivery in (1, 2, 3):
        began_s = time.monotonic()
        polled = await one.reader.poll()
        assert (polled.values, polled.deliveries) == ([0, 1, 2], [delivery] * 3)
        assert delivery == 1 or time.monotonic() - began_s < 2
        assert told(await one.reader.ack(polled.lease, release="all")) == (0, 3)


async def test_a_release_with_a_delay_comes_again_after_it(work: StartWork) -> None:
    one = await work(*numbered(2), lease_ms=60_000)
    polled = await one.reader.poll()
    released_s = time.monotonic()
    assert (await one.reader.ack(polled.lease, release="all", delay_ms=700)).status_code == 200
    assert (await one.reader.poll(wait_s=0)).records == []
    assert (await one.reader.poll()).values == [0, 1]
    assert time.monotonic() - released_s >= 0.7


async def test_what_is_not_accepted_in_time_comes_again_and_the_old_lease_is_409(work: StartWork) -> None:
    one = await work(*numbered(3), lease_ms=600)
    first = await one.reader.poll()
    leased_s = time.monotonic()
    second = await one.reader.poll()
    assert 0.4 < time.monotonic() - leased_s < 3
    assert (second.values, second.deliveries) == ([0, 1, 2], [2, 2, 2])
    late = await one.reader.ack(first.lease, accept="all")
    assert (late.status_code, late.json()["code"]) == (409, "lease_expired")
    assert late.headers["content-type"] == "application/problem+json"
    await one.reader.accept(second.lease)
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 3


async def test_a_late_ack_tells_what_it_did_and_what_not(work: StartWork) -> None:
    one = await work(*numbered(3), lease_ms=500)
    first = await one.reader.poll()
    await one.reader.accept(first.lease, [first.ids[0]])
    assert (await one.reader.poll()).deliveries == [2, 2]
    late = (await one.reader.ack(first.lease, accept="all")).json()
    assert late["code"] == "lease_expired"
    assert sorted(late["refused"]) == sorted(first.ids[1:])
    assert late["accepted"] == [first.ids[0]]


# ---- waiting


async def test_the_first_poll_of_a_new_group_joins_and_brings_records(work: StartWork) -> None:
    one = await work(*numbered(3))
    began_s = time.monotonic()
    assert (await one.reader.poll(wait_s=10)).values == [0, 1, 2]
    assert time.monotonic() - began_s < 5


@pytest.mark.parametrize("asked", [{"params": {"wait": 1}}, {"headers": {"prefer": "respond-async, wait=1"}}])
async def test_a_poll_for_which_nothing_comes_is_empty_after_its_wait(
    asked: dict[str, dict[str, str]], work: StartWork
) -> None:
    one = await work(b"0")
    await one.reader.take(1)
    began_s = time.monotonic()
    answer = await one.reader.http.get(one.path, **asked)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (200, {"records": []})
    assert 0.9 < time.monotonic() - began_s < 3


async def test_a_waiting_poll_gets_a_record_as_soon_as_it_is_there(work: StartWork) -> None:
    one = await work(b"0")
    await one.reader.take(1)
    polling = asyncio.create_task(one.reader.poll(wait_s=30))
    await one.write(b"1")
    written_s = time.monotonic()
    assert (await polling).values == [1]
    assert time.monotonic() - written_s < 1


async def test_what_is_asked_for_has_bounds(work: StartWork) -> None:
    one = await work()
    for query in ("max=0", "max=1001", "max=ten", "max=-1", "wait=61", "wait=-1", "wait=1.5", "wait="):
        answer = await one.reader.http.get(f"{one.path}?{query}")
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request"), query
        assert f"`{query.partition('=')[0]}`" in answer.json()["detail"]


async def test_a_thousand_records_come_in_one_poll(work: StartWork) -> None:
    one = await work(*numbered(1_000))
    values: list[int] = []
    while len(values) < 1_000:
        polled = await one.reader.poll(most=1_000)
        values += polled.values
    assert values == list(range(1_000))


# ---- which media type


async def test_the_accept_header_chooses(work: StartWork) -> None:
    one = await work(b"0")
    await one.reader.poll()  # the group is joined
    chosen = {
        "": "application/json",
        "*/*": "application/json",
        "application/json": "application/json",
        "text/event-stream": "text/event-stream",
        "application/x-ndjson": "application/x-ndjson",
        "application/json;q=0.5, text/event-stream": "text/event-stream",
        "text/html, application/*;q=0.1": "application/json",
        "Text/Event-Stream; charset=utf-8": "text/event-stream",
    }
    for accept, expected in chosen.items():
        async with one.reader.http.stream("GET", one.path, params={"wait": 0}, headers={"accept": accept}) as answer:
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == expected, accept
            assert answer.headers["vary"].lower() == "accept"


async def test_what_nobody_here_speaks_is_406_with_what_is_spoken(work: StartWork) -> None:
    one = await work(b"0")
    answer = await one.reader.http.get(one.path, headers={"accept": "text/html, application/json;q=0"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not_acceptable")
    for spoken in ("application/json", "text/event-stream", "application/x-ndjson"):
        assert spoken in answer.json()["detail"]
    assert (await one.reader.poll()).deliveries == [1]  # the refused one was given nothing


# ---- `ack: auto`, and clients that vanish


async def test_with_ack_auto_an_answer_that_arrived_counts_as_accepted(work: StartWork) -> None:
    one = await work(*numbered(3), ack="auto", lease_ms=300)
    polled = await one.reader.poll()
    assert polled.values == [0, 1, 2]
    assert polled.lease is None
    assert (await one.reader.poll(wait_s=1)).records == []
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 3


async def test_with_ack_auto_there_is_nothing_to_acknowledge(work: StartWork) -> None:
    one = await work(b"0", ack="auto")
    assert (await one.reader.ack("x", accept="all")).status_code == 404


@pytest.mark.parametrize("ack", ["auto", "explicit"])
async def test_a_poll_whose_client_went_away_while_it_waited_takes_nothing(ack: str, work: StartWork) -> None:
    one = await work(b"0", ack=ack, lease_ms=60_000)
    assert (await one.reader.poll()).values == [0]
    with pytest.raises(httpx.ReadTimeout):
        await one.reader.http.get(one.path, params={"wait": 30}, timeout=0.3)
    await one.write(b"1")
    polled = await one.reader.poll()
    assert (polled.values, polled.deliveries) == ([1], [1])


async def test_with_ack_auto_an_answer_that_was_never_read_comes_again(
    shared: SharedBridge, kafka: Kafka, name: str
) -> None:
    """A record larger than the sockets' buffers, to a client that reads nothing and then is gone."""
    await kafka.create_topic(name, config={"max.message.bytes": "12000000"})
    await write(kafka, name, b"x" * 10_000_000)
    await shared.add(consume("GET /large", name, group=name, ack="auto", lease_ms=60_000))
    with socket.socket() as narrow:
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        narrow.connect(("127.0.0.1", shared.process.port))
        narrow.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
        assert await asyncio.to_thread(narrow.recv, 12) == b"HTTP/1.1 200"
    async with Reader(shared.base_url, "/large") as reader:
        polled = await reader.poll()
    assert ([len(value) for value in polled.values], polled.deliveries) == ([10_000_000], [2])
