"""Tracing: a light span of our own for each request, and the few that are sampled go to an OpenTelemetry collector.

A request that is not sampled costs its place in the trace (two random numbers and a header, about 3 µs), and nothing
is kept of it. Of a sampled one a `Span` is put into a bounded outbox, whose thread makes OpenTelemetry's span of it and
has the SDK's exporter send it (`otlp.py`). Where tracing is not configured none of this exists.
"""

import asyncio
from collections.abc import Callable, Iterator

from proxy.config.model import Tracing
from proxy.config.share import parse_share
from proxy.observe.metrics import Sample
from proxy.observe.outbox import Outbox
from proxy.observe.span import Deliver, Span
from proxy.observe.traceparent import Headers, Place, bound_of, place_of
from proxy.tasks import Tasks

WAITING_SPANS = 4_096
BATCH_SPANS = 512
EVERY_S = 1.0


class Tracer:
    """Places requests in traces, and sends the spans of those that are sampled. `close` it."""

    def __init__(self, settings: Tracing, deliver: Deliver, *, every_s: float = EVERY_S) -> None:
        self.settings = settings
        self._bound = bound_of(parse_share(settings.sample))
        self._outbox: Outbox[Span] = Outbox("spans", deliver, limit=WAITING_SPANS, batch=BATCH_SPANS, every_s=every_s)

    def __repr__(self) -> str:
        return f"<Tracer to {self.settings.endpoint} {self._outbox}>"

    def place(self, headers: Headers) -> Place:
        """Where the request with these headers stands in its trace."""
        return place_of(headers, self._bound)

    def note(self, span: Span) -> None:
        """A sampled span has ended."""
        self._outbox.put(span)

    def counts(self) -> tuple[int, int, int]:
        """Spans exported, failed to be, and dropped, so far."""
        outbox = self._outbox
        return outbox.delivered, outbox.failed, outbox.dropped

    async def close(self) -> None:
        """Send what is left, for a few seconds at most."""
        await asyncio.to_thread(self._outbox.close)


def to_collector(settings: Tracing) -> Tracer:
    """A tracer that sends to the collector of these settings."""
    from proxy.observe.otlp import delivery_to  # an extra: here only where it is asked for, which was checked at load

    return Tracer(settings, delivery_to(settings))


class Tracers:
    """The tracer that is in force, over reloads. `async with` ends it."""

    def __init__(self, make: Callable[[Tracing], Tracer] = to_collector) -> None:
        self._make = make
        self._now: Tracer | None = None
        self._past = [0, 0, 0]
        self._closing = Tasks()

    async def __aenter__(self) -> "Tracers":
        return self

    async def __aexit__(self, *_: object) -> None:
        self.follow(None)
        await self._closing.finish()

    def follow(self, settings: Tracing | None) -> Tracer | None:
        """The tracer for these settings: the one there is, if they are its own. None: nothing is traced."""
        if self._now is not None and self._now.settings != settings:
            self._retire(self._now)
            self._now = None
        if self._now is None and settings is not None:
            self._now = self._make(settings)
        return self._now

    def samples(self) -> Iterator[Sample]:
        """For the metrics. Nothing where nothing was ever traced."""
        now = self._now.counts() if self._now else (0, 0, 0)
        counts = [past + present for past, present in zip(self._past, now, strict=True)]
        if self._now is None and not any(counts):
            return
        for outcome, count in zip(("exported", "failed", "dropped"), counts, strict=True):
            yield Sample("stepbridge_spans_total", {"outcome": outcome}, count)

    def _retire(self, tracer: Tracer) -> None:
        """Beside everything else. A request that began under it and ends later than it has no span."""

        async def close() -> None:
            await tracer.close()
            self._past = [past + last for past, last in zip(self._past, tracer.counts(), strict=True)]

        self._closing.begin(close(), name="close a tracer")
