"""Watches the workers: opens their sockets, starts them, starts anew the ones that die or hang, and drains them.

It serves no client itself and knows nothing of Kafka. The admin port is its own (`admin.py`); every second it takes
down what each worker has counted, so that little is missing of one that is killed. SIGTERM and SIGINT go to all
workers, each of which drains as a bridge alone would; a second one ends everything at once. SIGHUP reloads.
"""

import asyncio
import contextlib
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

import uvloop

from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config, LogLevel
from proxy.http.protocol import Policy
from proxy.observe import logs
from proxy.observe.audit import audit
from proxy.observe.metrics import Snapshot
from proxy.observe.totals import Totals
from proxy.server import Server, Stop, address, end_at_once, listen, listen_together, renew, tls_context
from proxy.tasks import Tasks
from proxy.workers.admin import admin_app
from proxy.workers.child import Child, WorkerSilent
from proxy.workers.slot import Slot

LOOK_EVERY_S = 1.0
DRAIN_GRACE_S = 15.0  # beyond what the file gives: a worker that has not ended then never will

log = logs.logger("server")


def run(config: Config, reread: Callable[[], Config]) -> int:
    """Run the workers until a signal ends them. Returns the exit code; `reread` reads the file again.

    Raises OSError, whose text is for people, when a port cannot be had.
    """
    with ExitStack() as stack:
        sockets = listen_together(config.server.host, config.server.port, config.server.workers)
        for sock in sockets:
            stack.enter_context(sock)
        admin = stack.enter_context(listen(config.admin.host, config.admin.port))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="stepbridge-")))  # nobody else may look
        supervisor = Supervisor(config, reread, sockets, admin, directory)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(supervisor.run())


class Supervisor:
    """All workers, and what their admin side asks of them (`Fleet`)."""

    def __init__(
        self,
        config: Config,
        reread: Callable[[], Config],
        sockets: Sequence[socket.socket],
        admin: socket.socket,
        directory: Path,
    ) -> None:
        self._config = config
        self._reread = reread
        self._admin = admin
        self._directory = directory
        self._tls = tls_context(config.admin.tls)  # the public side's is each worker's own
        self._http = address(sockets[0], config.server.tls)
        self._totals = Totals()
        self._slots = [Slot(i, sock, directory, self.config, self._totals) for i, sock in enumerate(sockets)]
        self._stop = Stop(self._end_at_once)
        self._draining = False
        self._reloading = asyncio.Lock()
        self._tasks = Tasks()

    async def run(self) -> int:
        """Until a signal, or until a worker cannot start. Returns the exit code."""
        server = Server(admin_app(self), Policy(), self._tls)
        with self._stop.listening(reload=self._reload_soon):
            serving = asyncio.create_task(server.serve([self._admin]))
            keeping = [asyncio.create_task(slot.keep()) for slot in self._slots]
            asking = asyncio.create_task(self._stop.requested.wait())
            self._tasks.keep(asking)
            self._tasks.begin(self._announce(), name="announce")
            for slot in self._slots:
                self._tasks.begin(slot.watch(LOOK_EVERY_S), name=f"watch worker {slot.worker}")
            await asyncio.wait([asking, *keeping], return_when=asyncio.FIRST_COMPLETED)
            code = await self._drain(keeping)
            server.should_exit = True
            await serving
            await self._tasks.end()
        return code

    async def _announce(self) -> None:
        await asyncio.gather(*(slot.up.wait() for slot in self._slots))
        routes, workers = len(self._config.routes), len(self._slots)
        log.info("listening", http=self._http, admin=address(self._admin, self._tls), routes=routes, workers=workers)

    async def _drain(self, keeping: Sequence[asyncio.Task[int]]) -> int:
        """Have all workers drain. Returns the exit code: 1 if one did not do so in time, or could not start."""
        drain, number = self._config.drain, signal.SIGINT if self._stop.impatient else signal.SIGTERM
        self._draining = True
        log.info("drain_began", workers=len(self._children()))
        self._tell_all(number)
        await asyncio.wait(keeping, timeout=(drain.delay_ms + drain.timeout_ms) / 1000 + DRAIN_GRACE_S)
        self._tell_all(signal.SIGKILL)
        codes = await asyncio.gather(*keeping)
        log.info("stopped", workers_cut_off=sum(code != 0 for code in codes))
        return 1 if any(codes) else 0

    def _tell_all(self, number: signal.Signals) -> None:
        for slot in self._slots:
            slot.stop(number)

    def _end_at_once(self, number: signal.Signals) -> None:
        self._tell_all(signal.SIGKILL)
        shutil.rmtree(self._directory, ignore_errors=True)
        end_at_once(number)

    def _children(self) -> Sequence[Child]:
        """The workers that serve and answer."""
        return [slot.child for slot in self._slots if slot.child and slot.child.serving]

    # ---- counting

    async def snapshot(self) -> Snapshot:
        """See `Fleet`. A worker that hangs costs a second, and its gauges."""
        await asyncio.gather(*(slot.look() for slot in self._slots))
        children = self._children()
        merged = self._totals.merged([child.number for child in children])
        merged.numbers["stepbridge_ready"][()] = self.ready()
        merged.numbers["stepbridge_workers"][()] = len(self._slots)
        merged.numbers["stepbridge_workers_up"][()] = len(children)
        merged.numbers["stepbridge_worker_restarts_total"][()] = sum(slot.restarts for slot in self._slots)
        return merged

    # ---- the rest of what the admin side sees

    def config(self) -> Config:
        return self._config

    def ready(self) -> bool:
        return not self._draining and bool(self._children())

    def admin_paths(self) -> Sequence[str]:
        return [child.admin_path for child in self._children()]

    async def reload(self) -> Sequence[str]:
        """See `Fleet`. The file is read once, here, so that all workers have the same."""
        async with self._reloading:
            new = self._reread()
            renew(self._tls, new.admin.tls)
            self._config = self._config.reloaded(new)  # first: a worker that starts now begins with it
            logs.configure(new.observe.log_format, new.observe.log_level)
            told = await asyncio.gather(*(self._reload_one(slot, new) for slot in self._slots))
        changed = next((lines for lines in told if lines is not None), ())
        silent = [slot.worker for slot, lines in zip(self._slots, told, strict=True) if lines is None]
        log.info("reloaded", changes=len(changed))
        return [*changed, *(f"worker {worker}: does not answer; follows when it does" for worker in silent)]

    async def _reload_one(self, slot: Slot, new: Config) -> Sequence[str] | None:
        """What has changed in one worker; None if it does not say. An empty slot will begin with what is in force."""
        with contextlib.suppress(WorkerSilent):
            return await slot.child.reload(new) if slot.child else ()
        return None

    def log_from(self, level: LogLevel) -> None:
        """See `Fleet`."""
        self._config = self._config.logging_from(level)  # first, as above
        logs.configure(self._config.observe.log_format, level)
        for slot in self._slots:
            if slot.child:
                slot.child.log_from(level)

    def _reload_soon(self) -> None:
        """Reload, from a signal's handler: mistakes are in the log."""

        async def reload() -> None:
            audit("reload_asked", by="signal")
            with contextlib.suppress(ConfigMistakes):
                await self.reload()

        self._tasks.begin(reload(), name="reload")
