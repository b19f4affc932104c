"""Filters against a naive model, and what a request makes of a route's filter."""

import json
import math
from collections.abc import Mapping
from typing import Any

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.config.condition import read_condition
from proxy.errors import FieldInvalid, Malformed
from proxy.routes.filter import Condition, Filter, FilterRecipe
from tests.unit.consume.scripted_log import Logged
from tests.unit.routes.requests import request

VALUE = orjson.dumps(
    {"sku": "A-1", "n": 5, "f": 1.5, "text": "7.0", "yes": True, "null": None, "o": {"x": [{"y": "deep"}]}, "": "empty"}
)
HEADERS = [("kind", b"old"), ("kind", b"sale"), ("n", b"12"), ("none", None), ("bytes", b"\xff")]


def record(value: bytes | None = VALUE, key: bytes | None = b"s17:A-1", headers: Any = HEADERS) -> Logged:
    return Logged("t", 0, 0, 0, value, key, headers)


def shows(filter_: Filter | None, logged: Logged) -> bool:
    """As a sieve does it."""
    if filter_ is None:
        return True
    try:
        document = orjson.loads(logged.value or b"")
    except orjson.JSONDecodeError:
        document = None
    return filter_.passes_record(logged) and filter_.passes_body(document)


def compiled(said: Mapping[str, Any]) -> FilterRecipe:
    return FilterRecipe.compile({field: read_condition(value) for field, value in said.items()})


def bound(said: Mapping[str, Any], query: bytes = b"", **path: str) -> Filter | None:
    return compiled(said).bind(request(path=path, query=query))


@pytest.mark.parametrize(
    ("said", "is_shown"),
    [
        ({"key": "s17:A-1"}, True),
        ({"key": "s17"}, False),
        ({"key": {"prefix": "s17:"}}, True),
        ({"key": {"prefix": ""}}, True),
        ({"key": {"prefix": "s1:"}}, False),
        ({"header.kind": "sale"}, True),
        ({"header.kind": "old"}, False),  # the last one counts
        ({"header.Kind": "sale"}, False),
        ({"header.n": 12}, True),
        ({"header.n": {"min": 9, "max": 12}}, True),  # as numbers, not as text
        ({"header.none": ""}, False),
        ({"header.bytes": {"prefix": ""}}, False),
        ({"header.missing": ""}, False),
        ({"body.sku": "A-1"}, True),
        ({"body.sku": {"prefix": "A-"}}, True),
        ({"body.sku": {"min": 0}}, False),
        ({"body.n": 5}, True),
        ({"body.n": "5"}, True),
        ({"body.n": 5.0}, True),
        ({"body.n": "5e0"}, True),
        ({"body.n": "05"}, False),
        ({"body.n": {"prefix": "5"}}, False),
        ({"body.n": {"min": 5, "max": 5}}, True),
        ({"body.n": {"min": 5.001}}, False),
        ({"body.f": "1.50"}, True),
        ({"body.text": 7}, False),  # text is compared as text
        ({"body.text": {"min": 7, "max": 7}}, True),
        ({"body.yes": True}, True),
        ({"body.yes": "true"}, True),
        ({"body.yes": 1}, False),
        ({"body.yes": {"min": 0}}, False),
        ({"body.null": "null"}, False),
        ({"body.o": "x"}, False),
        ({"body.o.x.0.y": "deep"}, True),
        ({"body.o.x.1.y": "deep"}, False),
        ({"body.missing.far": "x"}, False),
        ({"key": {"prefix": "s17:"}, "body.n": 5, "header.kind": "sale"}, True),
        ({"key": {"prefix": "s17:"}, "body.n": 6, "header.kind": "sale"}, False),
        ({"key": {"prefix": "s18:"}, "body.n": 5}, False),
    ],
)
def test_a_record_is_shown_if_all_conditions_hold(said: dict[str, Any], is_shown: bool) -> None:
    assert shows(bound(said), record()) == is_shown


@pytest.mark.parametrize("value", [None, b"", b"text", b"\xff", b"[1]", b"7", b'"n"', b"[" * 2_000 + b"]" * 2_000])
def test_a_value_without_the_field_is_not_shown_and_breaks_nothing(value: bytes | None) -> None:
    assert not shows(bound({"body.n": 5}), record(value))


def test_a_record_without_key_and_headers_passes_no_test_of_them() -> None:
    bare = record(key=None, headers=())
    assert not shows(bound({"key": {"prefix": ""}}), bare)
    assert not shows(bound({"header.kind": {"prefix": ""}}), bare)


def test_the_same_digits_are_the_same_number_however_many_there_are() -> None:
    digits = "9" * 40
    assert shows(bound({"body.n": digits}), record(b'{"n": %b}' % digits.encode()))
    assert not shows(bound({"body.n": {"min": "1e5"}}), record(b'{"n": "1e999"}'))  # beyond what can be compared


# ---- what a request makes of it


def test_values_are_bound_to_path_and_query() -> None:
    said = {"key": {"prefix": "{path.store}:"}, "body.sku": "{query.sku}", "body.n": {"min": "{query.least}", "max": 9}}
    filter_ = bound(said, b"sku=A-1&least=5&other=x", store="s17")
    assert filter_ is not None
    assert filter_.conditions == (
        Condition("key", (), "prefix", "s17:"),
        Condition("body", ("sku",), "is", "A-1"),
        Condition("body", ("n",), "min", "5"),
        Condition("body", ("n",), "max", "9"),
    )
    assert shows(filter_, record())


def test_what_is_bound_to_a_parameter_that_is_not_there_does_not_filter() -> None:
    said = {"body.sku": "{query.sku}", "body.n": {"min": "{query.least}", "max": "{query.most}"}}
    assert bound(said) is None
    filter_ = bound(said, b"most=4")
    assert filter_ is not None
    assert filter_.conditions == (Condition("body", ("n",), "max", "4"),)


def test_an_empty_parameter_is_a_value() -> None:
    assert not shows(bound({"body.sku": "{query.sku}"}, b"sku="), record())


def test_filters_that_say_the_same_are_equal() -> None:
    recipe = compiled({"body.sku": "{query.sku}"})
    one, other = (recipe.bind(request(query=query)) for query in (b"sku=A&x=1", b"sku=A"))
    assert one == other
    assert hash(one) == hash(other)
    assert one != recipe.bind(request(query=b"sku=B"))


@pytest.mark.parametrize("sent", [b"few", b"", b"1,5", b"0x1", b"NaN", b"Infinity", b"1e999", b"9" * 101, b"true"])
def test_what_is_no_number_where_one_is_needed_is_refused(sent: bytes) -> None:
    with pytest.raises(FieldInvalid, match=r"{query.least} must be a number: the filter has it as the min of body.n"):
        bound({"body.n": {"min": "{query.least}"}}, b"least=" + sent)


@pytest.mark.parametrize(("sent", "match"), [(b"x" * 1_025, "1025 bytes"), (b"a%0Ab", "a line break"), (b"%00", "NUL")])
def test_what_a_client_sends_is_bounded(sent: bytes, match: str) -> None:
    with pytest.raises(FieldInvalid, match=match):
        bound({"body.sku": "{query.sku}"}, b"sku=" + sent)


def test_a_query_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(Malformed):
        bound({"body.sku": "{query.sku}"}, b"sku=%ff")


# ---- the naive model

scalars = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "ab", "1", "1.0", "-2", "true", "null"]),
    st.sampled_from([1.0, 1.5, -2.0]),
)  # fmt: skip
fields = st.sampled_from(["key", "header.h", "body.a", "body.a.b", "body.l.1"])
conditions = st.one_of(
    st.sampled_from(["", "a", "1", "1.0", 1, 1.5, True, "null", "-2"]),
    st.fixed_dictionaries({"prefix": st.sampled_from(["", "a", "1", "-"])}),
    st.fixed_dictionaries({}, optional={"min": st.integers(-3, 3), "max": st.sampled_from([-1, 1.5, 2])}).filter(bool),
)
texts = st.one_of(st.none(), st.sampled_from([b"", b"a", b"ab", b"1", b"1.0", b"-2", b"true", b"\xff"]))


def naive(said: Mapping[str, Any], logged: Logged) -> bool:
    return all(_holds(_found(field, logged), condition) for field, condition in said.items())


def _found(field: str, logged: Logged) -> Any:
    if field in ("key", "header.h"):
        data = logged.key if field == "key" else dict(logged.headers).get("h")
        return None if data is None or data == b"\xff" else data.decode()
    here = json.loads(logged.value or b"null")
    for step in field.split(".")[1:]:
        try:
            here = here[int(step)] if isinstance(here, list) else here[step]
        except (KeyError, IndexError, TypeError):
            return None
    return here


def _holds(value: Any, condition: Any) -> bool:
    if value is None or isinstance(value, (dict, list)):
        return False
    if not isinstance(condition, dict):
        return _equals(value, condition)
    if "prefix" in condition:
        return isinstance(value, str) and value[: len(condition["prefix"])] == str(condition["prefix"])
    number = math.nan
    if isinstance(value, (str, int, float)) and not isinstance(value, bool):
        try:
            number = float(value)
        except ValueError:
            return False
    least, most = condition.get("min", -math.inf), condition.get("max", math.inf)
    return bool(least <= number <= most)


def _equals(value: Any, condition: Any) -> bool:
    text = condition if isinstance(condition, str) else json.dumps(condition)
    if isinstance(value, str):
        return value == text
    if isinstance(value, bool):
        return text == json.dumps(value)
    try:
        return bool(float(text) == value)
    except ValueError:
        return False


@given(
    said=st.dictionaries(fields, conditions, min_size=1, max_size=3),
    key=texts,
    header=texts,
    value=st.fixed_dictionaries(
        {},
        optional={"a": st.one_of(scalars, st.fixed_dictionaries({"b": scalars})), "l": st.lists(scalars, max_size=3)},
    ),
)
@example(said={"body.a": 1}, key=None, header=None, value={"a": True})
def test_a_filter_says_what_the_naive_model_says(
    said: dict[str, Any], key: bytes | None, header: bytes | None, value: dict[str, Any]
) -> None:
    logged = record(orjson.dumps(value), key, [("h", header)])
    assert shows(bound(said), logged) == naive(said, logged)
