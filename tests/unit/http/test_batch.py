"""A JSON array as many records: each item by itself, in the order they were sent."""

import asyncio

import orjson
import pytest

from proxy.errors import KafkaAway, NotWritten, OutcomeUnknown, ProxyError, RecordTooLarge
from proxy.http.items import WINDOW
from proxy.limits.gate import Gate
from proxy.record import Record
from tests.unit.http.batching import Answered, Batching, ScriptedSubmitter, post
from tests.unit.http.served import Client

SCHEMA = {"file": "x.json", "document": {"type": "object", "properties": {"sku": {"type": "integer"}}}}


async def ask(body: bytes, batching: Batching | None = None, content_type: str | None = "application/json") -> Answered:
    async with (batching or Batching()).serve() as serving:
        answer = await post(serving.port, body, content_type)
        assert serving.is_idle
        return answer


async def test_all_written_is_201_and_tells_where_each_is() -> None:
    batching = Batching()
    answer = await ask(b'[{"sku":1}, {"sku": 2.50 } ,\n{"sku":"a,]"}]', batching)
    assert answer.status == 201
    assert answer.json == {
        "items": [{"index": index, "status": 201, "partition": 0, "offset": index} for index in range(3)],
        "retry": [],
    }
    assert batching.submitter.values == [b'{"sku":1}', b'{"sku": 2.50 }', b'{"sku":"a,]"}']
    assert batching.submitter.keys == [b"7:1", b"7:2.50", b"7:a,]"]


async def test_one_item_that_fails_costs_the_others_nothing() -> None:
    batching = Batching(produce={"key": "{body.sku}", "schema": SCHEMA})
    answer = await ask(b'[{"sku":1},{},{"sku":"x"},[],{"sku":2}]', batching)
    assert answer.status == 207
    items = answer.json["items"]
    assert [(item["status"], item.get("step"), item.get("code")) for item in items] == [
        (201, None, None),
        (422, "template", "field_missing"),
        (422, "schema", "schema_violation"),
        (422, "schema", "schema_violation"),
        (201, None, None),
    ]
    assert items[1]["errors"] == [{"pointer": "/sku", "detail": "is missing or null"}]
    assert [item["index"] for item in items] == [0, 1, 2, 3, 4]
    assert answer.json["retry"] == []
    assert batching.submitter.values == [b'{"sku":1}', b'{"sku":2}']


async def test_only_what_was_surely_not_written_is_worth_retrying() -> None:
    fates: dict[bytes | None, ProxyError] = {
        b"1": NotWritten("waited too long"),
        b"2": OutcomeUnknown("who knows"),
        b"3": KafkaAway("away"),
        b"4": RecordTooLarge("too large", extra={"limit_bytes": 9}),
    }

    def fate(record: Record) -> ProxyError | None:
        return fates.get(record.value)

    answer = await ask(b"[0,1,2,3,4]", Batching(submitter=ScriptedSubmitter(fate), produce={}))
    assert answer.status == 207
    assert answer.json["retry"] == [1, 3]
    assert [(item["status"], item.get("step")) for item in answer.json["items"]] == [
        (201, None),
        (503, "queue"),
        (504, "kafka"),
        (503, "queue"),
        (413, "refuse"),
    ]
    assert answer.json["items"][4]["limit_bytes"] == 9


@pytest.mark.parametrize("body", [b"[]", b" [ \n] "])
async def test_an_empty_array_is_refused(body: bytes) -> None:
    answer = await ask(body)
    assert (answer.status, answer.json["code"]) == (422, "empty_batch")


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-16", None])
@pytest.mark.parametrize("text", ["[1]", " \n[1]"], ids=["array", "space and array"])
@pytest.mark.parametrize("codec", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["no mark", "mark"])
async def test_an_array_in_another_encoding_is_refused_and_not_one_record(
    mark: str, codec: str, text: str, content_type: str | None
) -> None:
    batching = Batching(produce={})
    answer = await ask((mark + text).encode(codec), batching, content_type)
    assert (answer.status, answer.json["code"]) == (400, "not_json")
    assert batching.submitter.values == []


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf[1]", b"[1,", b"[1]]", b"[1 2]", b'["\xff"]', b"[NaN]", b"[" * 100_000])
async def test_an_array_that_cannot_be_read_is_refused_as_a_whole(body: bytes) -> None:
    batching = Batching(produce={})
    answer = await ask(body, batching)
    assert (answer.status, answer.json["code"]) == (400, "not_json")
    assert "column" in answer.json
    assert batching.submitter.windows == []


async def test_an_array_with_an_element_too_deep_to_take_out_writes_nothing() -> None:
    """It is found before the first window is written, though it is in the second."""
    batching = Batching(produce={})
    answer = await ask(b"[" + b"1," * WINDOW + b"[" * 1_020 + b"]" * 1_020 + b"]", batching)
    assert (answer.status, answer.json["code"]) == (400, "not_json")
    assert batching.submitter.windows == []


async def test_too_many_items_are_refused_before_any_is_written() -> None:
    batching = Batching(produce={})
    answer = await ask(b"[" + b"1," * 10_000 + b"1]", batching)
    assert (answer.status, answer.json["code"], answer.json["limit_items"]) == (413, "too_many_items", 10_000)
    assert batching.submitter.windows == []


async def test_a_large_array_is_written_a_window_at_a_time_and_in_order() -> None:
    batching = Batching(produce={})
    answer = await ask(orjson.dumps(list(range(1_000))), batching)
    assert answer.status == 201
    assert batching.submitter.windows == [WINDOW, WINDOW, WINDOW, 1_000 - 3 * WINDOW]
    assert batching.submitter.values == [b"%d" % number for number in range(1_000)]
    assert [item["offset"] for item in answer.json["items"]] == list(range(1_000))


async def test_what_was_not_queued_by_the_deadline_is_not_queued_at_all() -> None:
    batching = Batching(produce={}, timeout_s=0.05)
    batching.submitter.open.clear()
    asyncio.get_running_loop().call_later(0.1, batching.submitter.open.set)
    answer = await ask(orjson.dumps(list(range(WINDOW + 2))), batching)
    assert batching.submitter.windows == [WINDOW]
    assert answer.json["retry"] == [WINDOW, WINDOW + 1]
    assert answer.json["items"][-1]["code"] == "not_written"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b'{"sku": 1}', "application/json"),
        (b'{"sku": 1}', None),
        (b"sku=1", "application/x-www-form-urlencoded"),
    ],
)
async def test_any_other_body_is_one_record_with_the_answer_of_one(body: bytes, content_type: str | None) -> None:
    batching = Batching(response={"status": 200, "body": {"at": "{record.offset}"}})
    answer = await ask(body, batching, content_type)
    assert (answer.status, answer.json) == (200, {"at": 0})
    assert batching.submitter.values == [body]


async def test_an_array_that_does_not_say_it_is_json_is_one_record_where_nobody_looks() -> None:
    batching = Batching(produce={})
    answer = await ask(b"[1,2]", batching, "text/plain")
    assert (answer.status, batching.submitter.values) == (201, [b"[1,2]"])


@pytest.mark.parametrize("content_type", ["application/vnd.shop+json", None])
async def test_an_array_is_many_records_whatever_its_kind_of_json(content_type: str | None) -> None:
    assert len((await ask(b"[1,2]", Batching(produce={}), content_type)).json["items"]) == 2


async def test_content_types_hold_for_arrays_too() -> None:
    batching = Batching(produce={"content_types": ("application/x-ndjson",)})
    answer = await ask(b"[1]", batching)
    assert (answer.status, batching.submitter.windows) == (415, [])


async def test_records_are_counted_by_their_outcome_with_the_bytes_of_their_values() -> None:
    batching = Batching(produce={"key": "{body.sku}"})
    await ask(b'[{"sku":1},{"sku":22},{}]', batching)
    numbers = batching.metrics.snapshot().numbers
    assert numbers["stepbridge_records_total"] == {("b", "in", "written"): 2, ("b", "in", "refused"): 1}
    assert numbers["stepbridge_bytes_total"] == {("b", "in", "written"): 19, ("b", "in", "refused"): 2}


async def test_at_the_bound_a_client_that_asks_first_is_refused_before_it_sends() -> None:
    """What is refused for want of room costs neither the line nor memory."""
    full = Gate(1, 10_000_000, "route b")
    full.enter()
    async with Batching(own=full).serve() as batching:
        client = await Client.connect(batching.port)
        client.send(b"POST /b/7 HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\nexpect: 100-continue\r\n\r\n")
        status, headers, body = await client.answer()
        assert (status, orjson.loads(body)["code"], headers["retry-after"]) == (503, "overloaded", "1")
        assert batching.submitter.windows == []
        client.close()
