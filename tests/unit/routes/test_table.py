import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.config.pattern import ANY_METHOD, One, Pattern, Rest, parse_path
from proxy.errors import AmbiguousPath, MethodNotAllowed, NoRoute
from proxy.routes.table import Collision, RouteTable


def table(*routes: str) -> RouteTable[str]:
    """Each route leads to its own text."""
    return RouteTable.build((*route.split(), route) for route in routes)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "route", "values"),
    [
        (b"/stores/12/stock", "POST /stores/{store}/stock", {"store": "12"}),
        (b"/stores/all/stock", "POST /stores/all/stock", {}),
        (b"/stores/all/sales", "POST /stores/{store}/{what}", {"store": "all", "what": "sales"}),
        (b"/stores/12/a/b/", "POST /stores/{rest...}", {"rest": "12/a/b/"}),
        (b"/stores/", "POST /stores/{rest...}", {"rest": ""}),
        (b"/stores", "POST /stores", {}),
        (b"/", "* /{all...}", {"all": ""}),
        (b"/elsewhere", "* /{all...}", {"all": "elsewhere"}),
        (b"/stores/a%2Fb/stock", "POST /stores/{store}/stock", {"store": "a/b"}),
        (b"/st%6Fres/12/stock", "POST /stores/{store}/stock", {"store": "12"}),
        (b"/st%6fres", "POST /stores", {}),
        (b"/stores/M%C3%BCnchen/stock", "POST /stores/{store}/stock", {"store": "München"}),
        ("/stores/München/stock".encode(), "POST /stores/{store}/stock", {"store": "München"}),
        (b"/stores/a+b/stock", "POST /stores/{store}/stock", {"store": "a+b"}),
    ],
)
def test_a_path_goes_to_the_most_literal_route(path: bytes, route: str, values: dict[str, str]) -> None:
    routes = table(
        "* /{all...}",
        "POST /stores",
        "POST /stores/{rest...}",
        "POST /stores/{store}/{what}",
        "POST /stores/{store}/stock",
        "POST /stores/all/stock",
    )
    assert routes.match("POST", path) == (route, values)


def test_a_dead_end_goes_back_to_the_next_choice() -> None:
    routes = table("GET /a/b/c", "GET /{x}/b/d")
    assert routes.match("GET", b"/a/b/d") == ("GET /{x}/b/d", {"x": "a"})
    routes = table("GET /a/b/c", "GET /{x}/b/d", "GET /a/{rest...}")
    assert routes.match("GET", b"/a/b/d") == ("GET /a/{rest...}", {"rest": "b/d"})  # its first segment is literal


def test_a_method_of_its_own_comes_before_any_method_and_literal_before_both() -> None:
    routes = table("* /a", "POST /a", "POST /{x}", "* /{x}")
    assert routes.match("POST", b"/a")[0] == "POST /a"
    assert routes.match("PUT", b"/a")[0] == "* /a"
    assert routes.match("POST", b"/b")[0] == "POST /{x}"
    assert routes.match("PURGE", b"/b")[0] == "* /{x}"


def test_a_less_literal_route_that_has_the_method_is_taken_before_405() -> None:
    routes = table("GET /a/b", "POST /a/{x}", "PUT /{rest...}")
    assert routes.match("POST", b"/a/b") == ("POST /a/{x}", {"x": "b"})
    assert routes.match("PUT", b"/a/b") == ("PUT /{rest...}", {"rest": "a/b"})


def test_405_lists_the_methods_of_every_route_that_has_the_path() -> None:
    routes = table("GET /a/b", "POST /a/{x}", "PUT /{rest...}", "DELETE /other")
    with pytest.raises(MethodNotAllowed) as refused:
        routes.match("DELETE", b"/a/b")
    assert refused.value.headers == [(b"allow", b"GET, POST, PUT")]


def test_a_get_route_does_not_answer_head() -> None:
    with pytest.raises(MethodNotAllowed):
        table("GET /changes").match("HEAD", b"/changes")


@pytest.mark.parametrize(
    "path",
    [
        b"", b"a", b"*", b"http://host/a", b"/nothing", b"/a/",
        b"/x/", b"/x/%", b"/x/%4", b"/x/%zz", b"/x/%ff", b"/x/\xff",
    ],
)  # fmt: skip
def test_what_is_no_path_of_a_route_is_404(path: bytes) -> None:
    with pytest.raises(NoRoute):
        table("GET /a", "GET /a/b", "GET /x/{y}", "GET /r/{rest...}").match("GET", path)


@pytest.mark.parametrize(
    "path",
    [
        b"/a//b", b"//a", b"/./a", b"/a/..", b"/a/%2e%2E/b", b"/x/%2E", b"/x/.", b"/r/a//b", b"/r/../a", b"/r/..",
        b"/r/..%2fa", b"/r/%2E%2e%5Ca", b"/r/a%2F%2Fb", b"/r/..\\a",  # to who reads them as slashes
        b"/a%2fb", b"/x%2Fy", b"/A/../x%2fy", b"/r%5cb",  # which other routes are for
    ],
)  # fmt: skip
def test_a_path_that_others_would_read_as_another_is_refused(path: bytes) -> None:
    routes = table("GET /a", "GET /a/b", "GET /x/{y}", "GET /r/{rest...}", "GET /{all...}")
    with pytest.raises(AmbiguousPath):
        routes.match("GET", path)


@pytest.mark.parametrize("path", [b"/r/a%2Fb", b"/x/a%2Fb", b"/r/a%5Cb", b"/r/%2e%2e%2e", b"/r/..a", b"/r/%252e%252e"])
def test_an_encoded_slash_that_leads_nowhere_else_is_a_letter_of_its_segment(path: bytes) -> None:
    routes = table("GET /x/{y}", "GET /r/{rest...}")
    assert routes.match("GET", path)[0] == ("GET /x/{y}" if path.startswith(b"/x") else "GET /r/{rest...}")


@pytest.mark.parametrize(
    ("first", "second"), [("GET /a", "GET /a"), ("GET /{x}", "GET /{y}"), ("* /{a...}", "* /{b...}")]
)
def test_two_routes_for_the_same_requests_cannot_be_built(first: str, second: str) -> None:
    with pytest.raises(Collision):
        table(first, second)


def test_the_work_of_a_match_does_not_grow_with_the_number_of_routes() -> None:
    few, many = (RouteTable.build([("GET", f"/r{i}/{{x}}/end", i) for i in range(n)]) for n in (1, 1_000))
    assert many.match("GET", b"/r999/v/end") == (999, {"x": "v"})
    assert lines_run(lambda: many.match("GET", b"/r0/v/end")) == lines_run(lambda: few.match("GET", b"/r0/v/end"))


def lines_run(act: Callable[[], object]) -> int:
    """How many lines of Python it takes: as good as time, and the same each run."""
    lines = 0

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        nonlocal lines
        lines += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return lines


# ---- against a matcher that is slow and obvious

words = st.sampled_from(["a", "b", "c", "ä", "a/b", "%", "x y"])
pattern_segments = st.lists(st.sampled_from(["a", "b", "c", "ä", "{x}"]), min_size=0, max_size=3)
methods = st.sampled_from(["GET", "POST", ANY_METHOD])


@st.composite
def patterns(draw: st.DrawFn) -> Pattern:
    pieces = [piece if piece != "{x}" else f"{{x{at}}}" for at, piece in enumerate(draw(pattern_segments))]
    pieces += draw(st.sampled_from([[], [""], ["{rest...}"]]))
    return Pattern(draw(methods), parse_path("/" + "/".join(pieces)))


def fits(pattern: Pattern, segments: Sequence[str]) -> dict[str, str] | None:
    """The parameters' values if the pattern takes these decoded segments."""
    values: dict[str, str] = {}
    for at, expected in enumerate(pattern.segments):
        if isinstance(expected, Rest) and at < len(segments):
            return {**values, expected.name: "/".join(segments[at:])}
        if at >= len(segments) or isinstance(expected, Rest):
            return None
        if isinstance(expected, One) and segments[at]:
            values[expected.name] = segments[at]
        elif expected != segments[at]:
            return None
    return values if len(segments) == len(pattern.segments) else None


def literalness(pattern: Pattern) -> list[int]:
    return [0 if isinstance(each, str) else 1 if isinstance(each, One) else 2 for each in pattern.segments]


@given(
    st.lists(patterns(), max_size=8, unique_by=lambda pattern: (pattern.method, pattern.shape)),
    st.lists(words, max_size=4),
    st.booleans(),
    st.sampled_from(["GET", "POST"]),
)
def test_the_table_finds_what_trying_every_route_would_find(
    routes: list[Pattern], path: list[str], slash: bool, method: str
) -> None:
    segments = [*path, ""] if slash or not path else path
    fitting = [route for route in routes if fits(route, segments) is not None]
    taking = [route for route in fitting if route.method in (method, ANY_METHOD)]
    raw_path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    built = RouteTable.build((route.method, route.path, route) for route in routes)
    if taking:
        best = min(taking, key=lambda route: (literalness(route), route.method == ANY_METHOD))
        with suppress(AmbiguousPath) if "%" in raw_path else nullcontext():  # where an encoded slash leads elsewhere
            assert built.match(method, raw_path.encode()) == (best, fits(best, segments))
    else:
        with pytest.raises((MethodNotAllowed if fitting else NoRoute, AmbiguousPath)):
            built.match(method, raw_path.encode())


@given(st.binary(max_size=40), st.text(max_size=5))
def test_any_bytes_for_a_path_match_or_are_refused(path: bytes, method: str) -> None:
    routes = table("GET /a", "POST /a/{x}", "PUT /r/{rest...}")
    with suppress(NoRoute, MethodNotAllowed, AmbiguousPath):
        assert routes.match(method, b"/r/" + path)[0] == "PUT /r/{rest...}"
