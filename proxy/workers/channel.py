"""The line between the supervisor and one worker: messages in order, over a pair of sockets that nobody else holds.

Its end is the news that the other side has died, by whatever signal. Messages are pickled: both sides are this program
at this version.
"""

import asyncio
import pickle
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.config.model import Config, LogLevel
from proxy.observe.metrics import Snapshot

_LENGTH_BYTES = 4


# ---- to the worker


@dataclass(frozen=True, slots=True)
class Start:
    """The first message. The socket is inherited, already listening; the admin side listens at a path."""

    worker: int
    config: Config
    socket_fd: int
    admin_path: str


@dataclass(frozen=True, slots=True)
class Reload:
    """Put this configuration in force. Answered with Reloaded."""

    config: Config


@dataclass(frozen=True, slots=True)
class Count:
    """Answered with Counted."""


@dataclass(frozen=True, slots=True)
class LogFrom:
    """Log what is of this level or above. Not answered."""

    level: LogLevel


# ---- from the worker


@dataclass(frozen=True, slots=True)
class Serving:
    """It takes requests from now on."""


@dataclass(frozen=True, slots=True)
class Reloaded:
    changed: Sequence[str]


@dataclass(frozen=True, slots=True)
class Counted:
    snapshot: Snapshot


class Channel:
    """One side of the line."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def over(cls, sock: socket.socket) -> "Channel":
        """The channel owns the socket from now on."""
        return cls(*await asyncio.open_unix_connection(sock=sock))

    def send(self, message: object) -> None:
        """Never waits, and never fails: that the other side is gone, `receive` tells."""
        data = pickle.dumps(message)
        self._writer.write(len(data).to_bytes(_LENGTH_BYTES) + data)

    async def receive(self) -> object:
        """The next message. Raises EOFError when the other side is gone."""
        try:
            length = int.from_bytes(await self._reader.readexactly(_LENGTH_BYTES))
            return pickle.loads(await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, ConnectionError) as exc:
            raise EOFError("the other side has ended") from exc

    def close(self) -> None:
        self._writer.close()
