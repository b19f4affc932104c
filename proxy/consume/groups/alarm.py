"""One timer, for the earliest of many moments."""

import asyncio
from collections.abc import Callable

from proxy.consume.partition.books import Now


class Alarm:
    """Calls `ring` at the earliest moment asked for; whoever rings says what comes next."""

    def __init__(self, ring: Callable[[], None], now: Callable[[], Now]) -> None:
        self._ring = ring
        self._now = now
        self._timer: asyncio.TimerHandle | None = None
        self._at_s = 0.0
        self._is_stopped = False

    def by(self, at_s: float | None) -> None:
        """Ring by then, if not before."""
        if at_s is None or self._is_stopped or (self._timer is not None and self._at_s <= at_s):
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at_s = at_s
        self._timer = asyncio.get_running_loop().call_later(max(0.0, at_s - self._now().s), self._due)

    def stop(self) -> None:
        """Ring no more."""
        self._is_stopped = True
        if self._timer is not None:
            self._timer.cancel()

    def _due(self) -> None:
        self._timer = None
        self._ring()
