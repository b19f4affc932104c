"""A check that cannot fail is worthless: each way in which a bridge may break its word is shown to be noticed."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.journal import Journal
from proxy.demo.verdict import Row, judge
from proxy.demo.watch import Outcome, Seen

READS = {"shop": frozenset({"sales"})}


def sent(*names: str, key: str = "k", topic: str = "sales", outcome: Outcome = Outcome.WRITTEN) -> Journal:
    journal = Journal()
    for name in names:
        post(journal, name, key=key, topic=topic, outcome=outcome)
    return journal


def post(
    journal: Journal, name: str, *, key: str = "k", topic: str = "sales", outcome: Outcome = Outcome.WRITTEN
) -> None:
    journal.posting(topic, key, {"event_id": name})
    journal.posted(name, outcome)


def record(name: str, topic: str = "sales", **more: object) -> Seen:
    return {"topic": topic, "value": {"event_id": name, **more}}


def see(journal: Journal, *names: str) -> None:
    for name in names:
        journal.seen("shop", record(name))
        journal.accepted("shop", [record(name)])


def only_row(journal: Journal) -> Row:
    (row,) = judge(journal, READS).rows
    return row


def test_everything_seen_once_and_in_order_is_good() -> None:
    journal = sent("a", "b", "c")
    see(journal, "a", "b", "c")
    verdict = judge(journal, READS)
    assert verdict.good
    assert verdict.rows == [Row("shop", "sales", sent=3, answered=3, seen=3)]


def test_nothing_sent_at_all_is_a_failure() -> None:
    assert judge(Journal(), READS).failures == ["nothing was sent to sales, so nothing was proved about it"]


def test_a_lost_record_is_missing() -> None:
    journal = sent("a", "b", "c")
    see(journal, "a", "c")
    assert only_row(journal).missing == 1
    assert judge(journal, READS).failures == ["shop: 1 of 3 records of sales never arrived"]


def test_a_reader_that_never_said_a_word_misses_everything() -> None:
    assert only_row(sent("a", "b")).missing == 2


def test_a_record_after_its_acceptance_is_a_failure() -> None:
    journal = sent("a", "b")
    see(journal, "a", "b", "a")
    assert only_row(journal).again_after == 1
    assert not judge(journal, READS).good


def test_a_reordered_record_is_out_of_order() -> None:
    journal = sent("a", "b", "c")
    see(journal, "a", "c", "b")
    assert only_row(journal).out_of_order == 1
    assert not judge(journal, READS).good


def test_order_between_keys_does_not_matter() -> None:
    journal = sent("a", "b", key="one")
    post(journal, "x", key="two")
    see(journal, "x", "a", "b")
    assert judge(journal, READS).good


def test_a_record_given_back_must_come_again() -> None:
    journal = sent("a")
    journal.seen("shop", record("a"))
    journal.returned("shop", [record("a")])
    assert only_row(journal).returns_unmet == 1
    assert not judge(journal, READS).good


def test_a_record_given_back_that_came_again_is_good_and_counted() -> None:
    journal = sent("a")
    journal.seen("shop", record("a"))
    journal.returned("shop", [record("a")])
    see(journal, "a")
    assert judge(journal, READS).good
    assert only_row(journal).again_before == 1


def test_a_record_that_comes_again_though_nobody_gave_it_back_is_a_failure() -> None:
    journal = sent("a")
    journal.seen("shop", record("a"))
    see(journal, "a")
    assert only_row(journal).returns_unasked == 1
    assert not judge(journal, READS).good


def test_a_record_given_back_once_may_not_come_twice_more() -> None:
    journal = sent("a")
    journal.seen("shop", record("a"))
    journal.returned("shop", [record("a")])
    journal.seen("shop", record("a"))
    see(journal, "a")
    assert only_row(journal).returns_unasked == 1


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.UNKNOWN, Outcome.PENDING])
def test_a_post_that_was_not_answered_as_written_is_a_failure_that_says_why(outcome: Outcome) -> None:
    journal = Journal()
    journal.posting("sales", "k", {"event_id": "a"})
    journal.posted("a", outcome, "503 kafka_unavailable")
    assert judge(journal, READS).failures == [f"1 POSTs for sales ended {outcome}: 503 kafka_unavailable"]


def test_a_record_answered_as_refused_may_not_be_seen() -> None:
    journal = sent("a", outcome=Outcome.REFUSED)
    see(journal, "a")
    assert only_row(journal).strange == 1


def test_a_record_of_unknown_outcome_may_be_seen_or_not() -> None:
    for names in ((), ("a",)):
        journal = sent("a", outcome=Outcome.UNKNOWN)
        see(journal, *names)
        assert not list(only_row(journal).failures())


def test_a_record_that_nobody_sent_is_strange() -> None:
    journal = sent("a")
    see(journal, "a", "ghost")
    assert only_row(journal).strange == 1


def test_a_record_in_a_topic_the_reader_does_not_read_is_strange() -> None:
    journal = sent("a")
    see(journal, "a")
    post(journal, "b", topic="prices")
    journal.seen("shop", record("b", topic="elsewhere"))
    assert judge(journal, READS).failures == [
        "shop: 1 of 0 records of elsewhere arrived though nothing was written under that id"
    ]


def test_a_changed_value_is_altered() -> None:
    journal = sent("a")
    journal.seen("shop", record("a", quantity=2))
    assert only_row(journal).altered == 1
    assert not judge(journal, READS).good


def test_events_of_another_run_and_of_other_clients_are_left_out() -> None:
    journal = Journal(run="now-")
    post(journal, "now-1")
    see(journal, "now-1", "then-1")
    journal.seen("shop", {"topic": "sales", "value": "not ours"})
    assert judge(journal, READS).good


Fault = Callable[[list[str], int], list[str]]


@given(st.integers(2, 30), st.data())
@pytest.mark.parametrize(
    ("fault", "counter"),
    [
        (lambda names, i: names[:i] + names[i + 1 :], "missing"),
        (lambda names, i: [*names, names[i]], "again_after"),
        (lambda names, i: [*names[:i], names[i + 1], names[i], *names[i + 2 :]], "out_of_order"),
    ],
)
def test_one_fault_anywhere_is_found_and_named(fault: Fault, counter: str, count: int, data: st.DataObject) -> None:
    names = [f"{number:03}" for number in range(count)]
    where = data.draw(st.integers(0, count - 2))
    journal = sent(*names)
    see(journal, *fault(names, where))
    row = only_row(journal)
    assert getattr(row, counter) == 1
    assert len(list(row.failures())) == 1
