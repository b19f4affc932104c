"""Frames arrive whole, in order and unchanged, however the network cuts them; or the connection ends."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.peers.frame import MAX_UNKNOWN_BYTES, BadFrame, Opener, Sealer

KEY, OTHER = b"k" * 32, b"o" * 32


def opener(key: bytes | None = KEY) -> Opener:
    made = Opener()
    if key is not None:
        made.expect(key)
    return made


def sealed(*payloads: bytes) -> list[bytes]:
    sealer = Sealer(KEY)
    return [sealer.frame(payload) for payload in payloads]


@given(st.lists(st.binary(max_size=50)), st.lists(st.integers(0, 400)))
def test_frames_come_out_as_they_went_in_however_they_are_cut(payloads: list[bytes], cuts: list[int]) -> None:
    data, receiving = b"".join(sealed(*payloads)), opener()
    got: list[bytes] = []
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    for start, end in pairwise(edges):
        got += receiving.feed(data[start:end])
    assert got == payloads


@given(st.data())
def test_a_changed_bit_is_noticed(data: st.DataObject) -> None:
    frame = bytearray(sealed(b"a payload")[0])
    bit = data.draw(st.integers(4 * 8, len(frame) * 8 - 1))
    frame[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadFrame, match="seal"):
        list(opener().feed(bytes(frame)))


@pytest.mark.parametrize("order", [(1,), (0, 0), (0, 2), (1, 0)])
def test_a_frame_that_is_left_out_repeated_or_moved_is_noticed(order: tuple[int, ...]) -> None:
    frames = sealed(b"one", b"two", b"three")
    with pytest.raises(BadFrame):
        list(opener().feed(b"".join(frames[at] for at in order)))


def test_a_frame_under_another_key_is_noticed() -> None:
    with pytest.raises(BadFrame):
        list(opener(OTHER).feed(sealed(b"a")[0]))


def test_a_frame_too_short_for_its_seal_is_noticed() -> None:
    with pytest.raises(BadFrame):
        list(opener().feed(b"\x00\x00\x00\x03abc"))


def test_before_the_other_side_is_known_only_a_small_frame_is_waited_for() -> None:
    unknown = opener(None)
    assert list(unknown.feed(Sealer().frame(b"x" * MAX_UNKNOWN_BYTES))) == [b"x" * MAX_UNKNOWN_BYTES]
    with pytest.raises(BadFrame, match="announces"):
        list(unknown.feed((MAX_UNKNOWN_BYTES + 1).to_bytes(4)))


def test_no_frame_is_waited_for_beyond_the_limit() -> None:
    with pytest.raises(BadFrame, match="4294967295 bytes"):
        list(opener().feed(b"\xff\xff\xff\xff"))
