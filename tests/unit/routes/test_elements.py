import json

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.errors import NotJson
from proxy.routes.elements import elements, is_array

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False, allow_infinity=False)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.sampled_from(
    ['"', "\\", '\\"', ",", "]", "[", "{}", "é"]
)
VALUES = st.recursive(
    SCALARS | TEXTS, lambda deeper: st.lists(deeper, max_size=3) | st.dictionaries(TEXTS, deeper, max_size=3)
)
SPACES = st.text(" \t\r\n", max_size=3)
WRITERS = st.sampled_from([{}, {"ensure_ascii": False}, {"separators": (",", ":")}, {"indent": 1}])


@given(st.lists(st.tuples(SPACES, VALUES, SPACES, WRITERS), max_size=5), SPACES, SPACES)
def test_an_array_comes_apart_into_the_bytes_it_was_made_of(
    parts: list[tuple[str, object, str, dict[str, object]]], before: str, after: str
) -> None:
    texts = [json.dumps(value, **writer) for _, value, _, writer in parts]  # type: ignore[arg-type]
    spaced = [f"{left}{text}{right}" for text, (left, _, right, _) in zip(texts, parts, strict=True)]
    body = f"{before}[{','.join(spaced)}{' ' if not parts else ''}]{after}".encode()
    assert [element.decode() for element in elements(body)] == texts


@given(st.lists(st.sampled_from(list('[]{}",:\\ \n12.-eEtruéu')), max_size=12).map("".join))
@example("[-0.0e-1]")
@example('["\\u005d]", "\\\\"]')
@example("[1e400, 12345678901234567890123]")
def test_whatever_orjson_takes_as_an_array_comes_apart_as_orjson_reads_it(text: str) -> None:
    body = b"[" + text.encode() + b"]"
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return
    assert [orjson.loads(element) for element in elements(body)] == read


def test_numbers_keep_their_digits() -> None:
    body = b"[1.10, 1E3 ,12345678901234567890123456789,-0]"
    assert list(elements(body)) == [b"1.10", b"1E3", b"12345678901234567890123456789", b"-0"]


def test_a_number_of_ten_thousand_digits_is_no_trouble() -> None:
    number = b"1." + b"5" * 10_000
    assert list(elements(b"[" + number + b",2]")) == [number, b"2"]


@pytest.mark.parametrize("depth", [500, 1_000, 1_022])
def test_an_element_as_deep_as_orjson_goes_is_taken_out_whole_or_refused(depth: int) -> None:
    body = b"[1," + b"[" * depth + b"]" * depth + b"]"
    orjson.loads(body)
    assert taken_out(body) in ([b"1", body[3:-1]], "not_json" if depth > 500 else None)


def taken_out(body: bytes) -> list[bytes] | str:
    try:
        return list(elements(body))
    except NotJson as error:
        return error.code


@pytest.mark.parametrize(
    ("body", "is_one"),
    [
        (b"[]", True),
        (b" \r\n\t[", True),
        (b"{}", False),
        (b"", False),
        (b"\x0b[", False),
        pytest.param(b"\0" * 1_000_000, False, id="a million zeros, which take no time"),
    ],
)
def test_an_array_is_known_by_its_first_byte(body: bytes, is_one: bool) -> None:
    assert is_array(body) is is_one
