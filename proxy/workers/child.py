"""One worker process, as its supervisor sees it."""

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from proxy.clock import now_s
from proxy.config.model import Config, LogLevel
from proxy.observe.metrics import Snapshot
from proxy.workers.channel import Channel, Count, Counted, LogFrom, Reload, Reloaded, Serving, Start

COUNTS_WITHIN_S = 1.0
RELOADS_WITHIN_S = 5.0


class WorkerSilent(Exception):
    """The worker has ended, or does not answer in time. What it was asked it may still do."""


class Child:
    """Runs from `start` until `ended` returns. `number` is the process's own, `start.worker` that of its slot."""

    def __init__(
        self,
        number: int,
        start: Start,
        process: asyncio.subprocess.Process,
        channel: Channel,
        on_serving: Callable[[], object],
    ) -> None:
        self.number = number
        self.admin_path = start.admin_path
        self.served = False  # it has taken requests, ever
        self.answers = False  # it answered when it was last asked
        self._started_s = now_s()
        self._process = process
        self._channel = channel
        self._on_serving = on_serving
        self._counts: asyncio.Future[Snapshot] | None = None
        self._reloads: list[asyncio.Future[Sequence[str]]] = []
        self._receiving = asyncio.create_task(self._receive())

    @classmethod
    async def start(cls, number: int, start: Start, on_serving: Callable[[], object]) -> "Child":
        """`on_serving` is called once it takes requests.

        A fresh interpreter in a session of its own, so that Ctrl-C at a terminal reaches only the supervisor."""
        ours, its = socket.socketpair()
        with its:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-P", "-m", "proxy.workers.worker", str(start.worker)),
                stdin=its.fileno(),
                pass_fds=(start.socket_fd,),
                start_new_session=True,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},  # it finds what we found
            )
        channel = await Channel.over(ours)
        channel.send(start)
        return cls(number, start, process, channel, on_serving)

    def __repr__(self) -> str:
        return f"<Child {self.number} pid={self.pid} {'serving' if self.served else 'starting'}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def serving(self) -> bool:
        """It takes requests, and answered when it was last asked."""
        return self.served and self.answers and self._process.returncode is None

    @property
    def ran_s(self) -> float:
        return now_s() - self._started_s

    async def ended(self) -> int:
        """Wait for its end. Returns the exit code, or minus the signal that ended it."""
        try:
            return await self._process.wait()
        finally:
            self._channel.close()
            await self._receiving

    def signal(self, number: signal.Signals) -> None:
        """Harmless once it has ended."""
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def counts(self) -> Snapshot:
        """What it has counted up to now. Raises WorkerSilent.

        One that does not answer is not asked again before it has answered, so that questions do not pile up.
        """
        try:
            async with _patience(COUNTS_WITHIN_S):
                if self._counts:
                    await asyncio.shield(self._counts)  # asked before us: it may lack what has happened since
                if self._counts is None:
                    self._counts = self._asked(Count())
                snapshot = await asyncio.shield(self._counts)
        except WorkerSilent:
            self.answers = False
            raise
        self.answers = True
        return snapshot

    async def reload(self, config: Config) -> Sequence[str]:
        """Have it put a configuration in force; what has changed. Raises WorkerSilent."""
        answer: asyncio.Future[Sequence[str]] = self._asked(Reload(config))
        self._reloads.append(answer)
        async with _patience(RELOADS_WITHIN_S):
            return await asyncio.shield(answer)

    def log_from(self, level: LogLevel) -> None:
        """Have it log from this level on. Harmless once it has ended: its successor begins with what is in force."""
        if not self._receiving.done():
            self._channel.send(LogFrom(level))

    def _asked(self, question: object) -> "asyncio.Future[Any]":
        """Send a question; where its answer will be. Raises WorkerSilent if nobody is there."""
        if self._receiving.done():
            raise WorkerSilent(f"worker process {self.pid} has ended")
        self._channel.send(question)
        return asyncio.get_running_loop().create_future()

    async def _receive(self) -> None:
        try:
            while True:
                self._note(await self._channel.receive())
        except EOFError:
            self.answers = False
            for future in (self._counts, *self._reloads):
                if future and not future.done():
                    future.set_exception(WorkerSilent(f"worker process {self.pid} has ended"))
                    future.exception()  # seen, should nobody wait

    def _note(self, message: object) -> None:
        if isinstance(message, Serving):
            self.served = self.answers = True
            self._on_serving()
        elif isinstance(message, Counted) and self._counts:
            self._counts.set_result(message.snapshot)
            self._counts = None
        elif isinstance(message, Reloaded):
            self._reloads.pop(0).set_result(message.changed)


@contextlib.asynccontextmanager
async def _patience(seconds: float) -> AsyncIterator[None]:
    """Raises WorkerSilent at its end."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise WorkerSilent(f"no answer within {seconds:g} s") from None
