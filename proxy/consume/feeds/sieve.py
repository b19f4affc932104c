"""Filters in use: which events of a feed pass, found out once for a filter and an event, however many clients ask.

- Equal filters are one sieve. It lives as long as somebody holds it, and the newest ones a while longer, for polls.
- What was found out stands with the event, a bit a filter; bits are given anew, and all of it is forgotten, when they
  run out. Filters beyond that number look again for each client.
- A value is read as JSON once for all filters, and only if one looks into it. What was read is several times as large
  as the bytes, so that only that of the newest few is kept.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakValueDictionary

import orjson

from proxy.routes.filter import Filter
from proxy.seams.feeds import FeedEvent

KEPT: Final = 100  # sieves that nobody holds at the moment
BITS: Final = 1_024
READ_BYTES: Final = 2 * 1024 * 1024  # of values whose JSON is kept, and RECORD_BYTES for each
RECORD_BYTES: Final = 200

_UNREAD: Any = object()


def read_json(value: bytes) -> Any:
    """None where it is none."""
    try:
        return orjson.loads(value)
    except orjson.JSONDecodeError:
        return None


class Verdicts:
    """What was found out of one event. `judged` and `passed` have a bit for each sieve of that epoch."""

    __slots__ = ("document", "epoch", "judged", "passed")

    def __init__(self) -> None:
        self.document = _UNREAD
        self.epoch = self.judged = self.passed = 0


class Sieve:
    """One filter in use. `sieves.of` makes it."""

    __slots__ = ("__weakref__", "_sieves", "bit", "filter")

    def __init__(self, filter_: Filter, sieves: "Sieves") -> None:
        self.filter = filter_
        self.bit = 0  # none: nothing is remembered
        self._sieves = sieves

    def __repr__(self) -> str:
        return f"<Sieve of {self.filter!r}>"

    def passes(self, event: FeedEvent) -> bool:
        """Whether its clients are shown the event."""
        verdicts, epoch = event.verdicts, self._sieves.epoch
        if verdicts is None:
            verdicts = event.verdicts = Verdicts()
        if verdicts.epoch != epoch:
            verdicts.epoch, verdicts.judged, verdicts.passed = epoch, 0, 0
        if verdicts.judged & self.bit:
            return bool(verdicts.passed & self.bit)
        passes = self._judge(event)
        verdicts.judged |= self.bit
        if passes:
            verdicts.passed |= self.bit
        return passes

    def _judge(self, event: FeedEvent) -> bool:
        if not self.filter.passes_record(event.record):
            return False
        return not self.filter.reads_body or self.filter.passes_body(self._sieves.document(event))


class Sieves:
    """All sieves of this process."""

    def __init__(self, read: Callable[[bytes], Any] = read_json) -> None:
        self.epoch = 1
        self._read_value = read
        self._by_filter: WeakValueDictionary[Filter, Sieve] = WeakValueDictionary()
        self._newest: deque[Sieve] = deque(maxlen=KEPT)
        self._bits = 0  # given in this epoch
        self._read: deque[tuple[Verdicts, int]] = deque()
        self._read_bytes = 0

    def __repr__(self) -> str:
        return f"<Sieves: {len(self)}>"

    def __len__(self) -> int:
        return len(self._by_filter)

    def of(self, filter_: Filter) -> Sieve:
        """The sieve of that filter. Hold it for as long as it is used."""
        sieve = self._by_filter.get(filter_)
        if sieve is None:
            sieve = self._by_filter[filter_] = Sieve(filter_, self)
            self._newest.append(sieve)
            self._give_bit(sieve)
        return sieve

    def _give_bit(self, sieve: Sieve) -> None:
        in_use = list(self._by_filter.values())
        if self._bits == BITS and 2 * len(in_use) <= BITS:
            self.epoch += 1
            self._bits = 0
            for each in in_use:
                each.bit = self._next_bit()
        else:
            sieve.bit = self._next_bit()

    def _next_bit(self) -> int:
        if self._bits == BITS:
            return 0
        self._bits += 1
        return 1 << (self._bits - 1)

    def document(self, event: FeedEvent) -> Any:
        """The event's value as JSON; None where it is none."""
        verdicts: Verdicts = event.verdicts
        if verdicts.document is _UNREAD:
            value = event.record.value or b""
            verdicts.document = self._read_value(value)
            self._keep(verdicts, len(value) + RECORD_BYTES)
        return verdicts.document

    def _keep(self, verdicts: Verdicts, size_bytes: int) -> None:
        self._read.append((verdicts, size_bytes))
        self._read_bytes += size_bytes
        while self._read_bytes > READ_BYTES and len(self._read) > 1:
            oldest, size_bytes = self._read.popleft()
            oldest.document = _UNREAD
            self._read_bytes -= size_bytes
