"""The two clocks of the bridge, behind one door, so that tests can move them.

Monotonic seconds (`now_s`) measure durations and deadlines; wall-clock milliseconds (`wall_ms`) stand in
records, tokens and answers. `STEPBRIDGE_CLOCK_OFFSET_MS` shifts the wall clock of a process: a fault test's lever.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_offset_ms = int(os.environ.get("STEPBRIDGE_CLOCK_OFFSET_MS", "0"))
_monotonic_s: Callable[[], float] = time.monotonic


def now_s() -> float:
    """Seconds on the monotonic clock."""
    return _monotonic_s()


@contextmanager
def going_by(monotonic_s: Callable[[], float]) -> Iterator[None]:
    """Another clock than the machine's, for a while: of a test that lets hours pass in no time."""
    global _monotonic_s
    before, _monotonic_s = _monotonic_s, monotonic_s
    try:
        yield
    finally:
        _monotonic_s = before


def wall_ms() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000 + _offset_ms


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment on the monotonic clock by which something must have happened."""

    at_s: float

    @classmethod
    def after(cls, timeout_s: float) -> "Deadline":
        return cls(now_s() + timeout_s)

    def remaining_s(self) -> float:
        """Seconds left, never below 0."""
        return max(0.0, self.at_s - now_s())
