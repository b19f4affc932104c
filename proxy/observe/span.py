"""What a trace tells of one request, before OpenTelemetry makes a span of its own of it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from proxy.observe.traceparent import Place

Attributes = Mapping[str, str | int]


class Span(NamedTuple):
    """One request that was answered. Times in nanoseconds since the epoch; `error` is the code of what went wrong."""

    place: Place
    name: str
    attributes: Attributes
    began_ns: int
    ended_ns: int
    error: str | None = None


Deliver = Callable[[Sequence[Span]], bool]  # False: they did not arrive
