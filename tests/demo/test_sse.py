"""Server-Sent Events, line by line, as the standard's own examples have them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.clients.sse import SseLines
from proxy.demo.clients.stream import Event


def events(text: str) -> list[Event]:
    lines = SseLines()
    return [event for line in text.split("\n") if (event := lines.feed(line))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("data: YHOO\ndata: +2\ndata: 10\n\n", [Event("YHOO\n+2\n10", "")]),
        (": test stream\n\ndata: first event\nid: 1\n\n", [Event("first event", "1")]),
        ("id: 1\ndata: a\n\ndata: b\n\n", [Event("a", "1"), Event("b", "1")]),  # the id stays
        ("id: 1\ndata: a\n\nid\ndata: b\n\n", [Event("a", "1"), Event("b", "")]),  # until it is taken back
        ("data:  two spaces\n\n", [Event(" two spaces", "")]),
        ("data\n\n", [Event("", "")]),
        ("event: gap\ndata: {}\n\ndata: a\n\n", [Event("{}", "", "gap"), Event("a", "")]),
        ("event: nothing\n\n", []),
        ("data: cut off", []),
        ("unknown: field\ndata: a\n\n", [Event("a", "")]),
    ],
)
def test_lines_become_events(text: str, expected: list[Event]) -> None:
    assert events(text) == expected


def test_the_server_says_when_to_come_back() -> None:
    lines = SseLines()
    lines.feed("retry: 250")
    lines.feed("retry: soon")
    assert lines.retry_ms == 250


def test_an_event_cut_in_half_is_forgotten_at_the_next_connection() -> None:
    lines = SseLines()
    for line in ("id: 7", "data: whole", ""):
        lines.feed(line)
    lines.feed("data: half")
    lines.begin()
    lines.feed("data: again")
    assert lines.feed("") == Event("again", "7")


@given(st.lists(st.tuples(st.text("ab:{} ", min_size=1), st.text("01/", min_size=1))))
def test_whatever_is_framed_is_read_back(pairs: list[tuple[str, str]]) -> None:
    text = "".join(f"id: {name}\ndata: {data}\n\n" for data, name in pairs)
    assert events(text) == [Event(data, name) for data, name in pairs]
