"""One of the supervisor's places for a worker, and whoever works there now."""

import asyncio
import contextlib
import itertools
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from proxy.config.model import Config
from proxy.observe import logs
from proxy.observe.totals import Totals
from proxy.workers.channel import Start
from proxy.workers.child import Child, WorkerSilent
from proxy.workers.restarts import Restarts

HUNG_AFTER_LOOKS = 15  # about half a minute, for a worker whose loop is blocked: no answer comes within a second

log = logs.logger("workers")

_numbers = itertools.count()  # of processes


class Slot:
    """Keeps a worker on one socket. The socket is ours, so that what connects to a dead worker waits for the next."""

    def __init__(
        self, worker: int, sock: socket.socket, directory: Path, in_force: Callable[[], Config], totals: Totals
    ) -> None:
        """`directory` is private; the worker's admin side listens there."""
        self.worker = worker
        self.child: Child | None = None
        self.restarts = 0
        self._sock = sock
        self._directory = directory
        self._in_force = in_force
        self._totals = totals
        self._policy = Restarts()
        self.up = asyncio.Event()  # a worker has served here
        self._stopping: signal.Signals | None = None
        self._stopped = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Slot {self.worker} {self.child}>"

    async def keep(self) -> int:
        """Start a worker, and another when it dies, until `stop`. Returns the exit code of the last; -n: by signal n.

        Also returns when the very first fails by itself before it serves: nobody would do better.
        """
        try:
            while True:
                code, ran_s = await self._have_one()
                if self._stopping or (code > 0 and not self.up.is_set()):
                    return code
                pause_s = self._policy.pause_s(ran_s)
                log.info("worker_restarts", worker=self.worker, in_s=pause_s)
                if await self._stops_within(pause_s):
                    return 0  # whoever died did so before
                self.restarts += 1
        finally:
            self._sock.close()

    async def _have_one(self) -> tuple[int, float]:
        """Start a worker, and wait for its end: the exit code, 0 if it cut nothing off, and the seconds it ran."""
        try:
            self.child = child = await self._start()
        except OSError as exc:
            log.error("worker_not_started", worker=self.worker, reason=str(exc))
            return 1, 0.0
        if self._stopping:
            self.stop(self._stopping)
        code = await child.ended()
        self.child = None
        self._totals.ended(child.number)
        if self._stopping and not child.served:
            return 0, child.ran_s
        if code or not self._stopping:
            log.warning(
                "worker_ended", worker=self.worker, process=str(child.pid), ended=_how(code), served=child.served
            )
        return code, child.ran_s

    def stop(self, number: signal.Signals) -> None:
        """Have the worker drain (SIGTERM, SIGINT) or end (SIGKILL); it has no successor."""
        self._stopping = number
        self._stopped.set()
        if self.child:
            self._sock.close()
            self.child.signal(number)

    async def look(self) -> bool:
        """Note what the worker has counted up to now. False: it serves, and does not answer."""
        child = self.child
        if child is None or not child.served:
            return True
        try:
            snapshot = await child.counts()
        except WorkerSilent:
            return child is not self.child
        if child is self.child and child.answers:
            self._totals.note(child.number, snapshot)
        return True

    async def watch(self, every_s: float) -> None:
        """Look again and again, for ever; end a worker that has been silent for too long, so that another comes.

        Looks are counted, not seconds: a machine that slept has not slept for its workers alone.
        """
        silent = 0
        while True:
            silent = 0 if await self.look() else silent + 1
            if silent >= HUNG_AFTER_LOOKS and self.child:
                log.error("worker_hangs", worker=self.worker, process=str(self.child.pid), looks=silent)
                self.child.signal(signal.SIGKILL)
                silent = 0
            await asyncio.sleep(every_s)

    async def _start(self) -> Child:
        path = str(self._directory / f"worker-{self.worker}.sock")
        start = Start(self.worker, self._in_force(), self._sock.fileno(), path)
        return await Child.start(next(_numbers), start, self._note_serving)

    def _note_serving(self) -> None:
        self.up.set()
        if self.child:
            log.info("worker_serving", worker=self.worker, process=str(self.child.pid))

    async def _stops_within(self, seconds: float) -> bool:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stopped.wait(), seconds)
        return self._stopped.is_set()


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
