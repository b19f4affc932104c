"""W3C Trace Context, by its own examples and rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.observe.traceparent import MAX_STATE_BYTES, Parent, bound_of, place_of, read_parent, trace_id_of

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
GIVEN = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
ALWAYS, NEVER = bound_of(1.0), bound_of(0.0)


def test_the_parent_of_the_specifications_example_is_read() -> None:
    assert read_parent(GIVEN) == Parent(TRACE, SPAN, 1)
    assert trace_id_of(GIVEN) == "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        GIVEN.upper(),
        b"ff" + GIVEN[2:],  # a version that is forbidden
        GIVEN + b"-what-comes-after",  # not in version 00
        GIVEN + b"0",
        b"00-" + b"0" * 32 + GIVEN[35:],
        GIVEN[:36] + b"0" * 16 + b"-01",
        GIVEN[:-2] + b"0x",
        b" " + GIVEN,
        GIVEN + b"\n",
    ],
)
def test_what_is_no_valid_parent_counts_for_nothing(value: bytes) -> None:
    assert read_parent(value) is None
    place = place_of([(b"traceparent", value), (b"tracestate", b"a=1")], NEVER)
    assert (place.parent_id, place.state) == (0, b"")
    assert trace_id_of(value) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_parent(b"42" + GIVEN[2:] + b"-what-comes-after") == Parent(TRACE, SPAN, 1)


def test_two_parents_are_none() -> None:
    assert place_of([(b"traceparent", GIVEN), (b"traceparent", GIVEN)], NEVER).parent_id == 0


@pytest.mark.parametrize(("flags", "bound", "sampled"), [(b"01", NEVER, True), (b"00", ALWAYS, False)])
def test_the_parent_decides_whether_its_trace_is_sampled(flags: bytes, bound: int, sampled: bool) -> None:
    place = place_of([(b"traceparent", GIVEN[:-2] + flags)], bound)
    assert (place.trace_id, place.parent_id, place.is_sampled) == (TRACE, SPAN, sampled)


def test_of_the_flags_those_that_are_known_are_passed_on() -> None:
    assert place_of([(b"traceparent", GIVEN[:-2] + b"ff")], NEVER).flags == 0x03


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (1.0, 5_000, 5_000), (0.1, 350, 650)])
def test_of_the_traces_that_begin_here_a_share_is_sampled(share: float, least: int, most: int) -> None:
    bound = bound_of(share)
    assert least <= sum(place_of([], bound).is_sampled for _ in range(5_000)) <= most


def test_what_is_passed_on_names_our_span_and_the_state_as_it_came() -> None:
    headers = [(b"traceparent", GIVEN), (b"tracestate", b"rojo=00f067,congo=t61"), (b"tracestate", b"b=2")]
    place = place_of(headers, NEVER)
    assert place.headers == [
        (b"traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-%016x-01" % place.span_id),
        (b"tracestate", b"rojo=00f067,congo=t61,b=2"),
    ]
    assert place.span_id != SPAN


@pytest.mark.parametrize("state", [b"a=" + b"x" * MAX_STATE_BYTES, b"a=\xff", b"a=\x01"])
def test_a_state_that_is_too_long_or_no_text_is_left_out(state: bytes) -> None:
    assert place_of([(b"traceparent", GIVEN), (b"tracestate", state)], NEVER).state == b""


@given(st.lists(st.tuples(st.sampled_from([b"traceparent", b"tracestate", b"x"]), st.binary(max_size=70))))
def test_whatever_comes_what_leaves_is_valid(headers: list[tuple[bytes, bytes]]) -> None:
    place = place_of(headers, ALWAYS)
    assert read_parent(place.headers[0][1]) == Parent(place.trace_id, place.span_id, place.flags)
