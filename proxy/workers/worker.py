"""A worker: the whole bridge in a process that its supervisor started (`python -m proxy.workers.worker NUMBER`).

Standard input is the channel to the supervisor; the number is for `ps`. Only the supervisor reads the file: what is in
force comes over the channel, so that a worker started anew does as the others do, whatever has become of the file.
When the supervisor is gone, even by SIGKILL, the worker drains and ends. A second signal is not heeded: a service
manager may send SIGTERM to every process, as the supervisor does, which has SIGKILL for those that shall end at once.
"""

import asyncio
import socket
import sys
from pathlib import Path

import uvloop

from proxy.app import Bridge
from proxy.config.model import Config
from proxy.http.protocol import Policy
from proxy.observe import logs
from proxy.observe.usage import usage
from proxy.process import serve_until_stopped
from proxy.server import Stop, renew, tls_context
from proxy.workers.channel import Channel, Count, Counted, LogFrom, Reload, Reloaded, Serving, Start

CHANNEL_FD = 0

log = logs.logger("workers")


def main() -> int:
    """Work until the supervisor says so, or is gone. Returns the exit code, as `serve` does."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_work(socket.socket(fileno=CHANNEL_FD)))
    except OSError as exc:
        sys.stderr.write(f"stepbridge cannot listen: {exc}\n")
        return 1
    except EOFError:  # the supervisor has ended before it said anything
        return 1


async def _work(line: socket.socket) -> int:
    channel = await Channel.over(line)
    start = await channel.receive()
    assert isinstance(start, Start), start
    logs.mark(worker=start.worker)
    logs.configure(start.config.observe.log_format, start.config.observe.log_level)
    with socket.socket(fileno=start.socket_fd) as public, _listen_at(start.admin_path) as admin:
        worker = _Worker(channel, start)
        tls = worker.tls, None  # the admin side's own is the supervisor's
        return await serve_until_stopped(worker.bridge, worker.policy, public, admin, worker.stop, worker.announce, tls)


class _Worker:
    """The bridge of this process, and what the supervisor asks of it."""

    def __init__(self, channel: Channel, start: Start) -> None:
        self.policy = Policy()
        self.tls = tls_context(start.config.server.tls)
        self.stop = Stop(on_second=lambda number: None)
        self.bridge = Bridge(start.config, self._in_force, self.policy, worker=start.worker, is_private=True)
        self.bridge.metrics.add_source(usage(start.worker))
        self._config = start.config
        self._channel = channel

    def announce(self) -> None:
        """The bridge serves. What the supervisor asks has waited for this."""
        self._channel.send(Serving())
        self._obeying = asyncio.create_task(self._obey())

    async def _obey(self) -> None:
        try:
            while True:
                await self._do(await self._channel.receive())
        except EOFError:
            if not self.stop.requested.is_set():
                log.warning("supervisor_lost", consequence="this worker drains and ends")
            self.stop.requested.set()

    async def _do(self, message: object) -> None:
        if isinstance(message, Count):
            self._channel.send(Counted(self.bridge.snapshot()))
        elif isinstance(message, Reload):
            self._config = message.config
            renew(self.tls, message.config.server.tls)
            self._channel.send(Reloaded(await self.bridge.reload()))
        elif isinstance(message, LogFrom):
            self.bridge.log_from(message.level)

    def _in_force(self) -> Config:
        return self._config


def _listen_at(path: str) -> socket.socket:
    Path(path).unlink(missing_ok=True)  # our predecessor's
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.bind(path)
    return sock


if __name__ == "__main__":
    sys.exit(main())
