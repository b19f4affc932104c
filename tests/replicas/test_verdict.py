"""The judge of the replicas sees every kind of lie, and none where there is none."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.replicas.verdict import (
    CAME_BACK,
    LOST,
    NOT_COMMITTED,
    STRANGE_ANSWER,
    STRANGE_RECORD,
    Judge,
    Span,
)


def honest() -> Judge:
    """Three records: one accepted at once, one after it came twice, one in doubt that came again and was accepted."""
    judge = Judge()
    judge.sends([1, 2, 3], 1.0)
    judge.wrote([1, 2, 3], 1.5)
    judge.brought([1, 2], since_s=1.0, at_s=2.0)
    judge.accepted([1], 2.5)
    judge.brought([2], since_s=2.4, at_s=2.6)
    judge.accepted([2], 3.0)
    judge.brought([3], since_s=2.7, at_s=3.1)
    judge.doubted([3])
    judge.brought([3], since_s=3.2, at_s=3.3)
    judge.accepted([3], 3.4)
    judge.left("t:0", 3, 3)
    return judge


def lies(judge: Judge, at_s: float = 9.0) -> list[str]:
    """What the judge accuses of, without the cases."""
    return [name for name, cases in judge.verdict(at_s).lies.items() if cases]


def test_the_truth_is_no_lie_and_is_counted() -> None:
    verdict = honest().verdict(9.0)
    assert verdict.is_clean
    assert (verdict.written, verdict.accepted, verdict.brought, verdict.again) == (3, 3, 5, 2)
    assert (verdict.crossed, verdict.doubted, honest().missing) == (0, 0, 0)


@pytest.mark.parametrize(
    ("lie", "accused"),
    [
        (lambda judge: judge.wrote([4], 4.0), LOST),
        (lambda judge: judge.sends([4], 4.0), LOST),
        (lambda judge: [judge.wrote([4], 4.0), judge.brought([4], since_s=4.0, at_s=4.1)], LOST),
        (lambda judge: judge.brought([1], since_s=2.6, at_s=2.7), CAME_BACK),
        (lambda judge: judge.brought([3], since_s=8.0, at_s=8.5), CAME_BACK),
        (lambda judge: judge.brought([4], since_s=4.0, at_s=4.1), STRANGE_RECORD),
        (lambda judge: judge.strange("500 internal_error"), STRANGE_ANSWER),
        (lambda judge: judge.left("t:1", 2, 3), NOT_COMMITTED),
        (lambda judge: judge.left("t:1", -1, 3), NOT_COMMITTED),
        (lambda judge: judge.left("t:1", 4, 3), NOT_COMMITTED),
    ],
    ids=[
        "never brought", "sent and never seen", "brought and never accepted", "came back at once", "came back late",
        "made up", "a strange answer", "committed too little", "committed nothing", "committed too much",
    ],
)  # fmt: skip
def test_each_kind_of_lie_is_seen(lie: Callable[[Judge], object], accused: str) -> None:
    judge = honest()
    lie(judge)
    assert lies(judge) == [accused]


def test_what_was_on_its_way_when_its_ack_was_answered_has_crossed_it_and_is_counted() -> None:
    judge = honest()
    judge.brought([1], since_s=2.4, at_s=7.0)
    verdict = judge.verdict(9.0)
    assert verdict.is_clean
    assert (verdict.crossed, verdict.again) == (1, 3)


def test_an_ack_without_an_answer_excuses_a_record_that_never_comes_again_and_is_counted() -> None:
    judge = honest()
    judge.wrote([4], 4.0)
    judge.brought([4], since_s=4.1, at_s=4.2)
    judge.doubted([4])
    verdict = judge.verdict(9.0)
    assert verdict.is_clean
    assert (verdict.doubted, judge.missing) == (1, 0)


def test_a_record_may_come_before_its_writer_knows_that_it_was_written() -> None:
    judge = Judge()
    judge.sends([1], 1.0)
    judge.brought([1], since_s=1.0, at_s=1.1)
    judge.wrote([1], 1.2)
    judge.accepted([1], 1.3)
    verdict = judge.verdict(100.0)
    assert verdict.is_clean
    assert verdict.silence.lasts_s == verdict.wait.lasts_s == 0


def test_silence_counts_only_while_records_wait() -> None:
    judge = Judge()
    judge.wrote([1], 1.0)
    judge.brought([1], since_s=1.0, at_s=2.0)  # a second
    judge.wrote([2, 3], 10.0)
    judge.brought([2], since_s=1.0, at_s=13.0)  # three, not eleven
    judge.brought([3], since_s=1.0, at_s=15.0)  # two more; but the record had waited for five
    verdict = judge.verdict(50.0)
    assert (verdict.silence, verdict.wait) == (Span(10.0, 13.0), Span(10.0, 15.0))


def test_silence_at_the_end_counts_too() -> None:
    judge = Judge()
    judge.wrote([1], 1.0)
    judge.brought([1], since_s=1.0, at_s=2.0)
    judge.wrote([2], 3.0)
    assert judge.verdict(9.0).silence == judge.verdict(9.0).wait == Span(3.0, 9.0)


@given(st.lists(st.sampled_from(["wrote", "brought", "accepted"]), max_size=60), st.data())
def test_every_history_is_judged_as_by_the_letter_of_the_law(what: list[str], data: st.DataObject) -> None:
    """Against the law in so many words, over the whole history at once."""
    judge = Judge()
    history = [(kind, data.draw(st.integers(0, 4)), float(at)) for at, kind in enumerate(what, start=1)]
    for kind, number, at_s in history:
        match kind:
            case "wrote":
                judge.wrote([number], at_s)
            case "brought":
                judge.brought([number], since_s=at_s - 0.5, at_s=at_s)
            case "accepted":
                judge.accepted([number], at_s)
    written = {number for kind, number, _ in history if kind == "wrote"}
    accepted = {number for kind, number, _ in history if kind == "accepted"}
    expected = {
        LOST: len(written - accepted),
        CAME_BACK: sum(
            kind == "brought"
            and ("accepted", number) in [(k, n) for k, n, t in history if t < at_s - 0.5]
            and ("wrote", number) in [(k, n) for k, n, t in history if t < at_s]
            for kind, number, at_s in history
        ),
        STRANGE_RECORD: sum(
            kind == "brought" and ("wrote", number) not in [(k, n) for k, n, t in history if t < at_s]
            for kind, number, at_s in history
        ),
        STRANGE_ANSWER: 0,
        NOT_COMMITTED: 0,
    }
    assert {name: len(cases) for name, cases in judge.verdict(99.0).lies.items()} == expected
