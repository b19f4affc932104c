import pytest

from proxy.config.document import MAX_VALUES, NotYaml, read_document
from proxy.config.mistake import Fault


def test_every_value_and_key_has_its_place() -> None:
    document = read_document("a:\n  b: [1, {c: x}]\n", "f")
    assert document.data == {"a": {"b": [1, {"c": "x"}]}}
    assert document.values["a", "b"] == (2, 6)
    assert document.values["a", "b", 1, "c"] == (2, 14)
    assert document.keys["a", "b", 1, "c"] == (2, 11)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None), ("0", 0), ("-12", -12),
        ("1.50", 1.5), ("'on'", "on"), ('"12:30"', "12:30"), ("a:b", "a:b"), ("1e3", "1e3"),
        ("192.168.0.1", "192.168.0.1"),
    ],
)  # fmt: skip
def test_plain_values_mean_what_they_look_like(text: str, value: object) -> None:
    document = read_document(f"k: {text}", "f")
    assert document.data == {"k": value}
    assert not document.faults


@pytest.mark.parametrize(
    "text",
    [
        "on", "off", "NO", "Yes",  # truths of YAML 1.1
        "12:30", "1:30.5", "010", "0x1F", "0b11", "1_000", "+5",  # numbers of YAML 1.1
        ".inf", ".nan", "1_0.5", "5.",
        "2024-01-01", "2024-01-01T00:00:00Z", "=",
        "!!python/object:os.system x", "!mine x", "!!binary aGk=", "!!set {a}",
    ],
)  # fmt: skip
def test_a_value_that_yaml_readers_disagree_about_is_a_fault_at_its_place(text: str) -> None:
    document = read_document(f"first: 1\nk:   {text}", "f")
    (fault,) = document.faults
    assert document.place(fault) == (2, 6)


@pytest.mark.parametrize("text", ["a:\n\tb: 1\n", "a:\n  - b\n\t- c\n"])
def test_a_tab_is_called_a_tab(text: str) -> None:
    with pytest.raises(NotYaml, match="there is a tab, and YAML is indented with spaces only"):
        read_document(text, "f")


@pytest.mark.parametrize("key", ["on", "1", "null", "12:30", "<<"])
def test_a_key_that_is_no_text_is_a_fault_at_the_key(key: str) -> None:
    document = read_document(f"a: 1\n{key}: {{b: 2}}", "f")
    (fault,) = document.faults
    assert fault.at_key
    assert document.place(fault) == (2, 1)


def test_a_key_written_twice_is_a_fault_that_names_the_first_line() -> None:
    document = read_document("a: 1\nb: 2\na: 3\n", "f")
    assert document.faults == [Fault(("a",), "is written twice, first on line 1", place=(3, 1))]
    assert document.data["a"] == 1


def test_aliases_work_and_what_they_repeat_stands_where_it_was_written() -> None:
    document = read_document("a: &x {b: 1}\nc: *x\n", "f")
    assert document.data == {"a": {"b": 1}, "c": {"b": 1}}
    assert document.values["c", "b"] == (1, 11)


def test_aliases_of_aliases_stop_at_a_bound() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert MAX_VALUES < 9**9
    with pytest.raises(NotYaml, match="its aliases repeat too much"):
        read_document("\n".join(lines), "f")


def test_an_alias_of_itself_is_refused() -> None:
    with pytest.raises(NotYaml):
        read_document("a: &a [*a]", "f")


def test_a_fault_of_something_absent_stands_at_what_is_around_it() -> None:
    document = read_document("a:\n  - b: 1\n", "f")
    assert document.place(Fault(("a", 0, "missing"), "is missing")) == (2, 5)
    assert document.place(Fault(("other",), "is missing")) == (1, 1)
