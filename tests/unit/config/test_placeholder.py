import pytest

from proxy.config.placeholder import BadTemplate, Placeholder, parse_template, placeholders


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", ()),
        ("plain", ("plain",)),
        ("{path.store}:{body.sku}", (Placeholder("path", ("store",)), ":", Placeholder("body", ("sku",)))),
        ("{body.a.b.0}", (Placeholder("body", ("a", "b", "0")),)),
        ("{header.x.y}", (Placeholder("header", ("x.y",)),)),
        ("{{{uuid}}}", ("{", Placeholder("uuid"), "}")),
        ("a}}b{{c", ("a}b{c",)),
    ],
)
def test_a_template_is_text_and_placeholders(text: str, pieces: tuple[object, ...]) -> None:
    assert parse_template(text) == pieces


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "has a '{' that stands alone: write {{"),
        ("a}b", "has a '}' that stands alone: write }}"),
        ("{}", "{} is unknown: there are {path.…}"),
        ("{bdy.x}", "{bdy.x} is unknown"),
        ("{body}", "{body} names no field"),
        ("{body.}", "{body.} names no field"),
        ("{body.a..b}", "{body.a..b} names no field"),
        ("{uuid.x}", "{uuid.x} is unknown"),
        ("{record.key}", "a record has topic, partition, offset, timestamp_ms"),
        ("{claims}", "{claims} names no field"),
    ],
)
def test_what_is_no_template_is_refused_with_what_would_be_right(text: str, why: str) -> None:
    with pytest.raises(BadTemplate) as refused:
        parse_template(text)
    assert why in str(refused.value)


def test_a_placeholder_is_shown_as_it_is_written() -> None:
    assert [str(each) for each in placeholders("{body.a.b} {uuid} {header.x-y}")] == [
        "{body.a.b}",
        "{uuid}",
        "{header.x-y}",
    ]
