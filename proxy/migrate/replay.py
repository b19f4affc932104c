"""Sending the legacy service what it has not seen of a route, so that the route may descend.

Which records those are says `unseen.py`. Their headers have the request: it is made again, with
`Stepbridge-Replay: topic/partition/offset` beside it, by which the service can know a repeat.

Laws:
- Per key in the order of the log, the next only after the one before was answered 2xx. Keys go side by side.
- Where it stands, in both topics, is written to the control topic after each batch, once all of the batch is answered:
  a crash repeats at most one batch, and skips nothing. What a dual write missed goes first.
- One replay of a route at a time: whoever begins writes its run down, and stops when it reads another's.
- While the service is away, or fails (5xx, no answer), the same request is tried again, for ever. What it refuses
  (3xx, 4xx) stops the replay, which says where; or is passed over and counted, if that was asked for.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from proxy.clock import Deadline, now_s, wall_ms
from proxy.errors import ProxyError, UpstreamError
from proxy.migrate.refusals import AnotherReplays, CannotReplay
from proxy.migrate.unseen import LOOK_S, Book, Log, Progress, Reader, State
from proxy.observe.logs import logger
from proxy.record import Fetched
from proxy.seams.upstream import Upstream, UpstreamRequest

SIDE_BY_SIDE = 16  # keys
IDLE_S = 0.2  # between two looks at the log, while there is nothing
PARTED_S = 5.0  # between two looks at the divergences, of one that follows
IDLE_MS = 2_000  # a run that has nothing to send, or cannot, says so that often
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # while the service does not take it

REPLAYED = b"stepbridge-replay"

log = logger("migrate")


class Replay:
    """One run. `run` ends when all was sent, or never, if it follows; cancelled, it may repeat its last batch."""

    def __init__(
        self, log_: Log, book: Book, upstream: Upstream, *, run: str, replica: str, follow: bool, skip_refused: bool
    ) -> None:
        self._log = log_
        self._book = book
        self._upstream = upstream
        self._follow = follow
        self._skip_refused = skip_refused
        before = book.read()
        self._former, self._began_ms = before.run, wall_ms()
        self._noted: Mapping[int, int] = {}
        state: State = "following" if follow else "running"
        self.progress = Progress(run, replica, state, wall_ms(), before.offsets, parted=before.parted)
        if before.is_open:
            raise AnotherReplays(
                f"A replay of route {log_.route!r} runs already, at {before.replica}: it has sent {before.sent} so far."
            )

    def __repr__(self) -> str:
        return f"<Replay of {self._log.route} {self.progress.state} {self.progress.sent} sent>"

    async def run(self) -> None:
        """Raises nothing: how it ended is in `progress`, and written down."""
        state: State = "stopped"
        try:
            await self._note()
            await self._send_all()
            state = "done"
        except ProxyError as error:
            self.progress = replace(self.progress, trouble=error.detail)
            log.warning("replay_stopped", route=self._log.route, reason=error.detail)
        finally:
            self.progress = replace(self.progress, state=state, at_ms=wall_ms())
            await self._book.write(self.progress)

    async def _send_all(self) -> None:
        """What dual writes missed, then what was written at `kafka`; again and again, if it follows."""
        while True:
            await self._send_parted()
            async with self._log.written(self.progress, Deadline.after(LOOK_S)) as reader:
                looked_s = now_s()
                await self._send_written(reader)
                while self._follow and now_s() - looked_s < PARTED_S:
                    await asyncio.sleep(IDLE_S)
                    await reader.look(Deadline.after(LOOK_S))
                    await self._send_written(reader)
            if not self._follow:
                return

    async def _send_written(self, reader: Reader) -> None:
        """Up to its end."""
        while not reader.is_at_end:
            records = await reader.batch(1.0)
            await self._send_batch(records)
            self._move(reader.offsets(), len(records))
            if records or self._is_note_due:
                await self._note()
        if self._is_note_due or self._noted != self.progress.offsets:
            await self._note()

    async def _send_parted(self) -> None:
        """Those that are told of in the divergence topic, in the order of the log."""
        places, marks = await self._log.parted(self.progress, Deadline.after(LOOK_S))
        if places:
            async with self._log.at(places, Deadline.after(LOOK_S)) as reader:
                while not reader.is_at_end:
                    records = [each for each in await reader.fetch(1.0) if (each.partition, each.offset) in places]
                    await self._send_batch(records)
                    self.progress = replace(self.progress, sent=self.progress.sent + len(records))
        if marks != self.progress.parted:
            self.progress = replace(self.progress, parted=marks)
            await self._note()

    @property
    def _is_note_due(self) -> bool:
        return wall_ms() - self.progress.at_ms > IDLE_MS

    def _move(self, offsets: Mapping[int, int], sent: int) -> None:
        self.progress = replace(self.progress, offsets=offsets, sent=self.progress.sent + sent, trouble="")

    async def _note(self) -> None:
        """Write down where it stands, as soon as that can be. Raises AnotherReplays if somebody has begun since."""
        while True:
            heard = self._book.read()
            if heard.run not in ("", self.progress.run, self._former) and heard.at_ms >= self._began_ms:
                raise AnotherReplays(f"It was stopped, or another has begun, at {heard.replica}.")
            self.progress = replace(self.progress, at_ms=wall_ms())
            if await self._book.write(self.progress):
                self._noted = self.progress.offsets
                return
            await asyncio.sleep(IDLE_S)

    async def _send_batch(self, records: Sequence[Fetched]) -> None:
        """Keys side by side, each in its order. Raises CannotReplay once those under way are answered."""
        by_key: dict[object, list[Fetched]] = {}
        for record in records:
            by_key.setdefault(record.key if record.key is not None else record.partition, []).append(record)
        room = asyncio.Semaphore(SIDE_BY_SIDE)

        async def send(mine: Sequence[Fetched]) -> None:
            async with room:
                for record in mine:
                    await self._send(record)

        outcomes = await asyncio.gather(*map(send, by_key.values()), return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _send(self, record: Fetched) -> None:
        """Until it is answered 2xx, or refused."""
        request, tries = request_of(record), 0
        while True:
            status = await self._attempt(request)
            if 200 <= status < 500:
                break
            await self._wait(tries)
            tries += 1
        if status >= 300:
            self._refused(record, status)

    async def _attempt(self, request: UpstreamRequest) -> int:
        """The status of the answer; 0: there was none."""
        try:
            answer = await self._upstream.send(request)
        except UpstreamError as error:
            self.progress = replace(self.progress, trouble=error.detail)
            return 0
        await answer.close()
        if answer.status >= 500:
            self.progress = replace(self.progress, trouble=f"The legacy service answers {answer.status}.")
        return answer.status

    async def _wait(self, tries: int) -> None:
        await asyncio.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
        if self._is_note_due:
            await self._note()

    def _refused(self, record: Fetched, status: int) -> None:
        where = f"{record.topic}:{record.partition}:{record.offset}"
        log.warning("replay_refused", route=self._log.route, record=where, status=status)
        if not self._skip_refused:
            raise CannotReplay(
                f"The legacy service answered {status} to record {where}: see to it, or pass over what it refuses "
                "(`--skip-refused`)."
            )
        self.progress = replace(self.progress, refused=self.progress.refused + 1)


def request_of(record: Fetched) -> UpstreamRequest:
    """The request that a record was made of. Raises CannotReplay."""
    marks = dict(record.headers)
    where = f"{record.topic}/{record.partition}/{record.offset}"
    method, _, target = marks.get("stepbridge-request", b"").partition(b" ")
    if not target.startswith(b"/"):
        raise CannotReplay(f"Record {where} does not tell its request: the header stepbridge-request is missing.")
    body = record.value or b""
    headers = [(REPLAYED, where.encode())]
    if (media_type := marks.get("stepbridge-content-type")) is not None:
        headers.append((b"content-type", media_type))
    if (request_id := marks.get("stepbridge-id")) is not None:
        headers.append((b"x-request-id", request_id))
    headers.append((b"content-length", b"%d" % len(body)))
    return UpstreamRequest(method.decode("latin-1"), target, headers, body or None)
