from typing import Any

import orjson
import pytest

from proxy.errors import FieldInvalid, FieldMissing
from proxy.record import Receipt
from proxy.routes.reply import Answer
from tests.unit.routes.requests import JSON, recipe, request

RECEIPT = Receipt("retail.stock", 2, 41, 1_700_000_000_123)
BODY = b'{"sku": "A-1", "n": 5, "price": 9.90, "big": 12345678901234567890123, "o": {"x": [1]}, "q": "say \\"hi\\""}'


def answer(response: Any, body: bytes = BODY, **request_parts: Any) -> Answer:
    """As the front does it: make the record, then render the answer."""
    made = recipe(response)
    asked = request(body, JSON, **request_parts)
    made.record(asked)
    return made.reply.render(asked, RECEIPT)


def test_without_a_response_the_answer_is_the_receipt() -> None:
    status, headers, body = answer(None, b"any bytes")
    assert status == 201
    assert orjson.loads(body) == {
        "topic": "retail.stock",
        "partition": 2,
        "offset": 41,
        "timestamp_ms": 1_700_000_000_123,
    }
    assert headers == [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ({"ok": True, "sku": "{body.sku}", "at": "{record.offset}"}, b'{"ok":true,"sku":"A-1","at":41}'),
        ({"text": "no. {record.offset} of {body.sku}"}, b'{"text":"no. 41 of A-1"}'),
        ({"n": "{body.n}", "s": "{body.n}!"}, b'{"n":5,"s":"5!"}'),
        ({"o": "{body.o}", "l": [1, "{body.o.x}", None]}, b'{"o":{"x":[1]},"l":[1,[1],null]}'),
        ({"price": "{body.price}", "big": "{body.big}"}, b'{"price":9.90,"big":12345678901234567890123}'),
        ({"quoted": "{body.q}, {body.q}"}, b'{"quoted":"say \\"hi\\", say \\"hi\\""}'),
        ({"100%": "100% %s {{x}}"}, b'{"100%":"100% %s {x}"}'),
        ({"{body.sku}": 1}, b'{"{body.sku}":1}'),
        ({}, b"{}"),
        ([], b"[]"),
        ([{}], b"[{}]"),
        (5, b"5"),
        (False, b"false"),
        ("{body.o}", b'{"x":[1]}'),
        ("{record.topic}", b'"retail.stock"'),
    ],
)
def test_a_json_body_keeps_types_where_a_string_is_one_placeholder(template: Any, rendered: bytes) -> None:
    status, headers, body = answer({"status": 200, "body": template})
    assert (status, body) == (200, rendered)
    assert headers == [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]


def test_a_body_that_is_one_text_is_sent_as_text() -> None:
    _, headers, body = answer({"body": "OK {body.sku} 100% {{}}\n"})
    assert body == b"OK A-1 100% {}\n"
    assert headers[0] == (b"content-type", b"text/plain; charset=utf-8")


def test_a_text_has_the_content_type_that_is_declared() -> None:
    response = {"headers": {"Content-Type": "text/xml"}, "body": "<ok at='{record.offset}'/>"}
    _, headers, body = answer(response)
    assert body == b"<ok at='41'/>"
    assert headers == [(b"content-type", b"text/xml"), (b"content-length", b"13")]
    _, headers, body = answer({"headers": {"content-type": "text/plain"}, "body": "{body.sku}"})
    assert body == b"A-1"


def test_a_text_that_is_declared_as_json_is_a_json_string() -> None:
    _, headers, body = answer({"headers": {"content-type": "application/json"}, "body": "saved {body.sku}"})
    assert body == b'"saved A-1"'
    assert [name for name, _ in headers].count(b"content-type") == 1


@pytest.mark.parametrize(("status", "length"), [(200, [b"0"]), (204, []), (304, [])])
def test_an_answer_without_a_body_is_empty(status: int, length: list[bytes]) -> None:
    answered, headers, body = answer({"status": status})
    assert (answered, body) == (status, b"")
    assert [value for _, value in headers] == length


def test_headers_are_templates_too() -> None:
    response = {"headers": {"Location": "/stores/{path.store}/{body.sku}", "X-Fixed": "yes"}}
    _, headers, _ = answer(response, path={"store": "s1"})
    assert headers[:2] == [(b"location", b"/stores/s1/A-1"), (b"x-fixed", b"yes")]


@pytest.mark.parametrize(
    ("response", "body", "error"),
    [
        ({"body": {"x": "{body.none}"}}, BODY, FieldMissing),
        ({"body": {"x": "text {body.none} {record.offset}"}}, BODY, FieldMissing),
        ({"body": "{body.none} as text"}, BODY, FieldMissing),
        ({"body": {"x": "text {body.o}"}}, BODY, FieldInvalid),
        ({"headers": {"x": "{body.none}"}}, BODY, FieldMissing),
        ({"headers": {"x": "{body.x}"}}, b'{"x": "a\\r\\nset-cookie: y"}', FieldInvalid),
        ({"headers": {"x": "{body.x}"}}, b'{"x": "' + b"x" * 2_000 + b'"}', FieldInvalid),
        ({"body": {"x": "{body.x}"}}, b'{"x": ' + b"[" * 600 + b"]" * 600 + b"}", FieldInvalid),
    ],
)
def test_what_the_answer_would_lack_is_refused_before_the_record_is_made(
    response: Any, body: bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        recipe(response).record(request(body, JSON))


def test_one_request_has_one_id_in_its_record_and_in_its_answer() -> None:
    made = recipe({"body": {"id": "{uuid}"}}, key="{uuid}")
    asked = request(b"{}", JSON)
    record = made.record(asked)
    _, _, body = made.reply.render(asked, RECEIPT)
    assert record.key is not None
    assert orjson.loads(body)["id"] == record.key.decode()
