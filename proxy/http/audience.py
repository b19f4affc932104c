"""Streams of one feed that show it alike and have all there is of it: what comes is framed once and written to each.

While nothing comes they cost nothing: no task runs and no timer of theirs is set; one task an audience waits for news,
and gives the heartbeat when there is none. A stream whose socket does not take what it is given leaves the audience,
and goes on at its own pace (`feed.py`), until it is back at the end of the feed.

Where a filter keeps records from an audience, its heartbeat says how far it has come all the same: who resumes there
does not have the same records looked through once more.
"""

import asyncio
from collections.abc import Callable

from proxy.clock import Deadline
from proxy.http.exchange import Connection, Piece
from proxy.observe.metrics import RouteMetrics
from proxy.record import values_size_bytes
from proxy.seams.feeds import FeedChunk, FeedCursor, FeedEvent, FeedReader
from proxy.tasks import Tasks

AT_ONCE = 200  # streams that are written to before other work gets its turn


class _Seat:
    """One stream in the audience."""

    __slots__ = ("chunk", "connection", "left")

    def __init__(self, connection: Connection, chunk: FeedChunk) -> None:
        self.connection = connection
        self.chunk = chunk  # the last one that it was given
        self.left: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Audience:
    """See the head of this file."""

    def __init__(
        self,
        feed: FeedReader,
        frame: Callable[[FeedEvent], bytes],
        heartbeat: Callable[[str | None], bytes],
        heartbeat_s: float,
        metrics: RouteMetrics,
        passes: Callable[[FeedEvent], bool] | None = None,
    ) -> None:
        """`frame` renders one event, and remembers what it rendered; `heartbeat`, with a position or without one."""
        self._feed = feed
        self._frame = frame
        self._heartbeat = heartbeat
        self._heartbeat_s = heartbeat_s
        self._metrics = metrics
        self._passes = passes
        self._seats: dict[_Seat, None] = {}
        self._showing: asyncio.Task[None] | None = None
        self._tasks = Tasks()

    def __repr__(self) -> str:
        return f"<Audience of {len(self._seats)} for {self._feed!r}>"

    def __len__(self) -> int:
        return len(self._seats)

    async def follow(self, connection: Connection, cursor: FeedCursor) -> bool:
        """Be written to for as long as the connection takes it; the cursor then stands behind what was written.

        False: the cursor has not all there is. Cancelled: it leaves the audience.
        """
        chunk = cursor.chunk
        if chunk is None or chunk.next is not None or chunk.is_evicted:
            return False
        seat = _Seat(connection, chunk)
        self._seats[seat] = None
        if self._showing is None or self._showing.done():
            self._showing = asyncio.create_task(self._show(), name="show a feed")
            self._tasks.keep(self._showing)
        try:
            await seat.left
        finally:
            self._seats.pop(seat, None)
            cursor.went_to(seat.chunk)
        return True

    async def _show(self) -> None:
        """Until nobody is left. Should it fail, everyone leaves: none sits there in silence, without a heartbeat."""
        try:
            await self._write_what_comes()
        finally:
            for seat in list(self._seats):
                self._dismiss(seat)

    async def _write_what_comes(self) -> None:
        silence = Deadline.after(self._heartbeat_s)
        while self._seats:
            newest = self._newest()
            if newest is not None and await self._write_up_to(newest):
                silence = Deadline.after(self._heartbeat_s)
            if newest is not None and silence.remaining_s():
                continue
            try:
                async with asyncio.timeout(silence.remaining_s()):
                    await self._feed.arrival()
            except TimeoutError:
                await self._beat()
                silence = Deadline.after(self._heartbeat_s)

    def _newest(self) -> FeedChunk | None:
        """The feed's last chunk, if somebody has not been given it; whoever has fallen behind the ring leaves."""
        newest = None
        for seat in list(self._seats):
            if seat.chunk.is_evicted:
                self._dismiss(seat)
            elif newest is None and seat.chunk.next is not None:
                newest = _last(seat.chunk)
        return newest

    async def _write_up_to(self, newest: FeedChunk) -> bool:
        """Whether there was something to write."""
        pieces: dict[int, tuple[Piece, int]] = {}  # by the chunk it follows: most have the same one
        for count, seat in enumerate(list(self._seats), start=1):
            if seat in self._seats and seat.chunk is not newest and not seat.chunk.is_evicted:
                found = pieces.get(id(seat.chunk))
                if found is None:
                    found = pieces[id(seat.chunk)] = self._after(seat.chunk, newest)
                self._write(seat, newest, *found)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)
                if newest.is_evicted:
                    break  # the way to it is gone; whoever has not been given it leaves
        return any(events for _, events in pieces.values())

    def _write(self, seat: _Seat, newest: FeedChunk, piece: Piece, events: int) -> None:
        if events and not seat.connection.push(piece):
            self._dismiss(seat)
            return
        seat.chunk = newest
        if events:
            self._metrics.delivered(events, piece.size_bytes)

    def _after(self, chunk: FeedChunk, newest: FeedChunk) -> tuple[Piece, int]:
        """All that follows `chunk`, up to `newest`, and how many events that is."""
        events: list[FeedEvent] = []
        while chunk is not newest and chunk.next is not None:
            chunk = chunk.next
            events += chunk.events if self._passes is None else filter(self._passes, chunk.events)
        size_bytes = values_size_bytes(event.record for event in events)
        return Piece(b"".join([self._frame(event) for event in events]), size_bytes), len(events)

    async def _beat(self) -> None:
        pieces: dict[int, Piece] = {}  # by the chunk it stands behind
        for count, seat in enumerate(list(self._seats), start=1):
            if seat in self._seats:
                piece = pieces.get(id(seat.chunk)) or self._heartbeat_behind(seat.chunk)
                pieces[id(seat.chunk)] = piece
                if not seat.connection.push(piece):
                    self._dismiss(seat)
            if count % AT_ONCE == 0:
                await asyncio.sleep(0)

    def _heartbeat_behind(self, chunk: FeedChunk) -> Piece:
        return Piece(self._heartbeat(None if self._passes is None else chunk.position))

    def _dismiss(self, seat: _Seat) -> None:
        self._seats.pop(seat, None)
        if not seat.left.done():
            seat.left.set_result(None)


def _last(chunk: FeedChunk) -> FeedChunk:
    while chunk.next is not None:
        chunk = chunk.next
    return chunk
