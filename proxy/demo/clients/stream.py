"""Following a stream over connections that end: what a browser's EventSource does, for SSE and for NDJSON.

The reader comes back after a pause and says with `Last-Event-ID` where it was. What it names there is accepted, the
rest is sent again, so it misses nothing and sees nothing twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol

import aiohttp
import orjson

from proxy.demo.clients.post import retry_after_s, why


@dataclass(frozen=True, slots=True)
class Event:
    data: str
    id: str
    name: str = "message"  # others: a heartbeat, or a gap in the log

    def json(self) -> Any:
        return orjson.loads(self.data)


class Lines(Protocol):
    """A format made of lines: `sse.py`, `ndjson.py`."""

    accept: str
    retry_ms: int

    def begin(self) -> None: ...
    def feed(self, line: str) -> Event | None: ...


class Stream:
    """The events of one URL, for ever."""

    def __init__(self, http: aiohttp.ClientSession, path: str, lines: Lines) -> None:
        self._http = http
        self._path = path
        self._lines = lines
        self._answer: aiohttp.ClientResponse | None = None
        self.last_id = ""  # of the last event that was dealt with
        self.opened = asyncio.Event()
        self.connections = 0
        self.trouble = ""  # why it is not connected, or was not when it last tried

    def __repr__(self) -> str:
        return f"<Stream {self._path} connections={self.connections} last_id={self.last_id[:16]!r}>"

    async def follow(self, handle: Callable[[Event], Awaitable[None]]) -> None:
        """Hand over each event, in order; one is dealt with when `handle` returns. Ends by cancellation only."""
        while True:
            pause_s = self._lines.retry_ms / 1000
            try:
                async with self._http.get(self._path, headers=self._headers()) as answer:
                    if answer.status == 200:
                        await self._read(answer, handle)
                    else:
                        pause_s = await self._refused(answer, pause_s)
            except (aiohttp.ClientError, TimeoutError) as error:  # lost, or nobody there: come back
                self.trouble = f"{type(error).__name__}: {error}"
            await asyncio.sleep(pause_s)

    def drop(self) -> None:
        """Cut the connection as a failing network would: what was on the way is lost."""
        if self._answer is not None:
            self._answer.close()

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": self._lines.accept}
        return headers | ({"Last-Event-ID": self.last_id} if self.last_id else {})

    async def _refused(self, answer: aiohttp.ClientResponse, pause_s: float) -> float:
        """Note why; the seconds after which to try again."""
        self.trouble = await why(answer)
        if answer.status == 410:  # retention has passed our position: begin anew, at the end
            self.last_id = ""
        return retry_after_s(answer, otherwise_s=pause_s)

    async def _read(self, answer: aiohttp.ClientResponse, handle: Callable[[Event], Awaitable[None]]) -> None:
        self._answer = answer
        self.connections += 1
        self.opened.set()
        self._lines.begin()
        async for line in answer.content:
            if event := self._lines.feed(line.decode().rstrip("\r\n")):
                await handle(event)
                self.last_id = event.id
