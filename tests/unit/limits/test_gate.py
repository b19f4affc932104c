"""Who is let in, who is not, and that all of it is given back."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import Overloaded, TooManyStreams
from proxy.limits.gate import Gate, Streams


def gates(limit: int = 3, limit_bytes: int = 100, arriving: int = 50) -> tuple[Gate, Gate]:
    """The one of all routes, twice as wide, and that of a route."""
    outer = Gate(2 * limit, 2 * limit_bytes, arriving_limit_bytes=2 * arriving)
    return outer, Gate(limit, limit_bytes, "route a", "route_in_flight", outer, arriving)


def held(*some: Gate) -> list[tuple[int, int, int]]:
    return [(gate.count, gate.held_bytes, gate.arriving_bytes) for gate in some]


EMPTY = (0, 0, 0)


@pytest.mark.parametrize(
    ("fill", "ask", "limit"),
    [
        (lambda own, _: [own.enter() for _ in range(3)], lambda own: own.enter(), "route_in_flight"),
        (lambda own, _: [own.enter() for _ in range(3)], lambda own: own.check(), "route_in_flight"),
        (lambda _, outer: [outer.enter() for _ in range(6)], lambda own: own.enter(), "in_flight"),
        (lambda _, outer: [outer.enter() for _ in range(6)], lambda own: own.check(), "in_flight"),
        (lambda own, _: own.take(60), lambda own: own.enter(41), "route_in_flight_bytes"),
        (lambda own, _: own.take(60), lambda own: own.take(41), "route_in_flight_bytes"),
        (lambda _, outer: outer.take(160), lambda own: own.enter(41), "in_flight_bytes"),
        (lambda own, _: own.arrive(30), lambda own: own.arrive(21), "route_in_flight_bytes"),
        (lambda own, _: own.take(80), lambda own: own.arrive(21), "route_in_flight_bytes"),
        (lambda _, outer: outer.arrive(80), lambda own: own.arrive(21), "in_flight_bytes"),
        (lambda _, outer: outer.take(180), lambda own: own.arrive(21), "in_flight_bytes"),
    ],
)
def test_at_a_bound_it_is_refused_by_name_and_nothing_is_taken(
    fill: Callable[[Gate, Gate], object], ask: Callable[[Gate], None], limit: str
) -> None:
    outer, own = gates()
    fill(own, outer)
    before = held(outer, own)
    with pytest.raises(Overloaded) as refused:
        ask(own)
    assert refused.value.limit == refused.value.extra["limit"] == limit
    assert refused.value.retry_after_s
    assert held(outer, own) == before


def test_up_to_the_bound_it_is_let_in() -> None:
    outer, own = gates()
    for _ in range(3):
        own.check()
        own.enter(33)
    own.take(1)
    assert held(outer, own) == [(3, 100, 0)] * 2


def test_bodies_that_are_still_arriving_leave_room_for_those_that_are_here() -> None:
    """Many slow uploads at once keep no fast request out, neither by their number nor by their bytes."""
    _, own = gates(limit_bytes=100, arriving=50)
    own.arrive(50)
    with pytest.raises(Overloaded):
        own.arrive(1)
    own.enter(50)


def test_what_entered_leaves_when_its_block_ends_however_it_ends() -> None:
    outer, own = gates()
    with pytest.raises(ZeroDivisionError), own.entered():
        raise ZeroDivisionError
    assert held(outer, own) == [EMPTY] * 2
    with own.entered():
        assert held(outer, own) == [(1, 0, 0)] * 2
    assert held(outer, own) == [EMPTY] * 2


Step = tuple[str, int]


@given(st.lists(st.tuples(st.sampled_from(["enter", "take", "arrive"]), st.integers(0, 60)), max_size=40))
def test_within_bounds_always_and_all_is_given_back(steps: list[Step]) -> None:
    """Two routes share the outer gate."""
    outer, one = gates()
    other = Gate(3, 100, "route b", "route_in_flight", outer, 50)
    undo: list[Callable[[], None]] = []
    back = {"enter": "leave", "take": "give", "arrive": "arrived"}
    for number, (name, size_bytes) in enumerate(steps):
        gate = (one, other)[number % 2]
        try:
            getattr(gate, name)(size_bytes)
        except Overloaded:
            continue
        undo.append(lambda gate=gate, name=name, size_bytes=size_bytes: getattr(gate, back[name])(size_bytes))  # type: ignore[misc]
        for each in (outer, one, other):
            assert each.count <= each.limit
            assert each.held_bytes <= each.limit_bytes
            assert each.arriving_bytes <= each.arriving_limit_bytes
    for give_back in undo:
        give_back()
    assert held(outer, one, other) == [EMPTY] * 3


def test_one_stream_more_than_may_be_is_refused_by_name() -> None:
    streams = Streams(1)
    with streams:
        with pytest.raises(TooManyStreams) as refused, streams:
            pass
        assert refused.value.limit == "streams"
        assert streams.count == 1
    assert streams.count == 0
