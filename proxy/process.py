"""One process of the bridge: two servers around one Bridge, until it is asked to stop, and how it stops.

On SIGTERM (DESIGN, "Draining"): `/readyz` turns 503 while requests are still accepted for `drain.delay_ms`, each
answer being its connection's last; then polls and streams end, the listeners close, and every accepted request gets
its answer, at most `drain.timeout_ms` long. Then acks are committed, groups left, the producer stopped. The admin side
answers until the end. SIGINT does the same without the delay: somebody is waiting at a terminal. A second signal
ends the process at once. SIGHUP reloads the file.
"""

import asyncio
import gc
import socket
from collections.abc import Callable

from proxy.app import Bridge
from proxy.config.model import Config
from proxy.http.protocol import Policy
from proxy.observe import logs
from proxy.server import Server, Stop, address, renew, tls_context
from proxy.tls import Exchangeable

GC_THRESHOLD = 100_000  # collections of the young generation are a measurable share of a request otherwise

log = logs.logger("server")


async def run_alone(config: Config, reread: Callable[[], Config], public: socket.socket, admin: socket.socket) -> int:
    """The whole bridge in this process. Returns the exit code: 1 if requests had to be cut off."""
    policy = Policy()
    tls = tls_context(config.server.tls), tls_context(config.admin.tls)

    def renewed() -> Config:
        new = reread()
        renew(tls[0], new.server.tls)
        renew(tls[1], new.admin.tls)
        return new

    def announce() -> None:
        http, control = address(public, tls[0]), address(admin, tls[1])
        log.info("listening", http=http, admin=control, routes=len(config.routes))

    bridge = Bridge(config, renewed, policy)
    return await serve_until_stopped(bridge, policy, public, admin, Stop(), announce, tls)


async def serve_until_stopped(
    bridge: Bridge,
    policy: Policy,
    public: socket.socket,
    admin: socket.socket,
    stop: Stop,
    announce: Callable[[], object],
    tls: tuple[Exchangeable | None, Exchangeable | None] = (None, None),
) -> int:
    """Open the bridge, serve, `announce` it, and drain when `stop` says so. Returns the exit code.

    `policy` is the public listener's, which the bridge follows too; `tls` is of both listeners.
    """
    policy.follow(bridge.config().limits)
    servers = Server(bridge.http, policy, tls[0]), Server(bridge.admin, Policy(), tls[1])
    with stop.listening(reload=bridge.reload_soon):
        async with bridge:
            tasks = [asyncio.create_task(s.serve([sock])) for s, sock in zip(servers, (public, admin), strict=True)]
            await asyncio.gather(*(s.serving() for s in servers))
            _settle_memory()
            bridge.serving = True
            announce()
            await stop.requested.wait()
            cut = await _drain(bridge, policy, servers[0], tasks[0], 0 if stop.impatient else None)
        servers[1].should_exit = True
        await tasks[1]
    log.info("stopped", cut_off=cut)
    return 1 if cut else 0


async def _drain(bridge: Bridge, policy: Policy, server: Server, task: asyncio.Task[None], delay_ms: int | None) -> int:
    """Stop the public side, `delay_ms` (None: as configured) from now. Returns how many requests had to be cut off."""
    drain = bridge.config().drain
    delay_ms = drain.delay_ms if delay_ms is None else delay_ms
    bridge.serving = False
    policy.close = True
    log.info("drain_began", delay_ms=delay_ms, in_flight=len(server.server_state.tasks))
    await asyncio.sleep(delay_ms / 1000)
    bridge.end_streams()  # before uvicorn's own shutdown, which waits for open answers
    server.config.timeout_graceful_shutdown = max(1, drain.timeout_ms // 1000)
    server.should_exit = True
    await task
    return server.cut_off


def _settle_memory() -> None:
    """What exists now stays: keep the collector away from it."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, 50, 50)
