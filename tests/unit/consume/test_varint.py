import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.varint import LIMIT, Reader, Torn, put, put_text

NUMBERS = st.integers(0, LIMIT - 1)


@given(st.lists(NUMBERS | st.text(max_size=20)))
def test_what_was_put_is_read(items: list[int | str]) -> None:
    out = bytearray()
    for item in items:
        put(out, item) if isinstance(item, int) else put_text(out, item)
    reader = Reader(bytes(out))
    assert [reader.number() if isinstance(item, int) else reader.text() for item in items] == items
    reader.end()


@given(st.binary(max_size=40), st.sampled_from(["number", "count", "text", "end"]))
def test_any_bytes_are_read_or_torn(data: bytes, word: str) -> None:
    reader = Reader(data)
    try:
        while reader.left:
            getattr(reader, word)()
    except Torn:
        pass
    assert 0 <= reader.left <= len(data)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",  # does not end
        b"\xff" * 9 + b"\x02",  # 2**64
        b"\x80" * 1_000 + b"\x01",
    ],
)
def test_numbers_without_an_end_or_a_limit_are_torn(data: bytes) -> None:
    with pytest.raises(Torn):
        Reader(data).number()


def test_a_count_is_never_more_than_the_bytes_that_follow() -> None:
    with pytest.raises(Torn, match="4 bytes are left"):
        Reader(b"\x05" + b"1234").count()
