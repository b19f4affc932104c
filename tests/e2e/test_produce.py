"""What a POST becomes: the record with its key, headers, time and place, and the answer that says where it is."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator

import httpx
import pytest
from aiokafka import ConsumerRecord
from aiokafka.partitioner import murmur2

from tests.e2e.configuration import produce
from tests.e2e.records import written
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.unit.http.served import Client

SCHEMA = {
    "type": "object",
    "required": ["sku", "count"],
    "properties": {"sku": {"type": "string"}, "count": {"type": "integer", "minimum": 0}},
}
Records = list[ConsumerRecord[bytes, bytes]]


@pytest.fixture(scope="module")
def spare() -> dict[int, int]:
    return {1: 0, 2: 22}


async def only(consume_all: ConsumeAll, topic: str) -> ConsumerRecord[bytes, bytes]:
    """The one record of the topic."""
    (record,) = await consume_all(topic)
    return record


# ---- any body


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{ "b" : 1.10, "a":\r\n [1, 2 ], "a": null }\n'),
        ("application/x-www-form-urlencoded", b"a=1&b=%20+&a=2"),
        ("application/xml", '<?xml version="1.0"?>\r\n<order id="é"/>'.encode()),
        ("text/plain; charset=utf-16", "stück\n".encode("utf-16")),
        ("application/octet-stream", bytes(range(256)) * 40),
        ("application/json", b"this is not JSON, and nobody looks"),
        (None, b"\x00"),
        ("text/plain", b""),
    ],
)
async def test_the_value_is_the_body_byte_for_byte_whatever_its_type(
    content_type: str | None,
    body: bytes,
    shared: SharedBridge,
    http: httpx.AsyncClient,
    topic: str,
    consume_all: ConsumeAll,
) -> None:
    await shared.add(produce("POST /any", topic))
    answer = await http.post("/any", content=body, headers={"content-type": content_type} if content_type else {})
    assert answer.status_code == 201, answer.text
    assert (await only(consume_all, topic)).value == body


async def test_a_body_in_chunks_is_one_record(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for number in range(100):
            yield b"%d," % number

    await shared.add(produce("POST /any", topic))
    assert (await http.post("/any", content=chunks())).status_code == 201
    assert (await only(consume_all, topic)).value == b"".join(b"%d," % number for number in range(100))


# ---- the receipt


async def test_201_says_where_the_record_is_and_when_it_was_written(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    await shared.add(produce("POST /any", topic))
    before_ms = time.time_ns() // 1_000_000
    answers = [await http.post("/any", content=b"%d" % number) for number in range(20)]
    after_ms = time.time_ns() // 1_000_000
    assert {answer.status_code for answer in answers} == {201}
    assert answers[0].headers["content-type"] == "application/json"
    records = {(record.partition, record.offset): record for record in await consume_all(topic)}
    assert len(records) == 20
    for number, answer in enumerate(answers):
        receipt = answer.json()
        record = records[receipt["partition"], receipt["offset"]]
        assert record.value == b"%d" % number
        assert receipt == {
            "topic": topic,
            "partition": record.partition,
            "offset": record.offset,
            "timestamp_ms": record.timestamp,
        }
        assert before_ms <= record.timestamp <= after_ms


# ---- templates


async def test_key_headers_partition_and_time_come_from_the_request(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    headers = {
        "source": "{header.user-agent}",
        "fixed": "{{literal}} é",
        "store": "{path.store}",
        "mixed": "{query.q}/{body.nested.0.deep}/{body.yes}/{body.price}",
    }
    key, partition = "{path.store}:{body.sku}", "{query.partition}"
    await shared.add(
        produce(
            "POST /stores/{store}/stock", topic, key=key, headers=headers, partition=partition, timestamp="{body.at}"
        )
    )
    answer = await http.post(
        "/stores/a%2Fb%C3%A9/stock?partition=1&q=x%26y",
        content=b'{"sku": 17, "yes": true, "price": 9.90, "at": 1700000000123, "nested": [{"deep": "d"}]}',
        headers={"user-agent": "till/7", "content-type": "application/json"},
    )
    assert answer.status_code == 201, answer.text
    record = await only(consume_all, topic)
    assert (record.key, record.partition, record.timestamp) == ("a/bé:17".encode(), 1, 1700000000123)
    assert answer.json()["timestamp_ms"] == 1700000000123
    assert list(record.headers) == [
        ("source", b"till/7"),
        ("fixed", "{literal} é".encode()),
        ("store", "a/bé".encode()),
        ("mixed", b"x&y/d/true/9.90"),
    ]


async def test_fields_of_a_form_are_fields_of_the_body(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    await shared.add(produce("POST /form", topic, key="{body.sku}-{body.note}", timestamp="{body.at}"))
    answer = await http.post("/form", data={"sku": "17", "note": "grün & rot", "at": "2024-02-29T12:00:00.5+01:00"})
    assert answer.status_code == 201, answer.text
    record = await only(consume_all, topic)
    assert record.key == "17-grün & rot".encode()
    assert record.timestamp == 1709204400500
    assert record.value == b"sku=17&note=gr%C3%BCn+%26+rot&at=2024-02-29T12%3A00%3A00.5%2B01%3A00"


async def test_uuid_is_the_same_throughout_a_request_and_another_in_the_next(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    await shared.add(
        produce(
            "POST /u", topic, key="{uuid}", headers={"at": "{now}"}, response={"body": {"id": "{uuid}", "at": "{now}"}}
        )
    )
    answers = [(await http.post("/u")).json() for _ in range(2)]
    records = {(record.key or b"").decode(): dict(record.headers)["at"].decode() for record in await consume_all(topic)}
    assert records == {answer["id"]: answer["at"] for answer in answers}
    assert len(records) == 2


async def test_a_key_goes_to_the_partition_that_javas_clients_choose(
    shared: SharedBridge, http: httpx.AsyncClient, kafka: Kafka, consume_all: ConsumeAll
) -> None:
    topic = "e2e-by-key"
    await kafka.create_topic(topic, 7)
    await shared.add(produce("POST /k/{key}", topic, key="{path.key}"))
    for number in range(30):
        assert (await http.post(f"/k/key-{number}")).status_code == 201
    records = await consume_all(topic)
    assert len(records) == 30
    assert all(record.partition == (murmur2(record.key) & 0x7FFFFFFF) % 7 for record in records)
    await kafka.delete_topic(topic)


async def test_delete_writes_a_tombstone(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    await shared.add(produce("DELETE /stock/{sku}", topic, key="{path.sku}", value=None, response={"status": 204}))
    answer = await http.delete("/stock/17")
    assert (answer.status_code, answer.content) == (204, b"")
    record = await only(consume_all, topic)
    assert (record.key, record.value) == (b"17", None)


# ---- schema


async def test_a_body_that_does_not_fit_the_schema_is_422_with_every_mistake_and_its_pointer(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, kafka: Kafka, consume_all: ConsumeAll
) -> None:
    (shared.process.config_path.parent / "stock.json").write_text(json.dumps(SCHEMA))
    await shared.add(produce("POST /stock", topic, schema="stock.json"))
    answer = await http.post("/stock", json={"sku": 5, "count": -1})
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "schema_violation")
    assert answer.headers["content-type"] == "application/problem+json"
    assert sorted(error["pointer"] for error in problem["errors"]) == ["/count", "/sku"]
    assert all(error["detail"] for error in problem["errors"])
    missing = (await http.post("/stock", json={"sku": "a"})).json()
    assert [error["pointer"] for error in missing["errors"]] == [""]
    assert "count" in missing["errors"][0]["detail"]
    assert await written(kafka, topic) == 0
    assert (await http.post("/stock", json={"sku": "a", "count": 0})).status_code == 201
    assert (await only(consume_all, topic)).value == b'{"sku":"a","count":0}'


# ---- the route's own answer


async def test_a_route_answers_what_the_old_service_did_with_types_kept(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    body = {
        "ok": True,
        "price": "{body.price}",
        "tags": "{body.tags}",
        "text": "{body.price} for {body.name}",
        "at": "{record.offset}",
        "where": "{record.topic}/{record.partition}",
        "when": "{record.timestamp_ms}",
        "none": None,
        "deep": [{"store": "{path.store}"}],
    }
    response = {"status": 200, "headers": {"Location": "/s/{path.store}", "X-Name": "{body.name}"}, "body": body}
    await shared.add(produce("POST /s/{store}", topic, response=response))
    sent = {"price": 9.5, "tags": ["a", {"b": None}], "name": 'quote " and \\ and é'}
    answer = await http.post("/s/12", json=sent)
    record = await only(consume_all, topic)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["location"] == "/s/12"
    assert answer.json() == {
        "ok": True,
        "price": 9.5,
        "tags": ["a", {"b": None}],
        "text": '9.5 for quote " and \\ and é',
        "at": record.offset,
        "where": f"{topic}/{record.partition}",
        "when": record.timestamp,
        "none": None,
        "deep": [{"store": "12"}],
    }


async def test_what_the_answer_needs_is_looked_for_before_anything_is_written(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, kafka: Kafka
) -> None:
    await shared.add(produce("POST /s", topic, response={"status": 200, "body": {"sku": "{body.sku}"}}))
    answer = await http.post("/s", json={"other": 1})
    assert (answer.status_code, answer.json()["code"]) == (422, "field_missing")
    assert answer.json()["errors"] == [{"pointer": "/sku", "detail": "is missing or null"}]
    assert await written(kafka, topic) == 0


async def test_an_answer_can_be_the_xml_that_an_old_client_expects(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str
) -> None:
    response = {"status": 202, "headers": {"Content-Type": "text/xml"}, "body": "<taken at='{record.offset}'/>"}
    await shared.add(produce("POST /x", topic, partition=0, response=response))
    answer = await http.post("/x", content=b"<order/>", headers={"content-type": "text/xml"})
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (202, "text/xml", "<taken at='0'/>")


# ---- order and load


async def test_what_a_client_sends_one_after_the_other_is_in_that_order_per_key(
    shared: SharedBridge, http: httpx.AsyncClient, topic: str, consume_all: ConsumeAll
) -> None:
    await shared.add(produce("POST /o/{key}", topic, key="{path.key}"))

    async def client(name: str) -> None:
        for number in range(40):
            answer = await http.post(f"/o/{name}-{number % 3}", content=b"%d" % number)
            assert answer.status_code == 201

    await asyncio.gather(*(client(name) for name in "abcdef"))
    by_key: dict[bytes, list[int]] = defaultdict(list)
    for record in await consume_all(topic):
        by_key[record.key or b""].append(int(record.value or b""))
    assert len(by_key) == 18
    for key, numbers in by_key.items():
        assert numbers == list(range(int(key[-1:]), 40, 3)), key


async def test_a_thousand_requests_at_once_are_a_thousand_records(
    shared: SharedBridge, topic: str, consume_all: ConsumeAll
) -> None:
    await shared.add(produce("POST /many", topic, key="{body.n}"))
    clients = [await Client.connect(shared.process.port) for _ in range(1_000)]
    for number, client in enumerate(clients):
        client.send(b'POST /many HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n{"n": %4d}' % number)
    answers = await asyncio.gather(*(client.answer() for client in clients))
    for client in clients:
        client.close()
    assert {status for status, _, _ in answers} == {201}
    receipts = {(r["partition"], r["offset"]): n for n, r in enumerate(json.loads(body) for _, _, body in answers)}
    assert len(receipts) == 1_000
    found = {(r.partition, r.offset): json.loads(r.value or b"")["n"] for r in await consume_all(topic)}
    assert found == receipts
