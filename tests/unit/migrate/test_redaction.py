"""What of clients' data an operator is shown."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.migrate.redaction import MAX_READ_BYTES, MAX_SHOWN, Redaction

BODY = b'{"name":"Ann","age":7,"tags":["x",null],"home":{"street":"High","no":1.5,"here":true}}'


@pytest.mark.parametrize(
    ("paths", "shown"),
    [
        (
            None,
            (
                '{"name":"<string>","age":"<number>","tags":["<string>",null],'
                '"home":{"street":"<string>","no":"<number>","here":"<boolean>"}}'
            ),
        ),
        ((), BODY.decode()),
        (("name", "tags.0", "home.*"), BODY.decode().replace('"Ann"', '"<string>"').replace('"x"', '"<string>"')
         .replace('"High"', '"<string>"').replace("1.5", '"<number>"').replace("true", '"<boolean>"')),
        (("home", "tags"), '{"name":"Ann","age":7,"tags":"<array>","home":"<object>"}'),
    ],
)  # fmt: skip
def test_what_is_hidden_shows_its_type(paths: tuple[str, ...] | None, shown: str) -> None:
    assert Redaction(paths).body(BODY) == shown


JSON = st.recursive(
    st.sampled_from(["s3cret", 4711]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
)


@given(JSON)
def test_without_a_word_in_the_file_no_value_is_shown(document: Any) -> None:
    shown = Redaction(None).body(orjson.dumps(document))
    assert "s3cret" not in shown
    assert "4711" not in shown


@pytest.mark.parametrize("paths", [None, ("name",)])
def test_a_body_without_paths_is_not_shown_where_something_is_to_be_hidden(paths: tuple[str, ...] | None) -> None:
    assert Redaction(paths).body(b"name=Ann") == "<8 bytes>"
    assert Redaction(()).body(b"name=Ann") == "name=Ann"


def test_what_is_shown_is_bounded() -> None:
    assert len(Redaction(()).body(orjson.dumps("x" * 5_000))) == MAX_SHOWN + 1
    assert Redaction(()).body(b'"%s"' % (b"x" * MAX_READ_BYTES)) == f"<{MAX_READ_BYTES + 2} bytes>"
    assert Redaction(()).body(b"[" * 1_000 + b"]" * 1_000).count("[") <= 33


def test_a_value_is_hidden_by_its_own_path_or_that_of_what_it_is_in() -> None:
    redaction = Redaction(("home",))
    assert redaction.value("High", ("home", "street")) == '"<string>"'
    assert redaction.value({"street": "High"}, ("home",)) == '"<object>"'
    assert redaction.value("Ann", ("name",)) == '"Ann"'
