"""A TCP proxy whose line a test can spoil: slow, stalled, mute, cut.

- *slow*: every piece takes `delay_s` longer, each way.
- *stalled*: a black hole for a while. Nothing moves either way, nobody is told, ends of connections included; what was
  held arrives once the line heals, as after TCP's own retransmissions.
- *mute*: half-open. What the client sends arrives, what comes back is lost. A connection that was open at any
  moment of it stays mute for ever, and open until its client gives it up; those made later are sound.
- `cut`: all connections are reset.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any, cast

PIECE_BYTES = 64 * 1024


class Link:
    """A port of its own that leads to another. `async with` opens and closes it."""

    def __init__(self, target: Callable[[], int]) -> None:
        """`target` is asked for the port behind at each connection."""
        self.port = 0
        self._target = target
        self._delay_s = 0.0
        self._muting = False
        self._moving = asyncio.Event()
        self._moving.set()
        self._lines: set[Line] = set()

    def __repr__(self) -> str:
        return f"<Link {self.port} -> {self._target()} {len(self._lines)} connections>"

    async def __aenter__(self) -> "Link":
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.heal()
        tasks = [line.task for line in self._lines]
        self.cut()
        if tasks:
            await asyncio.wait(tasks, timeout=5)

    def slow(self, delay_s: float) -> None:
        self._delay_s = delay_s

    def stall(self) -> None:
        self._moving.clear()

    def mute(self) -> None:
        self._muting = True
        for line in self._lines:
            line.mute = True

    def cut(self) -> None:
        for line in self._lines:
            line.cut()

    def heal(self) -> None:
        """Connections from now on are sound; what was stalled arrives."""
        self._delay_s, self._muting = 0.0, False
        self._moving.set()

    # ---- inside

    async def pass_on(self) -> None:
        """Wait as long as the line's state asks of a piece."""
        if self._delay_s:
            await asyncio.sleep(self._delay_s)
        await self._moving.wait()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = Line(self, cast("asyncio.Task[Any]", asyncio.current_task()), writer, mute=self._muting)
        self._lines.add(line)
        try:
            await self._moving.wait()
            await line.carry(reader, self._target())
        except OSError:
            pass  # nobody behind, or reset by either side: `cut` passes it on
        finally:
            line.cut()
            self._lines.discard(line)


class Line:
    """One connection through a link: the one to the client, and the one behind."""

    def __init__(self, link: Link, task: "asyncio.Task[Any]", client: asyncio.StreamWriter, *, mute: bool) -> None:
        self.task = task
        self.mute = mute
        self._link = link
        self._client = client
        self._server: asyncio.StreamWriter | None = None

    def cut(self) -> None:
        for writer in (self._client, self._server):
            if writer is not None:
                writer.transport.abort()

    async def carry(self, reader: asyncio.StreamReader, port: int) -> None:
        """Carry bytes until one side has ended. Raises OSError."""
        answers, self._server = await asyncio.open_connection("127.0.0.1", port)
        back = asyncio.create_task(self._answers(answers))
        there = asyncio.create_task(self._requests(reader, self._server))
        try:
            done, _ = await asyncio.wait({back, there}, return_when=asyncio.FIRST_COMPLETED)
            for ended in done:
                ended.result()
        finally:
            await _end(back, there)

    async def _requests(self, reader: asyncio.StreamReader, server: asyncio.StreamWriter) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._link.pass_on()
            server.write(piece)
            await server.drain()
        await self._link.pass_on()

    async def _answers(self, reader: asyncio.StreamReader) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._link.pass_on()
            if not self.mute:
                self._client.write(piece)
                await self._client.drain()
        await self._link.pass_on()
        if self.mute:
            await asyncio.get_running_loop().create_future()  # the client hears of no end: its own ends the line


async def _end(*tasks: "asyncio.Task[None]") -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, OSError):
            await task
