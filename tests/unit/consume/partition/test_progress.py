import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.partition.progress import MAX_CHARS, Fence, Progress, decode, encode
from proxy.consume.ranges import Range


@st.composite
def ranges_above(draw: st.DrawFn, offset: int, most: int = 30) -> list[Range]:
    ranges = []
    for gap, width in draw(st.lists(st.tuples(st.integers(1, 10_000), st.integers(1, 10_000)), max_size=most)):
        ranges.append((offset + gap, offset + gap + width))
        offset += gap + width
    return ranges


@st.composite
def progresses(draw: st.DrawFn) -> Progress:
    offset = draw(st.integers(0, 1 << 50))
    accepted = draw(ranges_above(offset))
    repeated = [(span, draw(st.integers(0, 9))) for span in draw(ranges_above(offset))]
    high = offset + draw(st.integers(1, 1 << 40))
    fence = Fence(high, draw(st.integers(0, 1 << 45)), repeated, draw(st.integers(0, 1 << 32)))
    return Progress(offset, accepted, fence)


@given(progresses())
def test_what_a_commit_says_is_read_back(progress: Progress) -> None:
    metadata, left_out = encode(progress)
    assert left_out is None
    assert decode(progress.offset, metadata) == progress


@given(progresses(), st.integers(0, 1 << 50))
def test_a_commit_that_someone_moved_says_nothing_else(progress: Progress, offset: int) -> None:
    """`kafka-consumer-groups --reset-offsets` may leave the metadata as it was: the offset holds."""
    said = decode(offset, encode(progress)[0])
    assert said == (progress if offset == progress.offset else Progress(offset))


@given(st.integers(0, 1 << 40), st.integers(500, 3_000), st.integers(1, 100_000))
def test_what_finds_no_room_is_named(offset: int, holes: int, gap: int) -> None:
    accepted = [(offset + 1 + i * (gap + 1), offset + 2 + i * (gap + 1)) for i in range(holes)]
    repeated = [(span, 2) for span in accepted]
    metadata, left_out = encode(Progress(offset, accepted, Fence(accepted[-1][1], 1, repeated)))
    assert len(metadata) <= MAX_CHARS
    said = decode(offset, metadata)
    assert list(said.accepted) == [pair for pair in accepted if left_out is None or pair[0] < left_out]
    assert left_out is None or left_out in {start for start, _ in accepted}


def test_a_thousand_holes_fit() -> None:
    accepted = [(1_000_000 + 2 * i, 1_000_001 + 2 * i) for i in range(1, 1_001)]
    assert encode(Progress(1_000_000, accepted))[1] is None


@given(st.text(max_size=60) | st.text(alphabet="AQgw09+/", max_size=80).map("sb1.".__add__))
def test_foreign_strings_say_nothing(metadata: str) -> None:
    assert decode(7, metadata) == Progress(7)


@given(progresses(), st.data())
def test_a_damaged_string_says_nothing(progress: Progress, data: st.DataObject) -> None:
    metadata = encode(progress)[0]
    at = data.draw(st.integers(0, len(metadata) - 2))
    character = data.draw(st.sampled_from("ABCDwxyz0189+/!é").filter(lambda other: other != metadata[at]))
    changed = metadata[:at] + character + metadata[at + 1 :]
    assert decode(progress.offset, changed) == Progress(progress.offset)


@pytest.mark.parametrize("metadata", ["", "sb2.AAAA", "sb1.", "sb1.AAAAAA", "sb1." + "A" * MAX_CHARS])
def test_other_versions_and_stumps_say_nothing(metadata: str) -> None:
    assert decode(0, metadata) == Progress(0)
