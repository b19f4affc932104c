"""How many requests may be with an upstream at one time, and how many may wait for that."""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from proxy.errors import UpstreamBusy


@dataclass(slots=True)
class Slots:
    """First come, first served. Whoever enters leaves. All methods belong to one event loop."""

    limit: int
    waiting_limit: int
    within_s: float
    count: int = 0
    _idle: asyncio.Event | None = None
    _waiters: "deque[asyncio.Future[None]]" = field(default_factory=deque)

    @property
    def waiting(self) -> int:
        return sum(1 for waiter in self._waiters if not waiter.done())

    async def enter(self) -> None:
        """Take a slot; wait for one if none is free. Raises UpstreamBusy. Cancelled: none is taken."""
        if self.count < self.limit:
            self.count += 1
            return
        if len(self._waiters) >= self.waiting_limit:
            raise UpstreamBusy(f"{self.count} requests are with the service, and {len(self._waiters)} wait. Try again.")
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            async with asyncio.timeout(self.within_s):
                await waiter
        except BaseException as exc:
            if waiter.done() and not waiter.cancelled():
                self.leave()  # it was given to us in the same moment
            elif waiter in self._waiters:
                self._waiters.remove(waiter)
            if isinstance(exc, TimeoutError):
                detail = (
                    f"{self.count} requests are with the service, and none ended in {self.within_s:g} s. Try again."
                )
                raise UpstreamBusy(detail) from None
            raise

    def leave(self) -> None:
        """Give it to the one who waits longest."""
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.count -= 1
        if self.count == 0 and self._idle is not None:
            self._idle.set()

    async def idle(self) -> None:
        """Wait until nobody is in."""
        if self.count:
            self._idle = self._idle or asyncio.Event()
            await self._idle.wait()
