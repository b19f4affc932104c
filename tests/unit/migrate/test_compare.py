"""What the route would answer, held against what the legacy service did."""

import gzip
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.migration import Compare
from proxy.migrate.compare import MAX_BYTES, MAX_MISMATCHES, Answer, Comparer, Difference, Skipped

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)


def answer(body: Any, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
    return status, headers, body if isinstance(body, bytes) else orjson.dumps(body)


def found(comparer: Comparer, would: Any, did: Any) -> list[str]:
    result = comparer.compare(answer(would), answer(did))
    assert not isinstance(result, Skipped)
    return [f"{each.kind} {'.'.join(each.way)}" for each in result.mismatches] if result else []


@pytest.mark.parametrize(
    ("would", "did", "differences"),
    [
        ({"a": 1}, {"a": 1.0}, []),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ({"a": 1}, {"a": 2}, ["value a"]),
        ({"a": 1}, {"a": True}, ["type a"]),
        ({"a": 1}, {"a": "1"}, ["type a"]),
        ({"a": None}, {}, ["added a"]),
        ({}, {"a": None}, ["missing a"]),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, ["value a.1", "missing a.2"]),
        ({"a": {"b": 1}}, {"a": [1]}, ["type a"]),
        (b"plain", b"plain", []),
        (b"plain", b"other", ["body "]),
        (b"", b"{}", ["body "]),
    ],
)
def test_json_is_compared_value_by_value_and_the_rest_byte_by_byte(
    would: Any, did: Any, differences: list[str]
) -> None:
    assert found(Comparer(Compare()), would, did) == differences


@pytest.mark.parametrize(
    ("paths", "ignore", "differences"),
    [
        ((), (), ["value id", "value items.0.price", "value items.0.at"]),
        ((), ("id", "items.*.at"), ["value items.0.price"]),
        ((), ("items",), ["value id"]),
        (("items",), (), ["value items.0.price", "value items.0.at"]),
        (("items",), ("items.0.at",), ["value items.0.price"]),
        (("items.*.price", "none.such"), (), ["value items.0.price"]),
        (("*",), ("*",), []),
    ],
)
def test_only_what_is_meant_is_compared(
    paths: tuple[str, ...], ignore: tuple[str, ...], differences: list[str]
) -> None:
    would = {"id": 1, "items": [{"price": 5, "at": "now"}]}
    did = {"id": 2, "items": [{"price": 6, "at": "then"}]}
    assert found(Comparer(Compare(paths=paths, ignore=ignore)), would, did) == differences


def test_the_status_is_compared_too() -> None:
    result = Comparer(Compare()).compare(answer({}, 201), answer({}, 200))
    assert isinstance(result, Difference)
    assert [(each.kind, each.would, each.did) for each in result.mismatches] == [("status", 201, 200)]


@given(JSON)
def test_a_document_does_not_differ_from_itself_however_it_is_written(document: Any) -> None:
    pretty = answer(orjson.dumps(document, option=orjson.OPT_INDENT_2))
    assert Comparer(Compare()).compare(answer(document), pretty) is None


@given(JSON, JSON)
def test_documents_are_the_same_only_if_they_are(one: Any, other: Any) -> None:
    def exact(value: Any) -> str:  # 1 and 1.0 alike, 1 and true not
        if isinstance(value, dict):
            return "{" + ",".join(sorted(f"{name!r}:{exact(each)}" for name, each in value.items())) + "}"
        if isinstance(value, list):
            return "[" + ",".join(map(exact, value)) + "]"
        return repr(float(value) + 0.0) if type(value) in (int, float) else repr(value)

    assert (found(Comparer(Compare()), one, other) == []) == (exact(one) == exact(other))


def test_what_the_legacy_answers_otherwise_when_asked_again_is_noise() -> None:
    comparer = Comparer(Compare(baseline=True))
    assert comparer.asks_twice("GET")
    assert not comparer.asks_twice("POST")
    result = comparer.learn(answer({"rows": [{"at": 1}]}), answer({"rows": [{"at": 2}]}))
    assert isinstance(result, Difference)
    assert found(comparer, {"rows": [{"at": 3}, {"at": 4}]}, {"rows": [{"at": 5}, {"at": 6}]}) == []
    assert found(comparer, {"rows": []}, {"rows": 1}) == ["type rows"]


def test_a_status_and_a_body_may_be_noise_too() -> None:
    comparer = Comparer(Compare(baseline=True))
    comparer.learn(answer(b"at 1", 200), answer(b"at 2", 201))
    assert comparer.compare(answer(b"at 3", 200), answer(b"at 4", 202)) is None
    assert comparer.compare(answer({"status": 1}), answer({"status": 2})) is not None


def test_without_a_baseline_nobody_is_asked_twice() -> None:
    assert not Comparer(Compare()).asks_twice("GET")


def test_what_the_legacy_has_packed_is_unpacked() -> None:
    packed = (b"Content-Encoding", b"gzip")
    comparer = Comparer(Compare())
    assert comparer.compare(answer({"a": 1}), answer(gzip.compress(b'{"a":1}'), headers=(packed,))) is None
    assert comparer.compare(answer({}), answer(b"x", headers=((b"content-encoding", b"br"),))) == Skipped("encoded")
    assert comparer.compare(answer({}), answer(b"no gzip", headers=(packed,))) == Skipped("encoded")


def test_a_large_answer_is_not_compared_packed_or_not() -> None:
    large = b"x" * (MAX_BYTES + 1)
    comparer = Comparer(Compare())
    assert comparer.compare(answer(large), answer({})) == Skipped("large")
    bomb = answer(gzip.compress(large), headers=((b"content-encoding", b"gzip"),))
    assert comparer.compare(answer({}), bomb) == Skipped("large")


def test_a_deep_document_and_many_differences_are_bounded() -> None:
    deep = b"[" * 1_000 + b"%d" + b"]" * 1_000
    assert len(found(Comparer(Compare()), deep % 1, deep % 2)) == 1
    assert len(found(Comparer(Compare()), list(range(100)), list(range(1, 101)))) == MAX_MISMATCHES


def test_the_sample_is_as_large_as_it_says() -> None:
    draws = iter([0.0, 0.0999, 0.1, 0.9])
    comparer = Comparer(Compare(sample="10%"), draw=lambda: next(draws))
    assert [comparer.takes() for _ in range(4)] == [True, True, False, False]
    assert Comparer(Compare(sample="100%"), draw=lambda: 0.999).takes()
    assert not Comparer(Compare(sample="0%"), draw=lambda: 0.0).takes()
