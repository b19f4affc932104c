import pytest

from proxy.errors import BadForm, Malformed, NotJson
from proxy.routes.request import MAX_FIELDS, Request
from tests.unit.routes.requests import FORM, JSON, request


@pytest.mark.parametrize(
    ("body", "line", "column"),
    [
        (b"", 1, 1),
        (b'{"a":1,}', 1, 7),
        (b'{"a":\n 1 2}', 2, 4),
        (b'{"a": NaN}', 1, 7),
        (b'{"a": "\xff"}', 1, 8),
        ('{"ä":\n"'.encode() + b'\xc3"}', 2, 2),
        (b'"\\ud800"', 1, 2),
        (b"\xef\xbb\xbf{}", 1, 1),
        (b"[" * 100_000, 1, 1026),
        (b'{"a":' * 100_000, 1, 5122),
        (b'{"a": 1} x', 1, 10),
    ],
)
def test_a_body_that_is_no_json_is_refused_with_the_position(body: bytes, line: int, column: int) -> None:
    with pytest.raises(NotJson) as refused:
        _ = request(body, JSON).fields
    assert refused.value.extra == {"line": line, "column": column}
    assert f"line {line}, column {column}." in refused.value.detail
    assert len(refused.value.detail) < 200


@pytest.mark.parametrize("body", [b"a=%ff", b"a=\xff", b"&".join([b"a=1"] * (MAX_FIELDS + 1))])
def test_a_body_that_is_no_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadForm):
        _ = request(body, FORM).fields


@pytest.mark.parametrize("query", [b"a=%ff", b"a=\xff", b"&".join([b"a=1"] * (MAX_FIELDS + 1))])
def test_a_query_that_cannot_be_read_is_refused(query: bytes) -> None:
    with pytest.raises(Malformed):
        _ = request(query=query).query


def test_forms_and_queries_are_fields_of_which_the_first_counts() -> None:
    assert request(b"a=1&b=x+y%26&a=2&c=", FORM).fields == {"a": "1", "b": "x y&", "c": ""}
    assert request(query=b"a=1&a=2&b=%C3%A4").query == {"a": "1", "b": "ä"}
    assert request().query == {}


def test_an_item_has_its_own_body_and_everything_else_of_its_request() -> None:
    asked = request(b"", (b"content-type", b"application/x-ndjson"), (b"x", b"1"), path={"store": "7"}, query=b"a=1")
    one, other = asked.item(b'{"sku": 1.50}'), asked.item(b'{"sku": 2}', {"sku": 2})
    assert (one.fields, one.exact_fields, other.fields) == ({"sku": 1.5}, {"sku": "1.50"}, {"sku": 2})
    assert (one.path, one.query, one.header(b"x"), one.media_type) == (
        {"store": "7"},
        {"a": "1"},
        "1",
        "application/json",
    )
    assert one.uuid != other.uuid


@pytest.mark.parametrize(
    ("given", "media_type"),
    [
        (b"application/json", "application/json"),
        (b"Application/JSON ; charset=UTF-8", "application/json"),
        (b"application/vnd.x+json;v=1", "application/vnd.x+json"),
        (b"\xff", "ÿ"),
        (b"", ""),
    ],
)
def test_the_media_type_is_lower_case_and_without_parameters(given: bytes, media_type: str) -> None:
    assert request(b"", (b"content-type", given)).media_type == media_type


def test_no_content_type_is_an_empty_media_type() -> None:
    assert request(b"{}").media_type == ""


def test_the_first_header_of_a_name_counts_and_odd_bytes_are_text_all_the_same() -> None:
    asked = request(b"", (b"x", "ä".encode()), (b"x", b"2"), (b"y", b"\xe4"))
    assert (asked.header(b"x"), asked.header(b"y"), asked.header(b"z")) == ("ä", "ä", None)


def test_numbers_are_kept_as_they_were_sent() -> None:
    asked = request(b'{"a": 9.90, "b": [1e3, 12345678901234567890123], "a": 9.950}')
    assert asked.exact_fields == {"a": "9.950", "b": ["1e3", "12345678901234567890123"]}


def test_a_body_too_deep_for_exact_numbers_has_ordinary_ones() -> None:
    asked = request(b"[" * 1020 + b"1.50" + b"]" * 1020)
    assert asked.exact_fields is asked.fields


def test_one_request_has_one_id_and_one_time() -> None:
    one, other = request(), request()
    assert one.uuid == one.uuid != other.uuid
    assert one.now == one.now
    assert one.now.endswith("Z")


def test_a_request_shows_its_size_and_type_and_nothing_of_its_content() -> None:
    assert repr(request(b'{"secret": 1}', JSON)) == "<Request 13 bytes of application/json>"
    assert repr(Request({}, b"", (), b"")) == "<Request 0 bytes of no type>"
