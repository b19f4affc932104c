"""The ring: from its floor to its tip every record, positions that cost little, readers that fall out cleanly."""

import gc
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.feeds.position import Layout, Mark, Marks, read_token
from proxy.consume.feeds.ring import Chunk, FeedEvent, Place, Ring, differs
from proxy.consume.token import Signer
from proxy.record import Partition
from tests.unit.consume.scripted_log import Logged

SIGNER = Signer(["secret"])
LAYOUT = Layout("c", {"t": 2}, SIGNER)
ZERO, ONE = LAYOUT.partitions


def _records(*offsets: tuple[int, int]) -> list[Logged]:
    return [Logged("t", partition, offset, 1_000 + offset) for partition, offset in offsets]


def _ring(records: int = 100, size: int = 1_000_000) -> Ring:
    return Ring(LAYOUT, (Mark(0), Mark(0)), max_records=records, max_bytes=size)


def _at(marks: Marks) -> list[int]:
    return [mark.next_offset for mark in marks]


def _following(place: Place | None) -> list[tuple[int, int]] | None:
    """Partition and offset of all that comes from there."""
    if place is None:
        return None
    chunk, found = place.chunk, []
    at = place.event
    while True:
        found += [(event.record.partition, event.record.offset) for event in chunk.events[at:]]
        if chunk.next is None:
            return found
        chunk, at = chunk.next, 0


def test_the_position_after_each_event_is_the_one_before_it_and_the_event() -> None:
    ring = _ring()
    ring.append(_records((0, 0), (1, 0), (1, 1), (0, 1)))
    place = ring.place((Mark(0), Mark(0)))
    assert place is not None
    [chunk] = [place.chunk.next] if place.chunk.next else [place.chunk]
    positions = [read_token(event.position, SIGNER, "c", ["t"]) for event in chunk.events]
    assert [(at[ZERO].next_offset, at[ONE].next_offset) for at in positions] == [(1, 0), (1, 1), (1, 2), (2, 2)]
    assert positions[0][ZERO].timestamp_ms == 1_000
    assert positions[0][ONE].timestamp_ms is None


@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=30), st.lists(st.integers(0, 30), max_size=8))
def test_positions_are_the_same_in_whatever_order_they_are_asked_for(
    steps: list[tuple[int, int]], asked: list[int]
) -> None:
    records, next_offset = [], [0, 0]
    for partition, gap in steps:
        records += _records((partition, next_offset[partition] + gap))
        next_offset[partition] += gap + 1
    ring = _ring()
    ring.append(records)
    chunk = ring._chunks[-1]
    for count in [min(each, len(records)) for each in asked]:
        expected = [0, 0]
        for record in records[:count]:
            expected[record.partition] = record.offset + 1
        assert _at(chunk.marks_after(count)) == expected
        following = [(record.partition, record.offset) for record in records[count:]]
        assert _following(ring.place(chunk.marks_after(count))) == following  # whoever comes back to it misses nothing


def test_it_holds_so_many_records_and_says_from_where() -> None:
    ring = _ring(records=4)
    for n in range(5):
        ring.append(_records((0, 2 * n), (0, 2 * n + 1)))
    assert (_at(ring.floor), _at(ring.tip)) == ([6, 0], [10, 0])


def test_it_holds_so_many_bytes_but_always_what_came_last() -> None:
    ring = _ring(size=2_000)
    for n in range(5):
        ring.append([Logged("t", 0, n, n, value=bytes(1_000))])
    assert _at(ring.floor) == [4, 0]
    ring.append([Logged("t", 0, 5, 5, value=bytes(10_000))])
    assert _at(ring.floor) == [5, 0]


@pytest.mark.parametrize(
    ("marks", "following"),
    [
        ((0, 0), [(0, 0), (1, 0), (0, 1), (1, 1)]),
        ((1, 1), [(0, 1), (1, 1)]),
        ((2, 2), []),
        ((9, 9), []),  # ahead of the tip: nothing of what is here is new
        ((1, 0), [(1, 0), (0, 1), (1, 1)]),  # in the middle of a chunk
        ((2, 1), [(1, 1)]),
        ((0, 1), [(0, 0), (1, 0), (0, 1), (1, 1)]),  # nowhere: in another order its reader saw (1, 0), and skips it
        ((0, 9), [(0, 0), (1, 0), (0, 1), (1, 1)]),
        ((1, 2), [(0, 1), (1, 1)]),
    ],
)
def test_a_reader_s_place_is_found_by_the_partition_furthest_behind(
    marks: tuple[int, int], following: Sequence[tuple[int, int]]
) -> None:
    ring = _ring()
    ring.append(_records((0, 0), (1, 0)))
    ring.append(_records((0, 1), (1, 1)))
    assert _following(ring.place((Mark(marks[0]), Mark(marks[1])))) == following


def test_there_is_no_place_for_a_reader_that_misses_what_was_evicted() -> None:
    ring = _ring(records=2)
    ring.append(_records((0, 0), (1, 0)))
    ring.append(_records((0, 1), (1, 1)))
    assert ring.place((Mark(1), Mark(0))) is None
    assert _following(ring.place((Mark(1), Mark(1)))) == [(0, 1), (1, 1)]


def test_who_holds_an_evicted_chunk_sees_that_and_keeps_nothing_alive() -> None:
    ring = _ring(records=2)
    ring.append(_records((0, 0), (0, 1)))
    place = ring.place((Mark(0), Mark(0)))
    assert place is not None
    event = ring._chunks[-1].events[0]
    ring.append(_records((0, 2), (0, 3)))
    assert place.chunk.is_evicted
    assert (place.chunk.events, place.chunk.next) == ([], None)
    assert read_token(event.position, SIGNER, "c", ["t"])[ZERO].next_offset == 1  # an event in use keeps its position


def test_the_partitions_to_skip_are_those_ahead_of_the_place() -> None:
    ring = _ring()
    ring.append(_records((0, 0), (1, 0)))
    for marks, skipped in (((Mark(0), Mark(1)), {ONE}), ((Mark(1), Mark(0)), set())):
        place = ring.place(marks)
        assert place is not None
        assert ring.beyond(place, marks) == skipped
        assert not ring.is_short_of(marks)
    assert ring.is_short_of((Mark(1), Mark(2)))


def test_a_place_stays_good_when_partitions_appear() -> None:
    ring = _ring()
    ring.append(_records((0, 0), (1, 0)))
    wider = Layout("c", {"t": 3}, SIGNER)
    ring.grow(wider)
    ring.append(_records((2, 0)))
    assert _at(ring.tip) == [1, 1, 1]
    assert _following(ring.place((Mark(1), Mark(1), Mark(0)))) == [(2, 0)]
    assert _following(ring.place((Mark(0), Mark(0), Mark(0)))) == [(0, 0), (1, 0), (2, 0)]


def test_what_does_not_continue_what_was_there_empties_the_ring_for_all() -> None:
    ring = _ring()
    ring.append(_records((0, 0), (0, 1)))
    place = ring.place((Mark(0), Mark(0)))
    assert place is not None
    ring.clear(LAYOUT, (Mark(7), Mark(0)))
    assert (place.chunk.is_evicted, ring.generation) == (True, 1)
    assert (_at(ring.floor), _at(ring.tip)) == ([7, 0], [7, 0])
    assert ring.place((Mark(2), Mark(0))) is None


@pytest.mark.parametrize(
    ("mark", "different"),
    [
        (Mark(2, 1_001), set()),
        (Mark(2, 999), {ZERO}),  # the record at 1 has another timestamp
        (Mark(2), set()),  # nothing is known of it
        (Mark(1, 999), {ZERO}),
        (Mark(9, 999), set()),  # nor of what is not here
    ],
)
def test_a_place_that_another_record_stands_before_is_told(mark: Mark, different: set[Partition]) -> None:
    ring = _ring()
    ring.append(_records((0, 0)))
    ring.append(_records((0, 1), (0, 2)))
    place = ring.place((mark, Mark(0)))
    assert place is not None
    assert differs(place, LAYOUT, (mark, Mark(0))) == different


def test_events_that_only_one_reader_has_are_gone_with_him_before_any_cycle_is_collected() -> None:
    gc.collect()
    gc.disable()
    try:
        before = sum(isinstance(each, FeedEvent) for each in gc.get_objects())
        events = Chunk(LAYOUT, (Mark(0), Mark(0)), _records((0, 0), (0, 1))).hand_over()
        assert events[1].position
        del events
        assert sum(isinstance(each, FeedEvent) for each in gc.get_objects()) == before
    finally:
        gc.enable()
