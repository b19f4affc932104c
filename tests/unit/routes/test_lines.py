from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import NotNow, TooLarge
from proxy.routes.lines import Line, LineSplitter

LIMIT = 10


def split(*pieces: bytes, limit_bytes: int = LIMIT) -> list[bytes | str]:
    """Every line; a code where there is an error."""
    splitter = LineSplitter(limit_bytes)
    return shown([*(line for piece in pieces for line in splitter.feed(piece)), *splitter.rest()])


def shown(lines: list[Line]) -> list[bytes | str]:
    return [line if isinstance(line, bytes) else line.code for line in lines]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        (b"", []),
        (b"\n", []),
        (b"a\nb\n", [b"a", b"b"]),
        (b"a\nb", [b"a", b"b"]),
        (b"a\r\nb\r\n", [b"a", b"b"]),
        (b"a\r\nb\r", [b"a", b"b"]),
        (b"\n \n\t\r\na\n\n\r\n", [b"a"]),
        (b" a \n", [b" a "]),
        (b"a\rb\n", [b"a\rb"]),
        (b"a\r\r\n", [b"a\r"]),
        (b"\x0b\n\x00\n", [b"\x0b", b"\x00"]),
        (b"\xff\xfe\n", [b"\xff\xfe"]),
        (b"0123456789\na", [b"0123456789", b"a"]),
        (b"0123456789\r\na", [b"0123456789", b"a"]),
        (b"0123456789a\na", ["too_large", b"a"]),
        (b"0123456789\r\r\na", ["too_large", b"a"]),
        (b"a\n" + b"x" * 1_000, [b"a", "too_large"]),
        (b"a\n" + b" " * 1_000 + b"\nb", [b"a", "too_large", b"b"]),
    ],
)
def test_a_line_ends_with_its_end_or_the_bodys_and_what_is_blank_is_none(body: bytes, lines: list[bytes | str]) -> None:
    assert split(body) == lines
    assert split(*(bytes([byte]) for byte in body)) == lines


@given(
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r", b" ", b"a", b"{}", b"0123456789", b"\xff", b"x" * 25])).map(
        b"".join
    ),
    st.lists(st.integers(0, 100)),
)
def test_lines_are_the_same_however_the_body_is_cut(body: bytes, cuts: list[int]) -> None:
    edges = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    assert split(*(body[start:end] for start, end in pairwise(edges))) == split(body)


@given(st.lists(st.binary(max_size=LIMIT).filter(lambda line: b"\n" not in line), max_size=20))
def test_no_line_is_lost_and_none_is_changed(lines: list[bytes]) -> None:
    kept = [line.removesuffix(b"\r") for line in lines]
    assert split(b"\n".join(lines)) == [line for line in kept if line.strip(b" \t\r")]


def test_never_more_than_one_line_is_held() -> None:
    splitter = LineSplitter(LIMIT)
    for _ in range(1_000):
        splitter.feed(b"xxx")
        assert splitter.held_bytes <= LIMIT + 1
    (refused,) = splitter.rest()
    assert isinstance(refused, TooLarge)
    assert refused.extra == {"limit_bytes": LIMIT}


def test_a_line_that_is_given_up_is_an_error_and_the_next_is_not() -> None:
    splitter = LineSplitter(LIMIT)
    splitter.feed(b"a\nb")
    splitter.give_up(NotNow("no room"))
    assert splitter.held_bytes == 0
    assert shown(splitter.feed(b"c\nd\n")) == ["unavailable", b"d"]


def test_there_is_nothing_to_give_up_between_two_lines() -> None:
    splitter = LineSplitter(LIMIT)
    splitter.feed(b"a\n")
    splitter.give_up(NotNow("no room"))
    assert shown(splitter.feed(b"b\n")) == [b"b"]
