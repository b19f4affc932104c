"""Sample requests, and the records they become."""

from typing import Any

import orjson
import pytest

from proxy.cli.sample import describe_sample, sample_request
from proxy.config.model import Produce, Route, SchemaFile


def route(produce: dict[str, Any], text: str = "POST /stores/{store}/stock", **more: Any) -> tuple[Route, Produce]:
    made = Route.model_validate({"route": text, "produce": {"topic": "stock", **produce}, **more})
    assert made.produce
    return made, made.produce


def described(produce: dict[str, Any], body: bytes | None = None, **more: Any) -> tuple[bool, list[tuple[str, str]]]:
    return describe_sample(*route(produce, **more), body)


def test_a_route_that_reads_nothing_takes_a_word() -> None:
    assert described({}) == (
        True,
        [
            ("body", "sample"),
            ("topic", "stock"),
            ("key", "none"),
            ("value", "sample"),
            ("answer", '201 {"topic":"stock","partition":0,"offset":0,"timestamp_ms":0}'),
        ],
    )


def test_every_placeholder_finds_something() -> None:
    produce = {
        "key": "{path.store}:{body.lines.0.sku}:{query.page}",
        "headers": {"source": "{header.User-Agent}", "id": "{uuid}", "at": "{now}"},
        "partition": "{body.part}",
        "timestamp": "{query.at}",
    }
    taken, lines = described(produce, response={"body": {"for": "{body.customer.name}", "at": "{record.offset}"}})
    said = dict(lines)
    assert taken
    assert said["key"] == "sample-store:sample-sku:sample-page"
    assert said["topic"] == "stock, partition 0"
    assert said["timestamp"] == "1769860800000 ms"
    assert ("header", "source: sample-User-Agent") in lines
    assert said["answer"] == '201 {"for":"sample-name","at":0}'


def test_the_schemas_own_fields_win_and_others_join_them() -> None:
    document = {"properties": {"sku": {"const": "A-1"}, "tags": {"type": "object"}}, "required": ["sku"]}
    produce = {"key": "{body.sku}", "headers": {"h": "{body.tags.colour}"}}
    with_schema = produce | {"schema": SchemaFile(file="s.json", document=document)}
    request = sample_request(*route(with_schema))
    assert orjson.loads(request.body) == {"sku": "A-1", "tags": {"colour": "sample-colour"}}
    assert request.media_type == "application/json"


def test_a_body_of_ones_own_is_taken_as_it_is() -> None:
    taken, lines = described({"key": "{body.sku}"}, b'{"sku": 7}')
    assert taken
    assert dict(lines)["key"] == "7"


def test_a_refused_sample_says_why_field_by_field() -> None:
    taken, lines = described({"key": "{body.sku}", "headers": {"h": "{body.shop}"}}, b"{}")
    assert not taken
    assert ("", "/sku: is missing or null") in lines
    assert ("", "/shop: is missing or null") in lines


def test_a_made_up_body_that_does_not_fit_asks_for_a_real_one() -> None:
    schema = SchemaFile(file="s.json", document={"type": "string", "pattern": "^[A-Z]{3}$"})
    taken, lines = described({"schema": schema})
    assert not taken
    assert lines[-1] == ("", "This body was made up from the file; give a real one with --sample FILE.")


def test_a_tombstone_has_no_body_and_no_value() -> None:
    taken, lines = described({"key": "{path.sku}", "value": None}, text="DELETE /stock/{sku}")
    assert taken
    assert [name for name, _ in lines] == ["topic", "key", "value", "answer"]
    assert dict(lines)["value"] == "none: a tombstone"


def test_a_long_value_is_cut() -> None:
    _, lines = described({}, b"x" * 1_000)
    assert dict(lines)["value"] == "x" * 400 + "… (1000 bytes)"


@pytest.mark.parametrize("content_type", ["application/xml", "application/x-www-form-urlencoded"])
def test_a_narrowed_route_is_sent_its_type(content_type: str) -> None:
    assert sample_request(*route({"content_types": [content_type]})).media_type == content_type
