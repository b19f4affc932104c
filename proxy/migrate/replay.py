"""Sending the legacy service what it has not seen of a route, so that the route may descend.

That is every record of the route's topic written at `kafka`, and those written at `dual` of which the divergence topic
says that the legacy service was not reached. Their headers have the request: it is made again, with
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
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import orjson

from proxy.clock import Deadline, now_s, wall_ms
from proxy.errors import NotNow, ProxyError, TopicMissing, UpstreamError
from proxy.migrate.refusals import AnotherReplays, CannotReplay
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams import Missed, NewTail, Tail, Topics, Upstream, UpstreamRequest

BATCH = 100  # records that may be repeated after a crash
SIDE_BY_SIDE = 16  # keys
LOOK_S = 5.0
IDLE_S = 0.2  # between two looks at the log, while there is nothing
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # while the service does not take it
FRESH_MS = 15_000  # a run that has written nothing for so long is dead
FINISH_LOOK_S = 0.05
PARTED_S = 5.0  # between two looks at the divergences, of one that follows
IDLE_MS = 2_000  # a run that has nothing to send, or cannot, says so that often

REPLAYED = b"stepbridge-replay"
_UNREACHED = "legacy_missed"  # the case of `dual.py`

log = logger("migrate")

Place = tuple[int, int]  # partition, offset
State = Literal["running", "following", "done", "stopped"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a route's replay. `offsets`: by partition, the next to look at; what is before was sent, or is not ours.

    `parted`: the same of the divergence topic.
    """

    run: str = ""
    replica: str = ""
    state: State = "done"
    at_ms: int = 0
    offsets: Mapping[int, int] = field(default_factory=dict)
    sent: int = 0  # in this run
    refused: int = 0  # passed over, in this run
    trouble: str = ""
    parted: Mapping[int, int] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """It runs, as far as one can tell."""
        return self.state in ("running", "following") and wall_ms() - self.at_ms < FRESH_MS

    def as_json(self) -> dict[str, Any]:
        marks = {name: {str(p): offset for p, offset in getattr(self, name).items()} for name in ("offsets", "parted")}
        return asdict(self) | marks

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Progress":
        marks = {name: {int(p): offset for p, offset in said[name].items()} for name in ("offsets", "parted")}
        return cls(**{**said, **marks})


@dataclass(frozen=True, slots=True)
class Book:
    """Where progress stands written, for all replicas: `read` is what was last heard of it."""

    read: Callable[[], Progress]
    write: Callable[[Progress], Awaitable[bool]]  # False: it is not written, or that is not known


@dataclass(frozen=True, slots=True)
class Log:
    """The route's topic, and that of the divergences, as a replay reads them."""

    route: str
    topic: str
    divergences: str
    topics: Topics
    new_tail: NewTail

    @asynccontextmanager
    async def written(self, progress: Progress, deadline: Deadline) -> AsyncIterator["Reader"]:
        """What was written at `kafka` and not sent yet. Raises TopicMissing, KafkaAway."""
        async with self._reading(self.topic, progress.offsets, deadline) as reader:
            yield reader

    async def parted(self, progress: Progress, deadline: Deadline) -> tuple[set[Place], Mapping[int, int]]:
        """Where the records are that a dual write brought to Kafka alone; and what is looked at next."""
        found: set[Place] = set()
        try:
            async with self._reading(self.divergences, progress.parted, deadline) as reader:
                while not reader.is_at_end:
                    records = await reader.fetch(min(LOOK_S, deadline.remaining_s()))
                    found.update(place for each in records if (place := _place_of(each, self.route, self.topic)))
                    _check(deadline)
                return found, reader.offsets()
        except TopicMissing:  # nothing has parted yet
            return found, progress.parted

    @asynccontextmanager
    async def at(self, places: set[Place], deadline: Deadline) -> AsyncIterator["Reader"]:
        """From the first of these places on, to the last."""
        starts = {p: min(offset for each, offset in places if each == p) for p, _ in places}
        async with self._reading(self.topic, starts, deadline, only=set(starts)) as reader:
            reader.ends_after({p: max(offset for each, offset in places if each == p) for p in starts})
            yield reader

    @asynccontextmanager
    async def _reading(
        self, topic: str, offsets: Mapping[int, int], deadline: Deadline, only: Container[int] | None = None
    ) -> AsyncIterator["Reader"]:
        count = (await self.topics.find(topic, deadline)).partitions
        partitions = [Partition(topic, number) for number in range(count) if only is None or number in only]
        tail = self.new_tail()
        try:
            bounds = await tail.bounds(partitions, deadline)
            starts = {
                p: min(max(begins, offsets.get(p.partition, begins)), ends) for p, (begins, ends) in bounds.items()
            }
            await tail.open(starts)
            yield Reader(self.route, tail, starts, {p: ends for p, (_, ends) in bounds.items()})
        finally:
            await tail.close()


class Reader:
    """Reads on from where it was opened, up to what there was then, or at the last `look`."""

    def __init__(self, route: str, tail: Tail, starts: Mapping[Partition, int], ends: Mapping[Partition, int]) -> None:
        self._route = route.encode()
        self._tail = tail
        self._starts = starts
        self._ends = dict(ends)

    async def fetch(self, timeout_s: float) -> Sequence[Fetched]:
        """The next records, at most BATCH."""
        return await self._tail.fetch(timeout_s=timeout_s, max_records=BATCH)

    async def batch(self, timeout_s: float) -> list[Fetched]:
        """Of the next records those that were written at `kafka`."""
        return [record for record in await self.fetch(timeout_s) if self._is_ours(record)]

    async def look(self, deadline: Deadline) -> None:
        """See how far it goes by now. Raises KafkaAway."""
        bounds = await self._tail.bounds(list(self._ends), deadline)
        self._ends = {p: ends for p, (_, ends) in bounds.items()}

    def ends_after(self, last: Mapping[int, int]) -> None:
        """Of each partition no more than up to this offset is wanted."""
        self._ends = {p: min(ends, last[p.partition] + 1) for p, ends in self._ends.items()}

    def offsets(self) -> dict[int, int]:
        """What is looked at next, by partition."""
        return {p.partition: self._at(p) for p in self._ends}

    @property
    def is_at_end(self) -> bool:
        return all(self._at(p) >= ends for p, ends in self._ends.items())

    def ahead_of(self, offsets: Mapping[int, int]) -> int:
        """Offsets between these and the end: no fewer than there are records."""
        return sum(max(0, ends - offsets.get(p.partition, self._starts[p])) for p, ends in self._ends.items())

    def is_beyond(self, offsets: Mapping[int, int]) -> bool:
        """Whether one who stands at these offsets has looked at everything."""
        return not self.ahead_of(offsets)

    def _at(self, partition: Partition) -> int:
        position = self._tail.position(partition)
        return self._starts[partition] if position is None else position

    def _is_ours(self, record: Fetched) -> bool:
        marks = dict(record.headers)
        return marks.get("stepbridge-route") == self._route and marks.get("stepbridge-stage") == b"kafka"


async def missed(log_: Log, book: Book, deadline: Deadline, *, finish: bool) -> Missed:
    """See `Figures.missed`. Exact: the records are read and looked at. While a replay follows it is what lies before
    it, at most, and not until `finish` is it worth knowing better."""
    if not finish and (progress := book.read()).is_open and progress.state == "following":
        async with log_.written(progress, deadline) as reader:
            return Missed(reader.ahead_of(progress.offsets), is_followed=True)
    parted, _ = await log_.parted(book.read(), deadline)
    async with log_.written(book.read(), deadline) as reader:
        while finish and book.read().is_open and deadline.remaining_s() > FINISH_LOOK_S:
            if reader.is_beyond(book.read().offsets) and not parted:
                return Missed(0, is_followed=True)
            await asyncio.sleep(FINISH_LOOK_S)
        records = len(parted)
        while not reader.is_at_end:
            records += len(await reader.batch(min(0.2, deadline.remaining_s())))
            _check(deadline)
    return Missed(records, book.read().is_open)


def _check(deadline: Deadline) -> None:
    if deadline.remaining_s() <= 0:
        raise NotNow("What the legacy service has not seen could not be counted in time. Try again.")


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


def _place_of(record: Fetched, route: str, topic: str) -> Place | None:
    """Where the record is that a divergence tells of, if it is one that the legacy service never got."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        told = orjson.loads(record.value or b"")
        receipt = told["kafka"]["receipt"]
        if told["route"] == route and told["case"] == _UNREACHED and receipt["topic"] == topic:
            return receipt["partition"], receipt["offset"]
    return None
