from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.ranges import Range, Ranges

RANGES = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda pair: (pair[0], sum(pair))), max_size=12)


def members(ranges: list[Range]) -> set[int]:
    return {offset for start, end in ranges for offset in range(start, end)}


@given(RANGES)
def test_ranges_are_the_set_of_what_was_added(added: list[Range]) -> None:
    ranges = Ranges(added)
    assert members(list(ranges)) == members(added)
    assert [offset for offset in range(80) if offset in ranges] == sorted(members(added))


@given(RANGES)
def test_ranges_neither_overlap_nor_touch(added: list[Range]) -> None:
    flat = [edge for pair in Ranges(added) for edge in pair]
    assert flat == sorted(set(flat))


@given(RANGES, RANGES)
def test_what_is_taken_out_is_there_no_more(added: list[Range], removed: list[Range]) -> None:
    ranges = Ranges(added)
    for start, end in removed:
        ranges.remove(start, end)
    assert members(list(ranges)) == members(added) - members(removed)
    assert list(ranges) == list(Ranges(ranges))


@given(RANGES, st.integers(0, 80))
def test_what_lies_below_can_be_forgotten(added: list[Range], offset: int) -> None:
    ranges = Ranges(added)
    ranges.drop_below(offset)
    assert members(list(ranges)) == {member for member in members(added) if member >= offset}


@given(RANGES, st.integers(0, 60), st.integers(1, 20))
def test_without_is_the_rest(added: list[Range], start: int, width: int) -> None:
    rest = list(Ranges(added).without(start, start + width))
    assert members(rest) == set(range(start, start + width)) - members(added)
    assert rest == list(Ranges(rest))
