import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.envelope import bare, envelope
from tests.unit.consume.records import Read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def record(value: bytes | None, **rest: Any) -> Read:
    return Read("orders", 3, 12, value=value, **rest)


def test_a_record_is_what_the_contract_says() -> None:
    written = record(b'{"sku": "A"}', key=b"s1:A", headers=[("source", b"till"), ("none", None), ("raw", b"\xff")])
    assert list(orjson.loads(envelope(written, 2)).items()) == [
        ("id", "orders:3:12"),
        ("topic", "orders"),
        ("partition", 3),
        ("offset", 12),
        ("timestamp_ms", 1_700_000_000_000),
        ("key", "s1:A"),
        ("headers", [["source", "till"], ["none", None], ["raw", {"base64": "/w=="}]]),
        ("value", {"sku": "A"}),
        ("encoding", "json"),
        ("deliveries", 2),
    ]


def test_without_a_group_deliveries_are_not_counted() -> None:
    assert "deliveries" not in orjson.loads(envelope(record(b"1")))


@pytest.mark.parametrize(
    ("value", "encoding", "shown"),
    [
        (None, "none", None),
        (b"", "text", ""),
        (b"null", "json", None),
        (b"17", "json", 17),
        (b'"quoted"', "json", "quoted"),
        (b"<xml/>", "text", "<xml/>"),
        (b"two\r\nlines", "text", "two\r\nlines"),
        (b"NaN", "text", "NaN"),
        (b"[Infinity]", "text", "[Infinity]"),
        (b'"\\ud800"', "text", '"\\ud800"'),  # half a pair
        (b'{"a":1}x', "text", '{"a":1}x'),
        (b"\xff\x00", "base64", "/wA="),
        (b'"\xff"', "base64", "Iv8i"),
        (b"[" * 100_000, "text", "[" * 100_000),
        (b"[" * 100_000 + b"]" * 100_000, "text", "[" * 100_000 + "]" * 100_000),  # deeper than any reader goes
    ],
)
def test_a_value_is_json_else_text_else_base64(value: bytes | None, encoding: str, shown: object) -> None:
    told = json.loads(envelope(record(value)))
    assert (told["encoding"], told["value"]) == (encoding, shown)
    assert json.loads(bare(record(value))) == shown


@pytest.mark.parametrize(
    "value",
    [b'{"a":1,"a":2}', b"123456789012345678901234567890", b"1.10", b'{"price": 1e2}', b'"\\u00e9"'],
)
def test_json_is_embedded_as_it_was_written(value: bytes) -> None:
    assert b'"value":' + value + b"," in envelope(record(value))
    assert bare(record(value)) == value


def test_json_over_several_lines_becomes_one_line_and_keeps_its_numbers() -> None:
    assert bare(record(b'{\r\n  "a": 123456789012345678901\n}')) == b'{    "a": 123456789012345678901 }'


@given(JSON, st.sampled_from([None, 0, 2]))
def test_any_json_means_the_same_inside(value: object, indent: int | None) -> None:
    written = json.dumps(value, indent=indent).encode()
    out = envelope(record(written))
    told = json.loads(out)
    assert told["encoding"] == "json"
    assert told["value"] == value
    assert not set(out) & {10, 13}


@given(
    st.none() | st.binary(),
    st.none() | st.binary(),
    st.lists(st.tuples(st.text(alphabet=st.characters()), st.none() | st.binary()), max_size=3),
)
def test_any_bytes_make_one_line_of_json(key: bytes | None, value: bytes | None, headers: list[Any]) -> None:
    for out in (envelope(record(value, key=key, headers=headers), 1), bare(record(value))):
        json.loads(out)
        assert not set(out) & {10, 13}


def test_a_header_s_name_is_never_the_end_of_a_stream() -> None:
    out = envelope(record(b"1", headers=[("bad\ud800", b"x"), ("größe", b"y")]))
    assert orjson.loads(out)["headers"] == [["bad?", "x"], ["größe", "y"]]
