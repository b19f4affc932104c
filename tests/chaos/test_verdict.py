"""The judge of the fault suite sees every kind of lie, and none where there is none."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.verdict import Found, Outcome, Place, Told, Verdict, judge


def written(name: str, offset: int, *, key: str = "k", partition: int = 0, at_s: float = 1.0) -> Told:
    return Told(name, key, Outcome.WRITTEN, at_s, Place("t", partition, offset))


def told(name: str, outcome: Outcome, *, key: str = "k") -> Told:
    return Told(name, key, outcome, 1.0, why="503 not_written")


def at(name: str, offset: int, *, key: str = "k", partition: int = 0) -> Found:
    return Found(name, key, Place("t", partition, offset))


def lies(told: Sequence[Told], found: Sequence[Found]) -> list[str]:
    """What the judge accuses of, without the cases."""
    return [name for name, cases in judge(told, found, lasted_s=10).lies.items() if cases]


HONEST = [
    written("a", 0),
    told("b", Outcome.NOT_WRITTEN),
    told("c", Outcome.UNKNOWN),
    told("d", Outcome.UNKNOWN),
    written("e", 2),
    written("x", 0, key="other", partition=1),
]
ITS_LOG = [at("a", 0), at("c", 1), at("e", 2), at("x", 0, key="other", partition=1)]


def test_the_truth_is_no_lie_and_is_counted() -> None:
    verdict = judge(HONEST, ITS_LOG, lasted_s=10)
    assert verdict.is_clean
    assert (verdict.sent, verdict.found, verdict.unknown_found) == (6, 4, 1)
    assert verdict.told == {Outcome.WRITTEN: 3, Outcome.NOT_WRITTEN: 1, Outcome.UNKNOWN: 2}
    assert verdict.reasons == {"503 not_written": 3}


@pytest.mark.parametrize(
    ("told", "found", "accused"),
    [
        ([written("a", 0)], [], ["lost"]),
        ([written("a", 0)], [at("a", 1)], ["lost"]),
        ([written("a", 0)], [at("a", 0, partition=1)], ["lost"]),
        ([written("a", 0)], [at("a", 0, key="other")], ["lost", "in the log, and sent by nobody"]),
        ([told("a", Outcome.NOT_WRITTEN)], [at("a", 0)], ['written, though answered "not written"']),
        ([written("a", 0)], [at("a", 0), at("a", 7)], ["duplicated"]),
        ([told("a", Outcome.UNKNOWN)], [at("a", 0), at("a", 7)], ["duplicated"]),
        ([written("a", 1), written("b", 0)], [at("b", 0), at("a", 1)], ["out of order"]),
        ([written("a", 0), written("b", 1, partition=1)], [at("a", 0), at("b", 1, partition=1)], ["out of order"]),
        ([written("a", 0), written("b", 0)], [at("a", 0)], ["lost", "out of order"]),
        ([told("a", Outcome.UNSAID)], [], ["answered without an outcome"]),
        ([], [at("a", 0)], ["in the log, and sent by nobody"]),
    ],
    ids=[
        "nowhere", "elsewhere", "in another partition", "with another key", "denied", "written twice",
        "unknown and written twice", "two exchanged", "one key in two partitions", "two at one place", "said nothing",
        "never sent",
    ],
)  # fmt: skip
def test_each_kind_of_lie_is_seen(told: list[Told], found: list[Found], accused: list[str]) -> None:
    assert lies(told, found) == accused


def test_a_record_of_unknown_outcome_may_come_late_and_between_others() -> None:
    sent = [told("late", Outcome.UNKNOWN), written("a", 0), written("b", 2)]
    assert lies(sent, [at("a", 0), at("late", 1), at("b", 2)]) == []
    assert lies(sent, [at("a", 0), at("b", 2), at("late", 3)]) == []


def test_keys_are_ordered_each_for_itself() -> None:
    assert lies([written("a", 5), written("b", 3, key="other")], [at("b", 3, key="other"), at("a", 5)]) == []


@pytest.mark.parametrize(("moments", "silence_s"), [([], 10), ([1, 2], 8), ([6, 7, 9.5], 6), ([0, 3, 8, 10], 5)])
def test_silence_is_the_longest_time_without_a_success(moments: list[float], silence_s: float) -> None:
    sent = [written(str(n), n, at_s=moment) for n, moment in enumerate(moments)]
    assert judge(sent, [], lasted_s=10).silence.lasts_s == silence_s


@given(st.lists(st.sampled_from([Outcome.WRITTEN, Outcome.NOT_WRITTEN, Outcome.UNKNOWN]), min_size=1), st.data())
def test_whatever_record_is_taken_away_or_put_in_is_noticed(outcomes: list[Outcome], data: st.DataObject) -> None:
    """From an honest history of one key: each written record must be there, once; each other one not, or once."""
    sent = [
        written(str(n), n) if outcome is Outcome.WRITTEN else told(str(n), outcome)
        for n, outcome in enumerate(outcomes)
    ]
    log = [at(each.id, n) for n, each in enumerate(sent) if each.outcome is Outcome.WRITTEN]
    assert judge(sent, log, lasted_s=10).is_clean
    changed = data.draw(st.integers(0, len(sent) - 1))
    outcome = sent[changed].outcome
    without = [record for record in log if record.id != str(changed)]
    assert _clean(judge(sent, without, lasted_s=10)) == (outcome is not Outcome.WRITTEN)
    once_more = [*log, at(str(changed), len(sent))]
    assert _clean(judge(sent, once_more, lasted_s=10)) == (outcome is Outcome.UNKNOWN)


def _clean(verdict: Verdict) -> bool:
    return verdict.is_clean
