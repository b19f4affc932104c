"""How much may be in flight: at the bound a request is refused at once, and what was admitted keeps its latency.

The law, in the words used below:

- Whoever enters leaves, and gives back what it took. A route's gate lies within the one of all routes (`outer`): who
  enters it is in both, or in neither.
- A body that is still *arriving* has no place in flight: a client that sends slowly keeps nobody out. What has come
  of it is held, and of all such bodies together at most their share: the rest is for those that are here already.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from proxy.errors import Overloaded, TooManyStreams


@dataclass(slots=True)
class Gate:
    """Requests in flight and the bytes of their bodies. Every refusal is an Overloaded, and leaves nothing taken."""

    limit: int
    limit_bytes: int
    where: str = "the bridge"
    name: str = "in_flight"  # of the limit, in metrics and answers
    outer: "Gate | None" = None  # which has no other around it
    arriving_limit_bytes: int = sys.maxsize
    count: int = 0
    held_bytes: int = 0
    arriving_bytes: int = 0  # of those held

    def check(self) -> None:
        """Refuse now what `enter` would refuse: before the body is read."""
        if self.count >= self.limit:
            raise self._too_many()
        if self.outer is not None:
            self.outer.check()

    def enter(self, size_bytes: int = 0) -> None:
        """One more request is in flight, with a body of that size."""
        outer = self.outer
        if self.count >= self.limit:
            raise self._too_many()
        if outer is not None and outer.count >= outer.limit:
            raise outer._too_many()
        if size_bytes:
            self.take(size_bytes)
        self.count += 1
        if outer is not None:
            outer.count += 1

    def leave(self, size_bytes: int = 0) -> None:
        self.count -= 1
        self.held_bytes -= size_bytes
        if self.outer is not None:
            self.outer.leave(size_bytes)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """In flight for as long as the block lasts."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def take(self, size_bytes: int) -> None:
        """These bytes are here, of a request that needs no place."""
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise self._too_much(self.held_bytes)
        if self.outer is not None:
            self.outer.take(size_bytes)
        self.held_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
        if self.outer is not None:
            self.outer.give(size_bytes)

    def arrive(self, size_bytes: int) -> None:
        """These bytes have come, of a body that is not here as a whole. Give them back with `arrived`."""
        if self.arriving_bytes + size_bytes > self.arriving_limit_bytes:
            raise self._too_much(self.arriving_bytes)
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise self._too_much(self.held_bytes)
        if self.outer is not None:
            self.outer.arrive(size_bytes)
        self.held_bytes += size_bytes
        self.arriving_bytes += size_bytes

    def arrived(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes
        self.arriving_bytes -= size_bytes
        if self.outer is not None:
            self.outer.arrived(size_bytes)

    def _too_many(self) -> Overloaded:
        return Overloaded(
            f"{self.count} requests are in flight in {self.where}, as many as may be. Try again.", limit=self.name
        )

    def _too_much(self, held_bytes: int) -> Overloaded:
        return Overloaded(
            f"{held_bytes} bytes are in flight in {self.where}, and these are too many more. Try again.",
            limit=f"{self.name}_bytes",
        )


@dataclass(slots=True)
class Streams:
    """Open streams and waiting polls, together: each holds a connection and a little memory while nothing happens."""

    limit: int
    count: int = 0

    def __enter__(self) -> None:
        if self.count >= self.limit:
            raise TooManyStreams(
                f"{self.count} streams and polls are open, as many as may be. Try again.", limit="streams"
            )
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
