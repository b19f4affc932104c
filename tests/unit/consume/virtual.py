"""An event loop whose clock jumps to the next timer when nothing else is to do: hours pass in no time.

A module of tests says `VIRTUAL_TIME = True` to run on it (conftest.py). Only for code that waits for nothing outside.
"""

import asyncio
import selectors
from typing import Any

from proxy.consume.partition.books import Now

START_S, START_MS = 1_000.0, 1_700_000_000_000
MOST_TURNS, TICK_S = 10_000, 1e-9  # timers fire a tick early: two who look at the clock by turns would do so for ever


class _Jumping(selectors.DefaultSelector):
    """Reports what is ready; instead of waiting it lets time pass."""

    passed_s = 0.0
    _turns = 0  # in a row in which no time passed

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if not ready:
            if timeout is None:
                raise AssertionError("every task waits, and no timer is set: nothing would ever happen")
            self._turns = 0 if timeout else self._turns + 1
            self.passed_s += timeout if self._turns < MOST_TURNS else TICK_S
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return START_S + self._jumping.passed_s


def virtual_now() -> Now:
    """Both clocks, as the running VirtualLoop tells them."""
    now_s = asyncio.get_running_loop().time()
    return Now(now_s, START_MS + round((now_s - START_S) * 1000))
