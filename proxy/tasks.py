"""Tasks that run beside everything else, and that nobody has to await."""

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Some, by their owner: kept until they have ended, since the event loop would forget them while they run.

    What one raises is told to the loop's exception handler, which logs it with its traceback; the others go on.
    """

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def __repr__(self) -> str:
        return f"<Tasks {', '.join(task.get_name() for task in self._running) or 'none'}>"

    def begin(self, work: Coroutine[Any, Any, object], *, name: str) -> None:
        """Run it until it ends or is cancelled. `name` is for the log."""
        self.keep(asyncio.create_task(work, name=name))

    def keep(self, task: asyncio.Task[Any]) -> None:
        """The same of a task that its owner looks at, or cancels, besides."""
        self._running.add(task)
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Have all end, without waiting for it."""
        for task in self._running:
            task.cancel()

    async def finish(self) -> None:
        """Wait until those that run now have ended. Raises nothing of theirs; cancelled, it cancels them."""
        await asyncio.gather(*self._running, return_exceptions=True)

    async def end(self) -> None:
        """Cancel all and wait until they have ended."""
        self.cancel()
        await self.finish()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            said = {"message": f"{task.get_name()} failed", "exception": error}
            task.get_loop().call_exception_handler(said)
