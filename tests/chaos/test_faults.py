"""Schedules: played again by their seed, in order, and with every kind of fault where there is time for it."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.faults import KINDS, schedule
from tests.chaos.harms import Kind
from tests.chaos.report import report, summary
from tests.chaos.run import Plan, Round
from tests.chaos.tracks import Happened
from tests.chaos.verdict import Found, Outcome, Place, Told, judge


@given(st.integers(), st.floats(10, 1_000))
def test_a_schedule_is_the_same_for_the_same_seed(seed: int, lasts_s: float) -> None:
    assert schedule(seed, lasts_s) == schedule(seed, lasts_s)
    assert schedule(seed, lasts_s) != schedule(seed + 1, lasts_s)


@given(st.integers())
def test_a_schedule_that_is_long_enough_has_every_kind(seed: int) -> None:
    assert {fault.kind for track in schedule(seed, 200) for fault in track} == KINDS.keys()


@given(st.integers(), st.floats(0, 500))
def test_a_track_has_one_fault_at_a_time_and_begins_none_after_its_end(seed: int, lasts_s: float) -> None:
    for track in schedule(seed, lasts_s):
        for before, after in pairwise(track):
            assert before.at_s + before.lasts_s < after.at_s
        assert all(fault.at_s < lasts_s for fault in track)


PLACE = Place("t", 0, 0)
DOCS = Path(__file__).parents[2] / "docs/faults.md"


@pytest.mark.parametrize(("log", "line"), [([Found("a", "k", PLACE)], "lost 0"), ([], "lost 1")])
def test_a_report_tells_what_happened_and_what_must_be_zero(log: list[Found], line: str) -> None:
    tracks = schedule(1, 20)
    verdict = judge([Told("a", "k", Outcome.WRITTEN, 1.0, PLACE)], log, lasted_s=20)
    happened = [Happened(tracks[0][0], 2, 1.5, 4.5)]
    one = Round(Plan(1, 1, 20, tracks), verdict, happened, events=Counter(), lasted_s=20.0)
    lines = [" ".join(each.split()) for each in report(one).splitlines()]
    assert line in lines
    assert f"1.5 {tracks[0][0].lasts_s:.1f} 4.5 {tracks[0][0].kind}: broker 2" in lines
    zeros = " | ".join([line[-1], *"00000"])
    assert f"| 1 | 1 | 1 | 1 | 0 | 0 | {len(log)} | {zeros} | 19.0 s |" in summary([one])


def test_the_page_on_faults_lists_every_kind_and_how_long_it_lasts() -> None:
    rows = [line.split(" | ") for line in DOCS.read_text().splitlines() if line.startswith("| ")]
    listed = {row[0].removeprefix("| "): row[1].strip() for row in rows if row[0].removeprefix("| ") in KINDS}
    assert listed == {name: lasts(kind) for name, kind in KINDS.items()}


def lasts(kind: Kind) -> str:
    if kind.most_s < 1:
        return "a moment"
    return f"{kind.least_s:g} to {kind.most_s:g} s" if kind.least_s else f"up to {kind.most_s:g} s"
