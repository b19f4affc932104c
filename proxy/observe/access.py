"""The access log: one line for a share of the requests, and for those that went wrong or took long.

A line says which route, how it ended and when; never the path as it came, a query, a header or a body, since keys and
leases stand there. (Of what matches no route, the path is what an operator must see: cut, and without its query.)
Which requests get a line is decided as they end, for less than a microsecond; the lines are made and written by a
thread, many at a time. At most WAITING_LINES wait for it: in a flood of errors the others are counted, not written.
"""

import asyncio
import time
from collections.abc import Iterator, Mapping, Sequence
from random import random
from typing import NamedTuple

from proxy.config.model import AccessLog
from proxy.config.share import parse_share
from proxy.observe import logs
from proxy.observe.metrics import Sample
from proxy.observe.outbox import Outbox

WAITING_LINES = 1_000
EVERY_S = 0.5  # so at most 2,000 lines a second

Fields = Mapping[str, str | int | float | None]


class Line(NamedTuple):
    """One request, `at_s` seconds after the epoch."""

    at_s: float
    fields: Fields


class Accesses:
    """Decides which requests get a line, and has them written. `async with` ends it, when all lines are out."""

    def __init__(self, *, every_s: float = EVERY_S) -> None:
        self._every_s = every_s
        self._outbox: Outbox[Line] | None = None
        self._sample = 0.0
        self._slow_s = 0.0

    async def __aenter__(self) -> "Accesses":
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._outbox is not None:
            await asyncio.to_thread(self._outbox.close)

    def follow(self, settings: AccessLog | None) -> "Accesses | None":
        """Go by these settings from now on. None: no request gets a line."""
        if settings is None:
            return None
        self._sample, self._slow_s = parse_share(settings.sample), settings.slow_ms / 1000
        if self._outbox is None:
            self._outbox = Outbox("access", _write, limit=WAITING_LINES, batch=WAITING_LINES, every_s=self._every_s)
        return self

    def reason(self, status: int, seconds: float, *, may_wait: bool = False) -> str | None:
        """Why a request gets a line: error, slow, sample; None: it does not. `may_wait`: slow means nothing."""
        if status >= 400 or not status:
            return "error"
        if seconds >= self._slow_s and not may_wait:
            return "slow"
        return "sample" if random() < self._sample else None

    def note(self, fields: Fields) -> None:
        """Write a line. The values are ours, or were looked at."""
        if self._outbox is not None:
            self._outbox.put(Line(time.time(), fields))

    def samples(self) -> Iterator[Sample]:
        """For the metrics. Nothing where no line was ever asked for."""
        if self._outbox is not None:
            written, dropped = self._outbox.delivered, self._outbox.dropped + self._outbox.failed
            yield Sample("stepbridge_access_lines_total", {"outcome": "written"}, written)
            yield Sample("stepbridge_access_lines_total", {"outcome": "dropped"}, dropped)


def _write(lines: Sequence[Line]) -> bool:
    logs.write_many("access", "request", lines)
    return True
