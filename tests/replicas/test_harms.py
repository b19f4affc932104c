"""Schedules of what is done to the replicas."""

from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tests.replicas.harms import APART_S, GROW, KINDS, Kind, schedule

PAGE = Path(__file__).parents[2] / "docs/replicas.md"


@given(st.integers(), st.floats(10, 500))
def test_a_schedule_is_the_same_for_the_same_seed(seed: int, lasts_s: float) -> None:
    assert schedule(seed, lasts_s) == schedule(seed, lasts_s)
    assert schedule(seed, lasts_s) != schedule(seed + 1, lasts_s)


@given(st.integers())
def test_a_schedule_that_is_long_enough_has_every_kind(seed: int) -> None:
    assert {fault.kind for track in schedule(seed, 120) for fault in track} == KINDS.keys()


@given(st.integers(), st.floats(20, 500))
def test_the_topic_grows_once_in_the_middle_and_all_else_leaves_the_group_time(seed: int, lasts_s: float) -> None:
    *tracks, growth = schedule(seed, lasts_s)
    assert [(fault.kind, fault.at_s) for fault in growth] == [(GROW, lasts_s / 2)]
    for track in tracks:
        assert all(fault.at_s < lasts_s for fault in track)
        for before, after in pairwise(track):
            assert after.at_s - before.at_s - before.lasts_s >= APART_S[0]


def test_the_page_on_replicas_lists_every_kind_and_how_long_it_lasts() -> None:
    rows = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    listed = {row[0].removeprefix("| "): row[1] for row in rows if row[0].removeprefix("| ") in KINDS}
    assert listed == {name: lasts(kind) for name, kind in KINDS.items()}


def lasts(kind: Kind) -> str:
    if not kind.most_s:
        return "a moment"
    return f"{kind.least_s:g} to {kind.most_s:g} s" if kind.least_s else f"up to {kind.most_s:g} s"
