"""uvicorn, with sockets, signals and the protocol in our hands."""

import asyncio
import contextlib
import os
import signal
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn

from proxy.config.tls import ListenerTls
from proxy.http.protocol import Policy, protocol_class
from proxy.observe import logs
from proxy.tls import Exchangeable, reason, server_context

KEEP_ALIVE_S = 75  # above the usual 60 s of load balancers, so that they close first
BACKLOG = 4_096
BACKLOG_S = 0.05  # for what the kernel has accepted and we have not
HANDSHAKE_S = 10.0  # of TLS, from the first byte of a connection
GOODBYE_S = 5.0  # and for the other side to close with us

log = logs.logger("server")


class Server(uvicorn.Server):
    """Serves an ASGI application on sockets that are open already."""

    def __init__(self, app: Any, policy: Policy, tls: Exchangeable | None = None) -> None:
        """`tls` makes it HTTPS."""
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
        self._tls = tls
        self._serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # ours: `Stop`

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's, which cannot say how long a handshake may last."""
        loop = asyncio.get_running_loop()
        self.servers = []
        for sock in sockets or ():
            listening = await loop.create_server(self._new_protocol, sock=sock, backlog=BACKLOG, **self._of_tls())
            self.servers.append(listening)
        self.started = True
        await self.on_tick(0)  # the Date header, from the first answer on
        self._serving.set()

    def _new_protocol(self) -> asyncio.Protocol:
        new: Any = self.config.http_protocol_class
        protocol: asyncio.Protocol = new(config=self.config, server_state=self.server_state, app_state={})
        return protocol

    def _of_tls(self) -> dict[str, Any]:
        if self._tls is None:
            return {}
        return {"ssl": self._tls, "ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": GOODBYE_S}

    async def serving(self) -> None:
        await self._serving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take what is in the backlog, since closing the listener resets it; then as uvicorn does."""
        for sock in sockets or ():
            sock.listen(0)
        await asyncio.sleep(BACKLOG_S)
        await super().shutdown(sockets)
        self.cut_off = len(self.server_state.tasks)


def end_at_once(number: signal.Signals) -> None:
    log.warning("ended_at_once", signal=number.name)
    os._exit(128 + number)


class Stop:
    """SIGTERM and SIGINT: the first asks, the second ends at once."""

    def __init__(self, on_second: Callable[[signal.Signals], object] = end_at_once) -> None:
        self.requested = asyncio.Event()
        self.impatient = False
        self._on_second = on_second

    @contextlib.contextmanager
    def listening(self, reload: Callable[[], object]) -> Iterator[None]:
        """Handle signals while it is open; SIGHUP calls `reload`."""
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
            self._on_second(number)
            return
        self.impatient = number == signal.SIGINT
        self.requested.set()


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError whose text is for people."""
    return _bound(host, port)


def listen_together(host: str, port: int, count: int) -> Sequence[socket.socket]:
    """`count` sockets that share one port: the kernel gives each new connection to one of them. OSError as above.

    Sockets that share are all of our making: a first one that does not share finds out whether the port is free.
    """
    with _bound(host, port) as alone:
        port = alone.getsockname()[1]
    return [_bound(host, port, socket.SO_REUSEPORT) for _ in range(count)]


def address(sock: socket.socket, tls: object = None) -> str:
    """As clients write it."""
    scheme = "https" if tls else "http"
    host, port = sock.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def tls_context(tls: ListenerTls | None) -> Exchangeable | None:
    """What a listener's handshakes use; None: it has no TLS. Raises OSError, though the files were tried at load."""
    return None if tls is None else Exchangeable(_context(tls))


def renew(context: Exchangeable | None, tls: ListenerTls | None) -> None:
    """New handshakes use the files as they are now. If those have just become unusable, they are as they were."""
    if context is None or tls is None:
        return
    try:
        context.current = _context(tls)
    except OSError as exc:
        log.error("certificate_not_renewed", certificate=tls.certificate, reason=reason(exc))


def _context(tls: ListenerTls) -> ssl.SSLContext:
    return server_context(
        tls.certificate,
        tls.key,
        client_ca=tls.client_ca,
        client_auth=tls.client_auth,
        min_version=tls.min_version,
    )


def _bound(host: str, port: int, *options: int) -> socket.socket:
    """IPPROTO_TCP by name: without it asyncio leaves Nagle on, and keep-alive stalls 40 ms."""
    family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    sock = socket.socket(family, kind, socket.IPPROTO_TCP)
    for option in (socket.SO_REUSEADDR, *options):
        sock.setsockopt(socket.SOL_SOCKET, option, 1)
    try:
        sock.bind(where)
        sock.listen(BACKLOG)
    except OSError as exc:
        sock.close()
        raise OSError(f"on {host}:{port}: {exc.strerror}. Is another process there? (--port, --admin-port)") from exc
    return sock
