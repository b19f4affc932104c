"""How much may be in flight: at the bound a request is refused at once, and what was admitted keeps its latency."""

from dataclasses import dataclass

from proxy.errors import Overloaded, TooManyStreams


@dataclass(slots=True)
class Gate:
    """Requests in flight and the bytes of their bodies. Whoever enters leaves, and gives back what it took."""

    limit: int
    limit_bytes: int
    where: str = "the bridge"
    count: int = 0
    held_bytes: int = 0

    def enter(self) -> None:
        """Raises Overloaded at the bound."""
        if self.count >= self.limit:
            raise Overloaded(f"{self.count} requests are in flight in {self.where}, as many as may be. Try again.")
        self.count += 1

    def leave(self) -> None:
        self.count -= 1

    def take(self, size_bytes: int) -> None:
        """Raises Overloaded if these bytes are one too many; nothing is taken then."""
        if self.held_bytes + size_bytes > self.limit_bytes:
            raise Overloaded(f"{self.held_bytes} bytes are in flight in {self.where}, as much as may be. Try again.")
        self.held_bytes += size_bytes

    def give(self, size_bytes: int) -> None:
        self.held_bytes -= size_bytes


@dataclass(slots=True)
class Streams:
    """Open streams and waiting polls, together: each holds a connection and a little memory while nothing happens."""

    limit: int
    count: int = 0

    def __enter__(self) -> None:
        if self.count >= self.limit:
            raise TooManyStreams(f"{self.count} streams and polls are open, as many as may be. Try again.")
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
