"""The readers with which clients far behind read the log itself: a bounded number for the whole process.

A client borrows one for one step at a time, so that none is held by a client that does not read. Whoever comes back
to the reader he had finds it where he left it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from proxy.errors import Overloaded
from proxy.seams.feeds import NewTail, Tail

READERS = 16
STEP_BYTES = 1024 * 1024  # of records that a client gets in one step, about
WAIT_S = 2.0  # for a reader, while all are in use
IDLE_S = 30.0  # a reader that nobody borrows is closed after so long


class Reader:
    """A tail, and who left it at his own position (None: nobody)."""

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.owner: object | None = None
        self.closing: asyncio.TimerHandle | None = None


class CatchUp:
    """`async with` closes the readers. `step_bytes` may be changed at any time."""

    def __init__(self, new_tail: NewTail, *, readers: int = READERS, step_bytes: int = STEP_BYTES) -> None:
        self.step_bytes = step_bytes
        self._new_tail = new_tail
        self._limit = readers
        self._free = asyncio.Semaphore(readers)
        self._idle: list[Reader] = []  # longest idle first
        self._made = 0
        self._closing: set[asyncio.Task[None]] = set()

    def __repr__(self) -> str:
        return f"<CatchUp {self._limit} readers, {len(self._idle)} idle>"

    async def __aenter__(self) -> "CatchUp":
        return self

    async def __aexit__(self, *_: object) -> None:
        for reader in list(self._idle):
            self._retire(reader)
        while self._closing:
            await asyncio.wait(self._closing)

    @asynccontextmanager
    async def borrow(self, owner: object) -> AsyncIterator[Reader]:
        """A reader for one step. `reader.owner is owner`: it is where he left it; set it to leave it so.

        Raises Overloaded when all are in use for longer than a step should take.
        """
        try:
            async with asyncio.timeout(WAIT_S):
                await self._free.acquire()
        except TimeoutError:
            raise Overloaded(
                f"All {self._limit} readers for clients far behind are in use. Come back with the same position.",
                retry_after_s=int(WAIT_S),
            ) from None
        reader = self._pick(owner)
        try:
            yield reader
        except BaseException:
            reader.owner = None
            raise
        finally:
            reader.closing = asyncio.get_running_loop().call_later(IDLE_S, self._retire, reader)
            self._idle.append(reader)
            self._free.release()

    def forget(self, owner: object) -> None:
        """He will not come back."""
        for reader in self._idle:
            if reader.owner is owner:
                reader.owner = None

    def _pick(self, owner: object) -> Reader:
        """His own; else one that nobody left; else a new one; else the one left longest ago."""
        for wanted in (owner, None):
            for reader in self._idle:
                if reader.owner is wanted:
                    return self._taken(reader)
        if self._made < self._limit:
            self._made += 1
            return Reader(self._new_tail())
        reader = self._taken(self._idle[0])
        reader.owner = None
        return reader

    def _taken(self, reader: Reader) -> Reader:
        self._idle.remove(reader)
        if reader.closing is not None:
            reader.closing.cancel()
        return reader

    def _retire(self, reader: Reader) -> None:
        self._taken(reader)
        self._made -= 1
        task = asyncio.get_running_loop().create_task(reader.tail.close(), name="close an idle reader")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
