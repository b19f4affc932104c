"""Sieves: what passes is found out once, however many ask, and no longer remembered than it must be."""

import gc
from collections.abc import Sequence

import pytest

from proxy.consume.feeds import sieve
from proxy.consume.feeds.position import Layout, Mark
from proxy.consume.feeds.ring import Chunk, FeedEvent
from proxy.consume.feeds.sieve import BITS, KEPT, Sieves
from proxy.consume.token import Signer
from proxy.record import Fetched
from proxy.routes.filter import Condition, Filter
from tests.unit.consume.scripted_log import Logged

LAYOUT = Layout("cluster", {"t": 1}, Signer(["s"]))


def events(*values: bytes) -> Sequence[FeedEvent]:
    return Chunk(LAYOUT, (Mark(0),), [Logged("t", 0, n, 1, value) for n, value in enumerate(values)]).events


def body(operand: str, field: str = "n", test: str = "is") -> Filter:
    return Filter([Condition("body", (field,), test, operand)])


class Counted(Filter):
    """Counts how often it was asked."""

    __slots__ = ("asked",)

    def __init__(self, operand: str) -> None:
        super().__init__([Condition("body", ("n",), "is", operand)])
        self.asked = 0

    def passes_record(self, record: Fetched) -> bool:
        self.asked += 1
        return super().passes_record(record)


def test_equal_filters_are_one_sieve() -> None:
    sieves = Sieves()
    assert sieves.of(body("1")) is sieves.of(body("1"))
    assert sieves.of(body("1")) is not sieves.of(body("2"))


def test_an_event_is_judged_once_for_a_filter_however_often_it_is_asked() -> None:
    sieves = Sieves()
    (event,) = events(b'{"n": 1}')
    filters = [Counted("1"), Counted("2")]
    for _ in range(3):
        assert [sieves.of(each).passes(event) for each in filters] == [True, False]
    assert [each.asked for each in filters] == [1, 1]


def test_a_value_is_read_once_for_all_filters() -> None:
    read: list[bytes] = []
    sieves = Sieves(read.append)
    one, other = events(b'{"n": 1}', b"no json")
    for number in range(10):
        for event in (one, other):
            assert not sieves.of(body(str(number))).passes(event)
    assert read == [b'{"n": 1}', b"no json"]


def test_a_value_that_no_filter_looks_into_is_not_read() -> None:
    sieves = Sieves(lambda _: pytest.fail("it was read"))
    (event,) = events(b'{"n": 1}')
    key, both = Condition("key", (), "is", "k"), Condition("body", ("n",), "is", "1")
    assert not sieves.of(Filter([key])).passes(event)
    assert not sieves.of(Filter([both, key])).passes(event)


def test_only_the_newest_values_stay_read() -> None:
    sieves = Sieves()
    large = events(*[b'{"n": 1, "x": "%b"}' % (b"x" * (sieve.READ_BYTES // 4))] * 8)
    assert all(sieves.of(body("1")).passes(event) for event in large)
    assert [event.verdicts.document is not sieve._UNREAD for event in large] == [False] * 5 + [True] * 3
    small = events(*[b""] * 20_000)
    assert not any([sieves.of(body("1")).passes(event) for event in small])  # noqa: C419 - all of them
    assert sum(event.verdicts.document is not sieve._UNREAD for event in small) < 11_000


def test_a_sieve_lives_as_long_as_it_is_held_and_the_newest_a_while_longer() -> None:
    sieves = Sieves()
    held = sieves.of(body("held"))
    for number in range(KEPT + 50):
        sieves.of(body(str(number)))
    gc.collect()
    assert len(sieves) == KEPT + 1
    assert sieves.of(body("held")) is held


def test_verdicts_stay_right_while_filters_come_and_go() -> None:
    """A bit that is given again does not speak for the filter that had it before."""
    sieves = Sieves()
    (event,) = events(b'{"n": 1}')
    passes, fails = sieves.of(body("1")), sieves.of(body("0"))
    churn = []
    for number in range(3 * BITS):
        value = str(number % 7)
        other = Filter([Condition("body", ("n",), "is", value), Condition("body", ("n",), "max", str(number))])
        churn.append(sieves.of(other).passes(event))
        newest = sieves.of(body(value))
        assert newest.passes(event) == (value == "1")
        assert passes.passes(event)
        assert not fails.passes(event)
    assert churn == [number % 7 == 1 for number in range(3 * BITS)]


def test_more_filters_than_there_are_bits_are_right_all_the_same() -> None:
    sieves = Sieves()
    (event,) = events(b'{"n": 1500}')
    all_of_them = [sieves.of(body(str(number))) for number in range(2 * BITS)]
    for _ in range(2):
        assert [n for n, each in enumerate(all_of_them) if each.passes(event)] == [1500]
    assert event.verdicts.judged.bit_length() <= BITS
