import pytest

from proxy.config.pattern import BadPattern, One, Pattern, Rest


@pytest.mark.parametrize(
    ("text", "segments"),
    [
        ("GET /", ("",)),
        ("POST /stores/{store}/stock", ("stores", One("store"), "stock")),
        ("GET /a/", ("a", "")),
        ("* /{rest...}", (Rest("rest"),)),
        ("GET /Preisliste/größe", ("Preisliste", "größe")),
    ],
)
def test_a_route_is_a_method_and_segments(text: str, segments: tuple[object, ...]) -> None:
    pattern = Pattern.parse(text)
    assert pattern.segments == segments
    assert str(pattern) == text


@pytest.mark.parametrize(
    "text",
    [
        "", "POST", "/a", "POST a", "post /a", "PSOT /a", "POST /a b", "POST /a//b", "POST /a/{}", "POST /{a}{b}",
        "POST /x-{a}", "POST /{a}/{a}", "POST /{rest...}/b", "POST /{1}", "POST /a%20b", "POST /a?b", "POST /a#b",
        "POST /./a", "POST /a/..", "POST /{a", "POST /{a.b}", "POST /{...}",
    ],
)  # fmt: skip
def test_what_is_no_route_is_refused(text: str) -> None:
    with pytest.raises(BadPattern):
        Pattern.parse(text)


def test_a_segment_as_other_servers_write_it_is_refused_with_how_it_is_written_here() -> None:
    with pytest.raises(BadPattern, match=r"write \{store\} for a segment that varies"):
        Pattern.parse("POST /stores/:store/stock")


@pytest.mark.parametrize(
    ("route", "acks"),
    [
        ("GET /a", "POST /a/ack"),
        ("GET /a/", "POST /a/ack"),
        ("GET /", "POST /ack"),
        ("GET /{x}", "POST /{x}/ack"),
        ("GET /{rest...}", "None"),
    ],
)
def test_acks_go_to_the_path_and_ack(route: str, acks: str) -> None:
    assert str(Pattern.parse(route).acks) == acks


def test_patterns_that_take_the_same_paths_have_one_shape() -> None:
    assert Pattern.parse("GET /a/{x}").shape == Pattern.parse("GET /a/{y}").shape
    assert Pattern.parse("GET /a/{x}").shape != Pattern.parse("GET /a/{x...}").shape
