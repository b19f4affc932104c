"""What this process reads for its routes: one session a group, one feed for each set of topics without a group.

Routes that read the same share it. After a reload `keep` ends what no route needs any more; a group whose settings
have changed is another session, and the group rebalances from the old one to it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from proxy.observe.logs import logger

log = logger("consume")


class Reader(Protocol):
    """Something that reads in a task of its own."""

    async def run(self) -> None: ...


KeyT = TypeVar("KeyT", bound=Hashable)
ReaderT = TypeVar("ReaderT", bound=Reader)


class Readers(Generic[KeyT, ReaderT]):
    """Readers by their settings. `async with` ends them all."""

    def __init__(self, make: Callable[[KeyT], ReaderT], close: Callable[[ReaderT], Awaitable[None]] | None) -> None:
        """`close` lets a reader's `run` end by itself; without it the task is cancelled."""
        self._make = make
        self._close = close
        self._running: dict[KeyT, tuple[ReaderT, asyncio.Task[None]]] = {}

    def __iter__(self) -> Iterator[ReaderT]:
        return (reader for reader, _ in self._running.values())

    def items(self) -> Iterator[tuple[KeyT, ReaderT]]:
        """Each with its settings; the newest last."""
        return ((key, reader) for key, (reader, _) in self._running.items())

    async def __aenter__(self) -> "Readers[KeyT, ReaderT]":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.keep(set())

    def get(self, key: KeyT) -> ReaderT:
        """The reader with these settings, started if it is new."""
        if key not in self._running:
            reader = self._make(key)
            task = asyncio.create_task(reader.run(), name=f"read {reader!r}")
            task.add_done_callback(_ended)
            self._running[key] = reader, task
        return self._running[key][0]

    async def keep(self, keys: set[KeyT]) -> None:
        """End all others, side by side."""
        gone = [self._running.pop(key) for key in self._running.keys() - keys]
        await asyncio.gather(*(self._end(reader, task) for reader, task in gone))

    async def _end(self, reader: ReaderT, task: asyncio.Task[None]) -> None:
        if self._close is not None:
            await self._close(reader)
        else:
            task.cancel()
        await asyncio.wait([task])


def _ended(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (exc := task.exception()) is not None:
        log.error("reader_failed", reader=task.get_name(), exc=exc)
