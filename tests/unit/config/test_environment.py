import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.environment import BadVariable, fill_in, substitute
from proxy.config.mistake import Fault

ENVIRON = {"HOST": "kafka", "EMPTY": "", "TRICKY": "${HOST} $${ {x}"}

texts = st.text(alphabet="ab$ {}:-_", max_size=20)
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${HOST}:9092", "kafka:9092"),
        ("${HOST}${HOST}", "kafkakafka"),
        ("${NONE:-localhost:9092}", "localhost:9092"),
        ("${EMPTY:-default}", "default"),
        ("${EMPTY}", ""),
        ("${NONE:-}", ""),
        ("$${HOST}", "${HOST}"),
        ("$HOST $5 $$", "$HOST $5 $$"),
        ("${TRICKY}", "${HOST} $${ {x}"),  # a value is not looked through again
        ("{body.x}", "{body.x}"),
    ],
)
def test_variables_are_filled_in(text: str, filled: str) -> None:
    assert substitute(text, ENVIRON) == filled


@pytest.mark.parametrize("text", ["${NONE}", "${", "${}", "${1X}", "${HOST", "${HOST-x}", "${ HOST }"])
def test_what_is_no_variable_or_not_set_is_refused(text: str) -> None:
    with pytest.raises(BadVariable):
        substitute(text, ENVIRON)


@given(texts.filter(lambda text: "${" not in text))
def test_text_without_variables_stays_as_it_is(text: str) -> None:
    assert substitute(text, {}) == text


@given(texts)
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    """`$${` for every `${`: whatever is around it, nothing is read from the environment."""
    assert substitute(text.replace("${", "$${"), {}) == text


@given(texts.filter(lambda text: "${" not in text and not text.endswith("$")), names, st.text(max_size=20), texts)
def test_a_variable_is_replaced_by_exactly_its_value(before: str, name: str, value: str, after: str) -> None:
    rest = after.replace("${", "$${")
    assert substitute(f"{before}${{{name}}}{rest}", {name: value}) == f"{before}{value}{after}"


def test_each_text_of_the_data_is_filled_in_and_each_failure_has_its_path() -> None:
    faults: list[Fault] = []
    data = {"a": ["${HOST}", {"b": "${NONE}"}], "${HOST}": 1, "n": None}
    filled = fill_in(data, ENVIRON, faults)
    assert filled == {"a": ["kafka", {"b": "${NONE}"}], "${HOST}": 1, "n": None}
    assert [fault.path for fault in faults] == [("a", 1, "b")]
