"""The process: sockets, two uvicorn servers, signals, and the order in which everything stops.

On SIGTERM (DESIGN, "Draining"): `/readyz` turns 503 while requests are still accepted for `drain.delay_ms`, each
answer being its connection's last; then polls and streams end, the listeners close, and every accepted request gets
its answer, at most `drain.timeout_ms` long. Then acks are committed, groups left, the producer stopped. The admin side
answers until the end. SIGINT does the same without the delay: somebody is waiting at a terminal. A second signal
ends the process at once. SIGHUP reloads the file.

Exit codes: 0 drained; 1 could not start, or requests were cut off by the drain's time; 2 mistakes in the file;
128 + n ended at once by signal n.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn
import uvloop

from proxy.app import Bridge
from proxy.config.load import load
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config
from proxy.http.protocol import Policy, protocol_class
from proxy.observe import logs

KEEP_ALIVE_S = 75  # above the usual 60 s of load balancers, so that they close first
GC_THRESHOLD = 100_000  # collections of the young generation are a measurable share of a request otherwise
BACKLOG = 4_096
BACKLOG_S = 0.05  # for what the kernel has accepted and we have not

log = logs.logger("server")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says: it beats the file, after a reload too."""

    host: str | None = None
    port: int | None = None
    admin_host: str | None = None
    admin_port: int | None = None

    workers: int | None = None

    def load(self, path: Path) -> Config:
        """The file with what the command line says in it. Raises ConfigMistakes."""
        server = _said(host=self.host, port=self.port, workers=self.workers)
        admin = _said(host=self.admin_host, port=self.admin_port)
        return load(path, flags={"server": server, "admin": admin})


def serve(path: Path, overrides: Overrides) -> int:
    """Run the bridge until a signal ends it. Returns the exit code; what stops it from starting is on stderr."""
    try:
        config = overrides.load(path)
    except ConfigMistakes as exc:
        print(exc, file=sys.stderr)
        return 2
    logs.configure(config.observe.log_format, config.observe.log_level)
    try:
        with (
            _listen(config.server.host, config.server.port) as public,
            _listen(config.admin.host, config.admin.port) as admin,
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            return runner.run(_run(path, config, overrides, public, admin))
    except OSError as exc:
        print(f"stepbridge cannot listen: {exc}", file=sys.stderr)
        return 1


async def _run(path: Path, config: Config, overrides: Overrides, public: socket.socket, admin: socket.socket) -> int:
    policy = Policy()
    policy.follow(config.limits)
    stop = Stop()
    bridge = Bridge(config, lambda: overrides.load(path), policy)
    servers = Server(bridge.http, policy), Server(bridge.admin, Policy())
    with stop.listening(reload=bridge.reload_soon):
        async with bridge:
            tasks = [asyncio.create_task(s.serve([sock])) for s, sock in zip(servers, (public, admin), strict=True)]
            await asyncio.gather(*(s.serving() for s in servers))
            _settle_memory()
            bridge.serving = True
            log.info("listening", http=_address(public), admin=_address(admin), routes=len(config.routes))
            await stop.requested.wait()
            cut = await _drain(bridge, policy, servers[0], tasks[0], 0 if stop.impatient else config.drain.delay_ms)
        servers[1].should_exit = True
        await tasks[1]
    log.info("stopped", cut_off=cut)
    return 1 if cut else 0


async def _drain(bridge: Bridge, policy: Policy, server: "Server", task: asyncio.Task[None], delay_ms: int) -> int:
    """Stop the public side. Returns how many requests had to be cut off."""
    bridge.serving = False
    policy.close = True
    log.info("drain_began", delay_ms=delay_ms, in_flight=len(server.server_state.tasks))
    await asyncio.sleep(delay_ms / 1000)
    bridge.end_streams()  # before uvicorn's own shutdown, which waits for open answers
    server.config.timeout_graceful_shutdown = max(1, bridge.config().drain.timeout_ms // 1000)
    server.should_exit = True
    await task
    return server.cut_off


class Server(uvicorn.Server):
    """uvicorn's server, with signals and the protocol in our hands."""

    def __init__(self, app: Any, policy: Policy) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=protocol_class(policy),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                backlog=BACKLOG,
            )
        )
        self.cut_off = 0
        self._serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # ours: `Stop`

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        await self.on_tick(0)  # the Date header, from the first answer on
        self._serving.set()

    async def serving(self) -> None:
        await self._serving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what is in the backlog, since closing the listener resets it; then as uvicorn does."""
        for sock in sockets or ():
            sock.listen(0)
        await asyncio.sleep(BACKLOG_S)
        await super().shutdown(sockets)
        self.cut_off = len(self.server_state.tasks)


class Stop:
    """SIGTERM and SIGINT: the first asks, the second ends at once."""

    def __init__(self) -> None:
        self.requested = asyncio.Event()
        self.impatient = False

    @contextlib.contextmanager
    def listening(self, reload: "asyncio.events._Callback") -> Iterator[None]:  # type: ignore[name-defined]
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        loop.add_signal_handler(signal.SIGHUP, reload)
        try:
            yield
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _signalled(self, number: signal.Signals) -> None:
        if self.requested.is_set():
            log.warning("ended_at_once", signal=number.name)
            os._exit(128 + number)
        self.impatient = number == signal.SIGINT
        self.requested.set()


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. IPPROTO_TCP by name: without it asyncio leaves Nagle on, and keep-alive stalls 40 ms."""
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind(address)
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise OSError(f"on {host}:{port}: {exc.strerror}. Is another process there? (--port, --admin-port)") from exc
    return sock


def _address(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _settle_memory() -> None:
    """What exists now stays: keep the collector away from it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 50)


def _said(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
