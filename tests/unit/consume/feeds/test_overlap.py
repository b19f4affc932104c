"""Reading on one record early: the one before the position is compared, and dropped."""

import pytest

from proxy.consume.feeds.overlap import MadeAnew, Overlap
from proxy.consume.feeds.position import Mark
from proxy.record import Partition
from tests.unit.consume.scripted_log import Logged

P = Partition("t", 0)


def _records(*offsets: int) -> list[Logged]:
    return [Logged("t", 0, offset, 1_000 + offset) for offset in offsets]


def _offsets(overlap: Overlap, *offsets: int) -> list[int]:
    return [record.offset for record in overlap.admit(_records(*offsets))]


@pytest.mark.parametrize(
    ("mark", "begins", "start", "is_blind"),
    [
        (Mark(5, 1_004), 0, 4, False),
        (Mark(5, 1_004), 5, 5, False),  # the record before it is gone: there is nothing to compare
        (Mark(5), 0, 5, True),  # nor here, where nothing was read before it
        (Mark(0), 0, 0, False),
    ],
)
def test_it_begins_one_record_early_where_that_can_be_compared(
    mark: Mark, begins: int, start: int, is_blind: bool
) -> None:
    overlap = Overlap({P: mark}, {P: (begins, 9)})
    assert (overlap.starts, overlap.is_blind) == ({P: start}, is_blind)


def test_the_record_before_the_position_is_dropped_once() -> None:
    overlap = Overlap({P: Mark(5, 1_004)}, {P: (0, 9)})
    assert _offsets(overlap, 4, 5, 6) == [5, 6]
    assert _offsets(overlap, 7) == [7]


def test_where_it_was_compacted_away_all_is_new() -> None:
    assert _offsets(Overlap({P: Mark(5, 1_004)}, {P: (0, 9)}), 6, 7) == [6, 7]


def test_another_record_before_the_position_means_that_the_topic_was_made_anew() -> None:
    with pytest.raises(MadeAnew) as made_anew:
        Overlap({P: Mark(5, 999)}, {P: (0, 9)}).admit(_records(4, 5))
    assert made_anew.value.partition == P
