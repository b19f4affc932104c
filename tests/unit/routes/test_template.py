import re

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import FieldInvalid, FieldMissing
from proxy.routes.template import MAX_RENDERED_BYTES, Template
from tests.unit.routes.requests import FORM, request

BODY = orjson.dumps(
    {
        "sku": "A-1", "n": 5, "f": 1.5, "t": True, "no": False, "null": None, "zero": 0, "empty": "",
        "o": {"x": {"y": "deep"}}, "l": [{"z": 7}, "second"], "a/b~c": None, "bom": "a\nb",
    }
)  # fmt: skip


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("constant", "constant"),
        ("100%", "100%"),
        ("{path.store}:{body.sku}", "s1:A-1"),
        ("{body.sku}", "A-1"),
        ("{{{body.sku}}}%s", "{A-1}%s"),
        ("{body.n}/{body.f}/{body.t}/{body.no}/{body.zero}", "5/1.5/true/false/0"),
        ("<{body.empty}>", "<>"),
        ("{body.o.x.y}-{body.l.0.z}-{body.l.1}", "deep-7-second"),
        ("{query.page}", "2 3"),
        ("{header.User-Agent}", "curl/8"),
        ("{path.store} {path.store} {path.store}", "s1 s1 s1"),
    ],
)
def test_a_template_is_filled_in_from_the_request(template: str, text: str) -> None:
    asked = request(BODY, (b"user-agent", b"curl/8"), path={"store": "s1"}, query=b"page=2+3")
    assert Template.compile(template).text(asked) == text
    assert Template.compile(template).encoded(asked) == text.encode()


@pytest.mark.parametrize(
    "number", ["0", "-1", "9.90", "1e3", "1E+2", "-0.0", "12345678901234567890123", "18446744073709551615", "0.1e-5"]
)
def test_a_number_has_the_text_the_client_gave_it(number: str) -> None:
    asked = request(b'{"n": {"x": ' + number.encode() + b"}}")
    assert Template.compile("{body.n.x}").text(asked) == number


@pytest.mark.parametrize(
    ("template", "error"),
    [
        ("{body.other}", {"pointer": "/other"}),
        ("{body.null}", {"pointer": "/null"}),
        ("{body.a/b~c}", {"pointer": "/a~1b~0c"}),
        ("{body.o.x.none}", {"pointer": "/o/x/none"}),
        ("{body.sku.x}", {"pointer": "/sku/x"}),
        ("{body.l.2}", {"pointer": "/l/2"}),
        ("{body.l.-1}", {"pointer": "/l/-1"}),
        ("{body.l.x}", {"pointer": "/l/x"}),
        ("{query.none}", {"field": "query.none"}),
        ("{header.x-none}", {"field": "header.x-none"}),
    ],
)
def test_a_field_that_is_missing_or_null_is_named(template: str, error: dict[str, str]) -> None:
    with pytest.raises(FieldMissing) as refused:
        Template.compile(template).text(request(BODY))
    assert refused.value.errors == [{**error, "detail": "is missing or null"}]
    assert template in refused.value.detail


@pytest.mark.parametrize(("template", "kind"), [("{body.o}", "an object"), ("{body.l}", "an array")])
def test_an_object_or_array_cannot_be_text(template: str, kind: str) -> None:
    with pytest.raises(FieldInvalid, match=kind):
        Template.compile(template).text(request(BODY))


@pytest.mark.parametrize("body", [b"[1]", b'"text"', b"5", b"null", b"[]"])
def test_a_body_that_is_no_object_has_no_fields(body: bytes) -> None:
    with pytest.raises(FieldMissing):
        Template.compile("{body.sku}").text(request(body))


def test_form_fields_are_read_like_json_ones() -> None:
    assert Template.compile("{body.sku}").text(request(b"sku=A+1&n=2", FORM)) == "A 1"
    with pytest.raises(FieldMissing):
        Template.compile("{body.other}").text(request(b"sku=A", FORM))


@pytest.mark.parametrize("breaking", ["\r", "\n", "\0"])
def test_a_line_break_or_nul_cannot_get_into_keys_and_headers(breaking: str) -> None:
    asked = request(orjson.dumps({"x": f"a{breaking}b"}))
    with pytest.raises(FieldInvalid) as refused:
        Template.compile("v={body.x}", "header source").encoded(asked)
    assert refused.value.detail.startswith("The header source, made from {body.x}, would have a line break or NUL")
    assert refused.value.errors[0]["pointer"] == "/x"


def test_what_is_not_printable_but_harmless_passes() -> None:
    text = "a\tb\x1f\u00a0\u200b"
    assert Template.compile("{body.x}").encoded(request(orjson.dumps({"x": text}))) == text.encode()


@pytest.mark.parametrize(("length", "fits"), [(MAX_RENDERED_BYTES // 2, True), (MAX_RENDERED_BYTES // 2 + 1, False)])
def test_keys_and_headers_are_bounded_in_bytes(length: int, fits: bool) -> None:
    asked = request(orjson.dumps({"x": "ä" * length}))
    if fits:
        assert len(Template.compile("{body.x}").encoded(asked)) == MAX_RENDERED_BYTES
    else:
        with pytest.raises(FieldInvalid, match=f"at most {MAX_RENDERED_BYTES}"):
            Template.compile("{body.x}").encoded(asked)


def test_id_and_time_are_the_same_everywhere_in_one_request() -> None:
    asked = request()
    text = Template.compile("{uuid} {uuid} {now}").text(asked)
    assert re.fullmatch(r"([0-9a-f-]{36}) \1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", text)


def test_a_template_shows_itself() -> None:
    assert repr(Template.compile("a {body.x}", "key")) == "<Template of the key: a {body.x}>"


literals = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
names = st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True)


@given(st.lists(st.tuples(literals, names), max_size=5), literals, st.data())
def test_any_mix_of_text_and_fields_comes_out_as_written(
    parts: list[tuple[str, str]], end: str, data: st.DataObject
) -> None:
    """For any literals (braces doubled) and any values, the result is their concatenation."""
    values = {name: data.draw(literals, label=name) for _, name in parts}
    template = "".join(escape(text) + f"{{body.{name}}}" for text, name in parts) + escape(end)
    expected = "".join(text + values[name] for text, name in parts) + end
    assert Template.compile(template).text(request(orjson.dumps(values))) == expected


def escape(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")
