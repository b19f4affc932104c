"""W3C Trace Context (https://www.w3.org/TR/trace-context/): which trace a request belongs to, and how we pass it on.

A request brings `traceparent` (`00-<trace id>-<parent's span id>-<flags>`) and perhaps `tracestate`. What leaves us has
the same trace id, the id of our own span, and the decision whether the trace is sampled. A `traceparent` that is not
valid, or comes twice, counts for nothing, and `tracestate` with it: a trace begins here.
"""

import re
from collections.abc import Sequence
from random import getrandbits
from typing import NamedTuple

Headers = Sequence[tuple[bytes, bytes]]

TRACEPARENT, TRACESTATE = b"traceparent", b"tracestate"
NAMES = frozenset((TRACEPARENT, TRACESTATE))
MAX_STATE_BYTES = 512  # "vendors SHOULD propagate at least 512 characters"

_SAMPLED = 0x01
_RANDOM = 0x02  # level 2: the trace id's low bits are random
_SHAPE = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_STATE = re.compile(rb"[\x20-\x7e]*")
_HALF = 1 << 64


class Parent(NamedTuple):
    """What a request says of the trace it belongs to. The ids are numbers."""

    trace_id: int
    span_id: int
    flags: int

    @property
    def is_sampled(self) -> bool:
        return bool(self.flags & _SAMPLED)


class Place(NamedTuple):
    """Our span's place in a trace. `parent_id` is 0 where the trace begins with us."""

    trace_id: int
    span_id: int
    parent_id: int
    flags: int
    state: bytes  # tracestate as it came; empty: none

    @property
    def is_sampled(self) -> bool:
        return bool(self.flags & _SAMPLED)

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """For whoever is told by us: our span is the parent."""
        parent = (TRACEPARENT, b"00-%032x-%016x-%02x" % (self.trace_id, self.span_id, self.flags))
        return [parent, (TRACESTATE, self.state)] if self.state else [parent]


def read_parent(value: bytes) -> Parent | None:
    """A `traceparent`; None if it is not valid. Later versions are read as far as this one's fields go."""
    match = _SHAPE.fullmatch(value)
    if match is None or match[1] == b"ff" or (match[1] == b"00" and match[5] is not None):
        return None
    parent = Parent(int(match[2], 16), int(match[3], 16), int(match[4], 16))
    return parent if parent.trace_id and parent.span_id else None


def place_of(headers: Headers, bound: int) -> Place:
    """Where a span for the request with these headers stands.

    With a valid parent its decision is taken over. Else the trace begins here, and is sampled if the low half of its id
    is below `bound` (of 2 ** 64): so do OpenTelemetry's `ParentBased` and `TraceIdRatioBased`.
    """
    parents = [value for name, value in headers if name == TRACEPARENT]
    parent = read_parent(parents[0]) if len(parents) == 1 else None
    span_id = getrandbits(64) or 1
    if parent is None:
        trace_id = getrandbits(128) or 1
        return Place(trace_id, span_id, 0, int(trace_id % _HALF < bound), b"")
    return Place(parent.trace_id, span_id, parent.span_id, parent.flags & (_SAMPLED | _RANDOM), _state(headers))


def bound_of(share: float) -> int:
    """The `bound` that samples this share, 0 to 1, of the traces that begin here."""
    return round(share * _HALF)


def trace_id_of(value: bytes | None) -> str | None:
    """The trace id in a `traceparent`, as people search for it; None if there is none."""
    parent = read_parent(value) if value else None
    return f"{parent.trace_id:032x}" if parent else None


def _state(headers: Headers) -> bytes:
    """`tracestate`, its lines as one; nothing of one that is too long, or no text."""
    state = b",".join([value for name, value in headers if name == TRACESTATE])
    return state if len(state) <= MAX_STATE_BYTES and _STATE.fullmatch(state) else b""
