"""How fast to refuse.

A refusal costs most of what a small request does, since the socket is what costs: so whoever refuses all that comes
has no time left for what it could do, and at three times the load it can bear it would do half. Refusals are paced:
each is given at once, but beyond one for so many requests served, the connection that got it *rests*: it is not read
for a while, longer the more of them there are, and `Retry-After` says how long. A client that heeds it does not notice;
one that does not is held up by its own requests, and nobody else by them.

The pace follows what is served, for that is what tells how much this machine can do at the moment.
"""

from dataclasses import dataclass

ROUNDING_S = 1e-6
ADAPTS_EVERY_S = 1.0


@dataclass(slots=True)
class Pace:
    """Says of each refusal how long its connection rests."""

    share: float = 1 / 50  # refusals for each request served
    least_per_s: float = 100  # of refusals, however little is served
    at_once: int = 100  # that need no rest, after a while without any
    longest_s: float = 5.0
    per_s: float = 1_000  # until it is known what is served
    _served: int = 0  # since the pace was found
    _found_s: float = 0.0
    _next_s: float = 0.0

    def served(self) -> None:
        """A request was not refused."""
        self._served += 1

    def rest_s(self, now_s: float) -> float:
        """Count one refusal. 0.0 while there are few."""
        if now_s >= self._found_s + ADAPTS_EVERY_S:
            self._adapt(now_s)
        earliest_s = now_s - self.at_once / self.per_s
        self._next_s = min(max(self._next_s, earliest_s) + 1 / self.per_s, now_s + self.longest_s)
        rest_s = self._next_s - now_s
        return rest_s if rest_s > ROUNDING_S else 0.0

    def _adapt(self, now_s: float) -> None:
        if self._found_s:
            served_per_s = self._served / (now_s - self._found_s)
            self.per_s = max(self.least_per_s, served_per_s * self.share)
        self._served, self._found_s = 0, now_s
