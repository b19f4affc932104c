"""Whatever a client sends: a record within its bounds, or a refusal that says so. Nothing else leaves a recipe."""

from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import Malformed, ProxyError, Unprocessable, UnsupportedMediaType
from proxy.record import Receipt, Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request
from proxy.routes.template import MAX_RENDERED_BYTES
from tests.unit.routes.requests import recipe, schema

RECIPES = [
    recipe(),
    recipe(key="{body.a}", headers={"h": "{header.x}"}),
    recipe(key="{path.store}-{body.a.b.0}", partition="{query.p}", timestamp="{body.t}"),
    recipe(
        {"headers": {"x": "{body.a}"}, "body": {"all": "{body.a}", "text": "<{body.t}> {record.offset}", "n": [None]}},
        schema=schema(type="object", properties={"a": {"type": ["string", "number"], "pattern": "^(x+)+$"}}),
    ),
    recipe({"body": "{body.a} {uuid} {now}"}, key="{query.k}"),
]
RECEIPT = Receipt("t", 0, 1, 2)

documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abtx"), inner, max_size=4),
    max_leaves=12,
)
json_bodies = documents.map(lambda document: repr_json(document))
bodies = st.binary(max_size=80) | json_bodies | st.builds(bytes.__add__, json_bodies, st.binary(max_size=3))
types = st.sampled_from([b"application/json", b"application/x-www-form-urlencoded", b"text/xml", b"a+json;x=y", b""])
headers = st.lists(
    st.tuples(st.just(b"content-type"), types | st.binary(max_size=10))
    | st.tuples(st.just(b"x"), st.binary(max_size=40)),
    max_size=4,
)
queries = st.binary(max_size=20) | st.builds(lambda value: b"p=" + value + b"&k=" + value, st.binary(max_size=8))


def repr_json(document: Any) -> bytes:
    try:
        return orjson.dumps(document)
    except TypeError:  # an integer beyond 64 bits
        return str(document).encode("utf-8", "replace")


@pytest.mark.parametrize("number", range(len(RECIPES)))
@given(
    body=bodies,
    headers=headers,
    query=queries,
    store=st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=1_100),
)
@example(body=b"[" * 100_000, headers=[], query=b"", store="s")
@example(body=b'{"a":' * 100_000, headers=[(b"content-type", b"application/json")], query=b"p=1", store="s")
@example(body=b'{"a":' + b"[" * 1_000 + b"]" * 1_000 + b"}", headers=[], query=b"p=1&k=1", store="s")
@example(body=b'{"a":' + b"9" * 10_000 + b"}", headers=[], query=b"k=%", store="s")
@example(body=b'{"a":1e400}', headers=[], query=b"k=1", store="s")
@example(body=b'{"a":{"b":[1.50]},"t":' + b"1" * 5_000 + b"}", headers=[], query=b"p=1", store="s")
@example(body=b'{"a":"' + b"x" * 100_000 + b'!","t":1}', headers=[], query=b"p=1", store="s")
@example(
    body=b"a=" + b"%0a" * 3, headers=[(b"content-type", b"application/x-www-form-urlencoded")], query=b"", store="\r"
)
def test_a_request_is_a_record_within_bounds_or_a_refusal(
    number: int, body: bytes, headers: list[tuple[bytes, bytes]], query: bytes, store: str
) -> None:
    made = RECIPES[number]
    asked = Request({"store": store}, query, headers, body)
    refusal, record = outcome(made, asked)
    if record is None:
        assert isinstance(refusal, (Malformed, Unprocessable, UnsupportedMediaType))
        assert len(refusal.detail) < 1_000
        assert all(error["detail"] for error in refusal.errors)
        return
    assert record.value == body
    for value in (record.key, *(value for _, value in record.headers)):
        assert value is None or (len(value) <= MAX_RENDERED_BYTES and not set(value) & set(b"\r\n\0"))
    assert record.partition is None or 0 <= record.partition < 2**31
    status, answer_headers, answer = made.reply.render(asked, RECEIPT)
    assert 200 <= status < 400
    assert dict(answer_headers)[b"content-length"] == str(len(answer)).encode()
    assert not any(set(value) & set(b"\r\n\0") for _, value in answer_headers)


def outcome(made: RecordRecipe, asked: Request) -> tuple[ProxyError | None, Record | None]:
    try:
        return None, made.record(asked)
    except ProxyError as refusal:
        return refusal, None
