"""When an address that fails is left alone.

The law:

- *closed*: requests go. After so many failures in a row it opens.
- *open*: none goes, for a while.
- *half-open*, after that while: one request goes, the trial. Well, and it closes; failed, and it opens again; broken
  off by its client, and the next one is the trial.
- What began while it was closed tells nothing any more once it is open.

A failure is a connection that cannot be opened or breaks, and an answer that does not begin in time. A status is none:
a service that says 500 is there.
"""

from dataclasses import dataclass
from typing import Literal

State = Literal["closed", "open", "half_open"]


@dataclass(slots=True)
class Breaker:
    """Of one address. Pure: `now_s` is monotonic seconds. Whoever `begin`s says once how it ended, with what it got."""

    failures: int
    open_s: float
    failed_in_a_row: int = 0
    opened: int = 0  # how often so far
    _open_until_s: float | None = None
    _on_trial: bool = False

    def state(self, now_s: float) -> State:
        if self._open_until_s is None:
            return "closed"
        return "open" if now_s < self._open_until_s else "half_open"

    def admits(self, now_s: float) -> bool:
        """Whether a request may go now."""
        state = self.state(now_s)
        return state == "closed" or (state == "half_open" and not self._on_trial)

    def wait_s(self, now_s: float) -> float:
        """How long until a request may go, as far as that is known."""
        return max(0.0, self._open_until_s - now_s) if self._open_until_s is not None else 0.0

    def begin(self, now_s: float) -> bool:
        """A request goes: ask `admits` before. Whether it is the trial: its outcome is told with that."""
        if self.state(now_s) == "half_open":
            self._on_trial = True
            return True
        return False

    def succeeded(self, is_trial: bool) -> None:
        if is_trial:
            self._on_trial, self._open_until_s = False, None
        if self._open_until_s is None:
            self.failed_in_a_row = 0

    def failed(self, is_trial: bool, now_s: float) -> None:
        if is_trial:
            self._on_trial = False
            self._open(now_s)
        elif self._open_until_s is None:
            self.failed_in_a_row += 1
            if self.failed_in_a_row >= self.failures:
                self._open(now_s)

    def abandoned(self, is_trial: bool) -> None:
        """It ended for a reason that tells nothing of the address."""
        if is_trial:
            self._on_trial = False

    def _open(self, now_s: float) -> None:
        self._open_until_s = now_s + self.open_s
        self.opened += 1
