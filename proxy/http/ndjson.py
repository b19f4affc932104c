"""NDJSON on a route with `batch: true`: a record a line, a result a line, while the body still arrives.

A request's memory is bounded whatever its length: what has arrived is taken apart, written and answered, WINDOW lines
at a time, before more is read. So the client is read as fast as Kafka takes its records, and no faster than it reads
its results; one that leaves them lying is ended when an answer has waited for `timeout_s`.

- The answer is 207, begun with the first result. What goes wrong before it (nothing was written then) has the status of
  its own that any request would get.
- What goes wrong later with the body as a whole (it is cut off, or not the gzip it says it is), or a bridge that is
  shutting down, is the last result: the line of that index, and all after it, were not written.
- An upload is one of `limits.streams` for as long as it lasts; while it has lines to write it is also one of
  `limits.in_flight`, and their bytes count. At these bounds it is its lines that get a 503 each.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from proxy.clock import Deadline
from proxy.config.media import NDJSON
from proxy.errors import Draining, EmptyBatch, Overloaded, ProxyError
from proxy.http.encoding import decoder_for
from proxy.http.exchange import NO_STORE, UNBUFFERED, ClientGone, Exchange
from proxy.http.interrupt import Interrupt
from proxy.http.items import WINDOW, ItemWriter, Outcome, item
from proxy.limits.gate import Gate, Streams
from proxy.observe.logs import logger
from proxy.routes.lines import Line, LineSplitter
from proxy.routes.request import Request

HEAD = ((b"content-type", NDJSON.encode()), NO_STORE, UNBUFFERED)

log = logger("http")


@dataclass(frozen=True, slots=True)
class NdjsonEndpoint:
    """What the uploads of one route have in common."""

    many: ItemWriter
    gate: Gate
    streams: Streams
    zstd: Gate  # uploads that hold a window to expand with
    max_line_bytes: int
    drain: asyncio.Future[None]

    async def __call__(self, exchange: Exchange, head: Request) -> None:
        self.many.recipe.admit(head)
        upload = Upload(self, exchange, head)
        metrics = self.many.metrics
        with self.streams, self.zstd.entered() if upload.holds_window else nullcontext():
            metrics.open_streams += 1
            try:
                await upload.run()
            finally:
                metrics.open_streams -= 1


class Upload:
    """One NDJSON request, as long as it lasts."""

    def __init__(self, route: NdjsonEndpoint, exchange: Exchange, head: Request) -> None:
        self._route = route
        self._exchange = exchange
        self._head = head
        self._decoder = decoder_for(head.headers)
        self._splitter = LineSplitter(route.max_line_bytes)
        self._count = 0  # of results so far
        self._results = b""  # those not sent yet: they leave before anything else is waited for
        self._held = 0  # bytes taken from the gate

    def __repr__(self) -> str:
        return f"<Upload {self._count} lines so far, {self._held} bytes held>"

    @property
    def holds_window(self) -> bool:
        """Whether memory is held to expand it, as long as it lasts."""
        return self._decoder is not None and self._decoder.coding == "zstd"

    async def run(self) -> None:
        """Read, write and answer, to the end. Raises what no result can say any more, or not yet."""
        try:
            await self._read()
        except ProxyError as error:
            if not self._count:
                raise
            log.warning("upload_ended_early", request_id=self._exchange.request_id, code=error.code, lines=self._count)
            self._answer([error])
        finally:
            self._let_go(keep_bytes=0)
        await self._in_time(self._finish())

    async def _read(self) -> None:
        more = True
        while more:
            arrived, more = await self._next()
            for piece in self._expanded(arrived):
                await self._take_in(piece)
        if self._decoder is not None:
            self._decoder.finish()
        await self._write(self._splitter.rest())
        if not self._count:
            raise EmptyBatch("The body has no lines: a batch has one record at least.")

    async def _next(self) -> tuple[bytes, bool]:
        """What has arrived of the body, and whether more comes. Raises Draining, ClientGone, and what broke it off."""
        await self._send()
        self._exchange.still_admitted()
        if not (self._count and self._route.drain.done()):
            with Interrupt(self._exchange, self._route.drain, admission=self._exchange.admission):
                return await self._exchange.piece()
        self._exchange.still_admitted()
        raise Draining("The bridge is shutting down: from here on nothing was written. Send the rest again.")

    def _expanded(self, arrived: bytes) -> Iterable[bytes]:
        return (arrived,) if self._decoder is None else self._decoder.pieces(arrived)

    async def _take_in(self, piece: bytes) -> None:
        """Write and answer the lines that end here. The bytes count until then, those of an unfinished line longer."""
        overload = self._hold(len(piece))
        lines: Sequence[Line] = self._splitter.feed(piece)
        if overload is not None:
            self._splitter.give_up(overload)
            lines = [overload] * len(lines)
        await self._write(lines)
        self._let_go(keep_bytes=self._splitter.held_bytes)
        await asyncio.sleep(0)  # others have their turn, also where no line was in it

    async def _write(self, lines: Sequence[Line]) -> None:
        for at in range(0, len(lines), WINDOW):
            await self._send()
            self._answer(await self._outcomes(lines[at : at + WINDOW]))

    async def _outcomes(self, lines: Sequence[Line]) -> Sequence[Outcome]:
        many = self._route.many
        deadline, request_id = Deadline.after(many.timeout_s), self._exchange.request_id
        try:
            with self._route.gate.entered():
                return await many.write([self._item(line) for line in lines], deadline, request_id)
        except Overloaded as error:  # raised by the gate only: nothing of these lines was written
            return await many.write([error] * len(lines), deadline, request_id)

    def _item(self, line: Line) -> Request | ProxyError:
        return line if isinstance(line, ProxyError) else self._head.item(line)

    def _answer(self, outcomes: Sequence[Outcome]) -> None:
        self._results += b"".join([item(index, each) + b"\n" for index, each in enumerate(outcomes, self._count)])
        self._count += len(outcomes)

    async def _send(self) -> None:
        if self._results:
            await self._begin()
            results, self._results = self._results, b""
            await self._in_time(self._exchange.write(results))

    async def _finish(self) -> None:
        await self._begin()
        await self._exchange.end(self._results)
        await self._exchange.connection.drained()

    async def _begin(self) -> None:
        if not self._exchange.status:
            await self._exchange.begin(207, HEAD)

    async def _in_time(self, sending: Awaitable[None]) -> None:
        """Raises ClientGone for a client that does not read, and ends it."""
        try:
            async with asyncio.timeout(self._route.many.timeout_s):
                await sending
        except TimeoutError:
            log.warning("results_not_read", request_id=self._exchange.request_id, lines=self._count)
            self._exchange.connection.abort()
            raise ClientGone from None

    # ---- bytes that count

    def _hold(self, size_bytes: int) -> Overloaded | None:
        try:
            self._route.gate.arrive(size_bytes)
        except Overloaded as error:
            return error
        self._held += size_bytes
        return None

    def _let_go(self, *, keep_bytes: int) -> None:
        self._route.gate.arrived(self._held - keep_bytes)
        self._held = keep_bytes
