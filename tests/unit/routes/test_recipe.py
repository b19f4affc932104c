from typing import Any

import orjson
import pytest

from proxy.errors import FieldInvalid, FieldMissing, NotJson, SchemaViolation, UnsupportedMediaType
from proxy.record import Record
from proxy.routes.intake import MAX_DETAIL, MAX_ERRORS
from proxy.routes.recipe import RecordRecipe
from tests.unit.routes.requests import FORM, JSON, recipe, request, route, schema

XML = (b"content-type", b"text/xml")
LATER_JSON = (b"content-type", b"application/vnd.x+json; charset=utf-8")
STOCK = schema(
    type="object",
    required=["sku", "quantity"],
    properties={"sku": {"type": "string", "maxLength": 8}, "quantity": {"type": "integer", "minimum": 0}},
)


def test_a_request_becomes_a_record_with_the_bodys_bytes_exactly() -> None:
    body = b'{"sku" :"A-1",\n "partition":3, "at": 1700000000123}'
    made = recipe(
        key="{path.store}:{body.sku}",
        headers={"source": "{header.user-agent}", "fixed": "x"},
        partition="{body.partition}",
        timestamp="{body.at}",
    ).record(request(body, JSON, (b"user-agent", b"till/2"), path={"store": "s1"}))
    assert made == Record(
        "retail.stock",
        b"s1:A-1",
        body,
        [("source", b"till/2"), ("fixed", b"x")],
        timestamp_ms=1_700_000_000_123,
        partition=3,
    )


@pytest.mark.parametrize("body", [b"<a/>", b"\x00\xff\xfe", b"", b"{not json"])
def test_a_body_that_nothing_reads_passes_through_whatever_it_is(body: bytes) -> None:
    assert recipe(key="k").record(request(body, XML)) == Record("retail.stock", b"k", body)


def test_a_tombstone_has_a_key_and_no_value() -> None:
    delete = RecordRecipe.compile(route(at="DELETE /skus/{sku}", key="{path.sku}", value=None))
    assert delete.record(request(path={"sku": "A-1"})) == Record("retail.stock", b"A-1", None)


READS: dict[str, Any] = {"key": "{body.sku}"}
BOTH = b'{"sku": "A", "quantity": 1}'


@pytest.mark.parametrize(
    ("produce", "header", "taken"),
    [
        ({}, XML, True),
        ({}, None, True),
        (READS, JSON, True),
        (READS, LATER_JSON, True),
        (READS, None, True),
        (READS, XML, False),
        ({"headers": {"h": "{body.sku}"}}, XML, False),
        ({"schema": STOCK}, JSON, True),
        ({"schema": STOCK}, None, True),
        ({"schema": STOCK}, FORM, False),
        ({"schema": STOCK}, XML, False),
        ({"content_types": ["text/xml"]}, XML, True),
        ({"content_types": ["text/xml"]}, JSON, False),
        ({"content_types": ["text/xml"]}, None, False),
        ({**READS, "content_types": ["application/json"]}, LATER_JSON, False),
    ],
)
def test_a_route_takes_only_content_types_that_it_can_read(
    produce: dict[str, Any], header: tuple[bytes, bytes] | None, taken: bool
) -> None:
    asked = request(BOTH, *([header] if header else []))
    if taken:
        assert recipe(**produce).record(asked).value == BOTH
    else:
        with pytest.raises(UnsupportedMediaType, match=r"is not taken here: this route takes "):
            recipe(**produce).record(asked)


def test_json_that_comes_as_a_form_is_told_what_it_was_read_as() -> None:
    """`curl -d` says that it sends a form, whatever it sends."""
    with pytest.raises(FieldMissing, match=r"read as a form.* JSON needs application/json"):
        recipe(**READS).record(request(b'{"sku": "A1"}', FORM))


def test_a_form_can_be_read_too() -> None:
    assert recipe(**READS).record(request(b"sku=A+1", FORM)).key == b"A 1"


def test_an_answer_that_reads_the_body_makes_the_route_read_it() -> None:
    with pytest.raises(UnsupportedMediaType):
        recipe({"body": {"sku": "{body.sku}"}}).record(request(b"<a/>", XML))


def test_the_refusals_come_in_order_of_type_json_schema_fields() -> None:
    made = recipe(schema=STOCK, key="{body.other}")
    with pytest.raises(UnsupportedMediaType):
        made.record(request(b"{", XML))
    with pytest.raises(NotJson):
        made.record(request(b"{", JSON))
    with pytest.raises(SchemaViolation):
        made.record(request(b"{}", JSON))
    with pytest.raises(FieldMissing):
        made.record(request(BOTH, JSON))


def test_every_violation_of_the_schema_is_listed_with_its_pointer() -> None:
    with pytest.raises(SchemaViolation) as refused:
        recipe(schema=STOCK).record(request(b'{"sku": 5, "quantity": -1, "a/b": 1}', JSON))
    assert {error["pointer"] for error in refused.value.errors} == {"/sku", "/quantity"}
    with pytest.raises(SchemaViolation) as refused:
        recipe(schema=STOCK).record(request(b"{}", JSON))
    assert [error["pointer"] for error in refused.value.errors] == ["", ""]
    assert "2 mistake(s)" in refused.value.detail


def test_violations_are_bounded_in_number_and_length() -> None:
    numbers = schema(type="array", items={"type": "string"})
    with pytest.raises(SchemaViolation) as refused:
        recipe(schema=numbers).record(request(orjson.dumps(list(range(1_000))), JSON))
    assert len(refused.value.errors) == MAX_ERRORS
    short = schema(type="array", items={"maxLength": 1})
    with pytest.raises(SchemaViolation) as refused:
        recipe(schema=short).record(request(orjson.dumps(["x" * 100_000]), JSON))
    assert len(refused.value.errors[0]["detail"]) <= MAX_DETAIL + 1


def test_all_fields_that_are_missing_or_wrong_are_listed_in_one_answer() -> None:
    made = recipe(
        {"headers": {"x": "{query.page}"}, "body": {"b": "{body.in_answer}", "text": "{body.list}!"}},
        key="{body.a}:{body.b}",
        headers={"h": "{header.x}"},
        partition="{body.p}",
    )
    with pytest.raises((FieldMissing, FieldInvalid)) as refused:
        made.record(request(b'{"list": [], "p": "x"}', JSON))
    named = {error.get("pointer") or error.get("field") for error in refused.value.errors}
    assert named == {"/a", "/b", "/p", "header.x", "query.page", "/in_answer", "/list"}
    assert refused.value.detail.endswith("There is more: `errors` has all 7.")


def test_one_wrong_field_is_told_alone() -> None:
    with pytest.raises(FieldMissing) as refused:
        recipe(key="{body.a}").record(request(b"{}", JSON))
    assert refused.value.detail == (
        "The route needs {body.a}, and there is no such field in the body of this request, or null."
    )


@pytest.mark.parametrize(
    ("value", "partition"),
    [('"0"', 0), ("7", 7), ("2147483647", 2**31 - 1)],
)
def test_a_partition_is_a_whole_number(value: str, partition: int) -> None:
    assert recipe(partition="{body.p}").record(request(f'{{"p": {value}}}'.encode())).partition == partition


@pytest.mark.parametrize("value", ['"x"', "-1", "1.0", "2147483648", '""', '"٣"', "1e2", "true", '"' + "1" * 500 + '"'])
def test_what_is_no_partition_is_refused(value: str) -> None:
    with pytest.raises(FieldInvalid) as refused:
        recipe(partition="{body.p}").record(request(f'{{"p": {value}}}'.encode()))
    assert refused.value.errors[0]["pointer"] == "/p"


@pytest.mark.parametrize(
    ("value", "timestamp_ms"),
    [
        ("0", 0),
        ("1700000000123", 1_700_000_000_123),
        ('"2023-11-14T22:13:20.123Z"', 1_700_000_000_123),
        ('"2023-11-14T23:13:20+01:00"', 1_700_000_000_000),
        ('"20231114T221320Z"', 1_700_000_000_000),
    ],
)
def test_a_timestamp_is_milliseconds_or_iso_8601(value: str, timestamp_ms: int) -> None:
    assert recipe(timestamp="{body.t}").record(request(f'{{"t": {value}}}'.encode())).timestamp_ms == timestamp_ms


@pytest.mark.parametrize(
    "value",
    ['"x"', "-1", "1.5", '"2023-11-14T22:13:20"', '"2023-11-14"', '"1969-12-31T23:59:59Z"', "9" * 15, '"soon"', '""'],
)
def test_what_is_no_timestamp_is_refused(value: str) -> None:
    with pytest.raises(FieldInvalid, match="is no time from 1970 on"):
        recipe(timestamp="{body.t}").record(request(f'{{"t": {value}}}'.encode()))


def test_now_is_a_timestamp() -> None:
    made = recipe(timestamp="{now}").record(request())
    assert made.timestamp_ms is not None
    assert made.timestamp_ms > 1_700_000_000_000


def test_a_recipe_shows_what_it_reads() -> None:
    assert repr(recipe(key="{body.sku}")) == "<RecordRecipe for retail.stock, reads {body.sku}>"
    assert repr(recipe()) == "<RecordRecipe for retail.stock, reads nothing>"
