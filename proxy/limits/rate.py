"""How often: GCRA, the generic cell rate algorithm. No clock: `now_s` comes in, in monotonic seconds.

All that is remembered of a client is one moment: when it will be *full* again, that is, when it may once more send as
many requests at once as `burst` says. Each request puts that moment off by one interval (1/100 s at 100/s); one that
would put it further ahead than a whole burst takes is refused, and puts off nothing. So a client that keeps asking is
served at its rate all the same, and one that rests has its burst back.

The clients that are remembered are bounded. Those that are full again are forgotten first, which changes nothing for
them. Where all are still being counted, a new client is let through uncounted: a common rate beside this one still
holds, and nobody who keeps within bounds is refused for the sake of strangers.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from math import ceil

ROUNDING_S = 1e-6  # what sums of intervals may be off by


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in a period, and as many as `burst` at once after a rest."""

    requests: int
    period_s: int
    burst: int
    interval_s: float = field(init=False)
    tolerance_s: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "interval_s", self.period_s / self.requests)
        object.__setattr__(self, "tolerance_s", self.burst * self.interval_s)


class Meters:
    """One rate, held against each client by itself; the clients are told apart by `who`."""

    def __init__(self, rate: Rate, limit: int = 1) -> None:
        """`limit`: how many clients are remembered."""
        self.rate = rate
        self.uncounted = 0  # requests let through because the clients remembered were too many
        self._limit = limit
        self._full_at_s: OrderedDict[Hashable, float] = OrderedDict()  # who was served last stands last

    def __repr__(self) -> str:
        return f"<Meters {self.rate.requests} in {self.rate.period_s} s, {len(self)} clients>"

    def __len__(self) -> int:
        return len(self._full_at_s)

    def wait_s(self, who: Hashable, now_s: float) -> float:
        """0.0 if a request may come now, else how long until it may. Changes nothing."""
        owed_s = self._full_at_s.get(who, 0.0) - now_s
        if owed_s < 0.0:
            owed_s = 0.0
        early_s = owed_s + self.rate.interval_s - self.rate.tolerance_s
        return early_s if early_s > ROUNDING_S else 0.0

    def count(self, who: Hashable, now_s: float) -> bool:
        """A request came that `wait_s` let through. False if there was no room to remember its client."""
        full_at_s = self._full_at_s
        known = full_at_s.get(who)
        if known is None and not self._make_room(now_s):
            self.uncounted += 1
            return False
        full_at_s[who] = (now_s if known is None or known < now_s else known) + self.rate.interval_s
        full_at_s.move_to_end(who)
        return True

    def left(self, who: Hashable, now_s: float) -> int:
        """How many requests may come at once now."""
        owed_s = max(0.0, self._full_at_s.get(who, 0.0) - now_s)
        return max(0, int((self.rate.tolerance_s - owed_s + ROUNDING_S) / self.rate.interval_s))

    def reset_s(self, who: Hashable, now_s: float) -> int:
        """Whole seconds until the burst is there again; if nothing is left, until the next request may come."""
        return ceil(self.wait_s(who, now_s) or max(0.0, self._full_at_s.get(who, 0.0) - now_s))

    def _make_room(self, now_s: float) -> bool:
        """Forget those served longest ago, two at most, if they are full again. Is there a place for one more?"""
        for _ in range(2):
            oldest = next(iter(self._full_at_s.items()), None)
            if oldest is None or oldest[1] > now_s:
                break
            del self._full_at_s[oldest[0]]
        return len(self._full_at_s) < self._limit
