"""How fast to refuse.

A refusal costs a good part of what a request does, so whoever refuses all that comes has no time left for what it could
do: at three times the load it can bear it would do half. So refusals are paced. Each is given at once; beyond so many a
second the connection that got one *rests*: it is not read for a while, longer the more of them there are. A client that
heeds `Retry-After` does not notice; one that does not is held up by its own requests, and nobody else by them.
"""

from dataclasses import dataclass

ROUNDING_S = 1e-6


@dataclass(slots=True)
class Pace:
    """Says of each refusal how long its connection rests."""

    per_s: float = 1_000  # which takes a twentieth of a processor
    at_once: int = 100  # that need no rest, after a while without any
    longest_s: float = 1.0  # the least that Retry-After asks for
    _next_s: float = 0.0

    def rest_s(self, now_s: float) -> float:
        """Count one refusal. 0.0 while there are few."""
        earliest_s = now_s - self.at_once / self.per_s
        self._next_s = min(max(self._next_s, earliest_s) + 1 / self.per_s, now_s + self.longest_s)
        rest_s = self._next_s - now_s
        return rest_s if rest_s > ROUNDING_S else 0.0
