"""The services behind routes."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

Fields = Sequence[tuple[bytes, bytes]]  # of a head: lower-case names, values as they came, in order, duplicates too


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request as an upstream gets it.

    `target` is path and query exactly as received. `headers` are the end-to-end ones with Via and Forwarded; `host` is
    the client's (the upstream's own policy rewrites it), and `content-length` is there if the client sent one.
    `body`: all of it, or its pieces as they come (without a `content-length` they go out chunked), or None for none.
    """

    method: str
    target: bytes
    headers: Fields
    body: bytes | AsyncIterator[bytes] | None = None


class UpstreamAnswer(Protocol):
    """An answer whose head is here. Whoever has one closes it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Fields:
        """The end-to-end ones, in order; with `content-length` if the upstream said one."""
        ...

    def ready(self) -> tuple[bytes, bool]:
        """What of the body has come already, without waiting, and whether that is all of it. Ask before `piece`."""
        ...

    async def piece(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises UpstreamFailed, UpstreamTimeout (it stood still)."""
        ...

    async def close(self) -> None:
        """Done with it: its connection is free again; where anything is unread, it is ended. Repeatable."""
        ...


class Upstream(Protocol):
    """One configured service (`upstream/`): its addresses, pool, timeouts, retries and breaker."""

    @property
    def name(self) -> str: ...

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Send a request and wait for the head of its answer.

        Cancelled: the request is broken off; the upstream may have acted.

        Raises:
            UpstreamAway and its kin CircuitOpen, UpstreamBusy: nothing was sent, or what was is known not to have
                been taken.
            UpstreamFailed, UpstreamTimeout: it may have acted (`UpstreamError.may_have_acted`).
            And what `request.body` raises while it is read.
        """
