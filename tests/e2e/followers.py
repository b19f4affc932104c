"""Many clients of one stream, each a socket and little more, so that a test may have thousands of them."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from tests.e2e.events import SSE


class Follower(asyncio.Protocol):
    """One SSE client: what it has seen, in order, and how far it was."""

    def __init__(self, path: str, last_id: str | None = None) -> None:
        self.values: list[Any] = []
        self.last_id = last_id
        self.others: list[bytes] = []  # events that are no records
        self.status = 0
        self.is_lost = False
        resume = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self._request = f"GET {path} HTTP/1.1\r\nHost: a\r\nAccept: {SSE}\r\n{resume}\r\n".encode()
        self._rest = b""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_lost = True

    def data_received(self, data: bytes) -> None:
        """Chunks are whole events, so their heads stand between events."""
        if not self.status:
            self.status = int(data.split(b" ", 2)[1])
        *events, self._rest = (self._rest + data).split(b"\n\n")
        for event in events:
            lines = event.split(b"\n")
            ids = [line[4:] for line in lines if line.startswith(b"id: ")]
            found = [line[6:] for line in lines if line.startswith(b"data: ")]
            if any(line.startswith(b"event: ") for line in lines):
                self.others.append(event)
            elif found:
                self.last_id = ids[-1].decode()
                self.values.append(json.loads(found[0])["value"])


async def follow(port: int, followers: Sequence[asyncio.Protocol]) -> None:
    """Connect them, as fast as it goes. Raises OSError."""
    loop = asyncio.get_running_loop()
    at_once = asyncio.Semaphore(500)  # a listener's backlog is not endless

    async def connect(one: asyncio.Protocol) -> None:
        async with at_once:
            await loop.create_connection(lambda: one, "127.0.0.1", port)

    await asyncio.gather(*map(connect, followers))


def hang_up(followers: Sequence[Follower]) -> None:
    for one in followers:
        one.transport.abort()
