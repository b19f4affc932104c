"""Polls and streams that wait for records: first come, first served."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from proxy.consume.groups.handout import Leased
from proxy.errors import ProxyError


class Waiter:
    """One who waits. What he is given at the moment he is cancelled is still his to give back (`given`)."""

    __slots__ = ("_future", "max_records", "stream_id")

    def __init__(self, max_records: int, stream_id: int = 0) -> None:
        self.max_records = max_records
        self.stream_id = stream_id
        self._future: asyncio.Future[Leased | None] = asyncio.get_running_loop().create_future()

    @property
    def is_over(self) -> bool:
        return self._future.done()

    def give(self, handout: Leased | None) -> None:
        """End his wait, with records or without."""
        if not self._future.done():
            self._future.set_result(handout)

    def fail(self, error: ProxyError) -> None:
        if not self._future.done():
            self._future.set_exception(error)

    async def wait(self, wait_s: float) -> Leased | None:
        """What he is given in time."""
        timer = asyncio.get_running_loop().call_later(wait_s, self.give, None)
        try:
            return await self._future
        finally:
            timer.cancel()

    def given(self) -> Leased | None:
        """What he was given, if anything."""
        if not self._future.done() or self._future.cancelled() or self._future.exception():
            return None
        return self._future.result()


class Line:
    """Those who wait, in order."""

    def __init__(self) -> None:
        self._waiters: OrderedDict[Waiter, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._waiters)

    def join(self, waiter: Waiter) -> None:
        self._waiters[waiter] = None

    def leave(self, waiter: Waiter) -> None:
        self._waiters.pop(waiter, None)

    @property
    def first(self) -> Waiter | None:
        """Whose turn it is."""
        while self._waiters:
            waiter = next(iter(self._waiters))
            if not waiter.is_over:
                return waiter
            del self._waiters[waiter]
        return None

    def end(self, error: Callable[[], ProxyError] | None = None) -> None:
        """End all waits, with nothing or with an error, made for each."""
        for waiter in self._waiters:
            if error is None:
                waiter.give(None)
            else:
                waiter.fail(error())
        self._waiters.clear()
