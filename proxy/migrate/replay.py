"""Sending the legacy service what it has not seen of a route, so that the route may descend.

That is every record of the route's topic written at `kafka`, and those written at `dual` of which the divergence topic
says that the legacy service was not reached. Their headers have the request: it is made again, with
`Stepbridge-Replay: topic/partition/offset` beside it, by which the service can know a repeat.

Laws:
- Per key in the order of the log, the next only after the one before was answered 2xx. Keys go side by side.
- Where it stands is written to the control topic after each batch, once all of the batch is answered: a crash repeats
  at most one batch, and skips nothing.
- One replay of a route at a time: whoever begins writes its run down, and stops when it reads another's.
- While the service is away, or fails (5xx, no answer), the same request is tried again, for ever. What it refuses
  (3xx, 4xx) stops the replay, which says where; or is passed over and counted, if that was asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

import orjson

from proxy.clock import Deadline, wall_ms
from proxy.errors import NotNow, ProxyError, UpstreamError
from proxy.migrate.refusals import AnotherReplays, CannotReplay
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams import Missed, NewTail, Topics, Upstream, UpstreamRequest

BATCH = 100  # records that may be repeated after a crash
SIDE_BY_SIDE = 16  # keys
LOOK_S = 5.0
IDLE_S = 0.5  # between two looks at the log, while there is nothing
PAUSES_S = (0.2, 0.5, 1.0, 2.0, 5.0)  # while the service does not take it
FRESH_MS = 15_000  # a run that has written nothing for so long is dead
IDLE_MS = 2_000  # a run that has nothing to send, or cannot, says so that often

REPLAYED = b"stepbridge-replay"
_UNREACHED = "legacy_missed"  # the case of `dual.py`

log = logger("migrate")

State = Literal["running", "following", "done", "stopped"]


@dataclass(frozen=True, slots=True)
class Progress:
    """Of a route's replay. `offsets`: by partition, the next to look at; what is before was sent, or is not ours."""

    run: str = ""
    replica: str = ""
    state: State = "done"
    at_ms: int = 0
    offsets: Mapping[int, int] = field(default_factory=dict)
    sent: int = 0  # in this run
    refused: int = 0  # passed over, in this run
    trouble: str = ""

    @property
    def is_open(self) -> bool:
        """It runs, as far as one can tell."""
        return self.state in ("running", "following") and wall_ms() - self.at_ms < FRESH_MS

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"offsets": {str(number): offset for number, offset in self.offsets.items()}}

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> "Progress":
        return cls(**{**said, "offsets": {int(number): offset for number, offset in said["offsets"].items()}})


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

    async def reader(self, progress: Progress, deadline: Deadline) -> "Reader":
        """At what is not replayed yet. Raises TopicMissing, KafkaAway."""
        missed = await self._missed(deadline)
        partitions = await self._partitions(self.topic, deadline)
        tail = self.new_tail()
        bounds = await tail.bounds(partitions, deadline)
        starts = {p: max(begins, progress.offsets.get(p.partition, begins)) for p, (begins, _) in bounds.items()}
        await tail.open({p: min(start, bounds[p][1]) for p, start in starts.items()})
        return Reader(self.route, tail, bounds, missed)

    async def _partitions(self, topic: str, deadline: Deadline) -> list[Partition]:
        count = (await self.topics.find(topic, deadline)).partitions
        return [Partition(topic, number) for number in range(count)]

    async def _missed(self, deadline: Deadline) -> set[tuple[int, int]]:
        """Partition and offset of the records that only Kafka has, for certain."""
        try:
            partitions = await self._partitions(self.divergences, deadline)
        except NotNow:  # there is none yet
            return set()
        tail, found = self.new_tail(), set()
        try:
            bounds = await tail.bounds(partitions, deadline)
            await tail.open({partition: begins for partition, (begins, _) in bounds.items()})
            while any((tail.position(p) or begins) < ends for p, (begins, ends) in bounds.items()):
                for record in await tail.fetch(timeout_s=min(LOOK_S, deadline.remaining_s()), max_records=1_000):
                    if (place := _place_of(record, self.route, self.topic)) is not None:
                        found.add(place)
                if deadline.remaining_s() <= 0:
                    raise NotNow("The divergences could not be read in time. Try again.")
        finally:
            await tail.close()
        return found


class Reader:
    """Reads on, and tells what is to be sent. Close it."""

    def __init__(
        self, route: str, tail: Any, bounds: Mapping[Partition, tuple[int, int]], missed: set[tuple[int, int]]
    ) -> None:
        self._route = route.encode()
        self._tail = tail
        self._missed = missed
        self.bounds = bounds

    async def batch(self, timeout_s: float) -> list[Fetched]:
        """The next records to be sent, of at most BATCH that are looked at."""
        records = await self._tail.fetch(timeout_s=timeout_s, max_records=BATCH)
        return [record for record in records if self._is_ours(record)]

    def offsets(self) -> dict[int, int]:
        """What is looked at next, by partition."""
        return {p.partition: self._tail.position(p) or begins for p, (begins, _) in self.bounds.items()}

    @property
    def is_at_end(self) -> bool:
        """Of what there was when it was opened."""
        return all((self._tail.position(p) or begins) >= ends for p, (begins, ends) in self.bounds.items())

    def _is_ours(self, record: Fetched) -> bool:
        marks = dict(record.headers)
        if marks.get("stepbridge-route") != self._route:
            return False
        return marks.get("stepbridge-stage") == b"kafka" or (record.partition, record.offset) in self._missed

    async def close(self) -> None:
        await self._tail.close()


async def missed(log_: Log, book: Book, deadline: Deadline, *, finish: bool) -> Missed:
    """See `Figures.missed`. Exact: the records are read and looked at."""
    while True:
        progress = book.read()
        reader = await log_.reader(progress, deadline)
        try:
            records = 0
            while not reader.is_at_end:
                records += len(await reader.batch(min(0.2, deadline.remaining_s())))
                if deadline.remaining_s() <= 0:
                    raise NotNow("What the legacy service has not seen could not be counted in time. Try again.")
        finally:
            await reader.close()
        if not records or not finish or not progress.is_open or deadline.remaining_s() < IDLE_S:
            return Missed(records, progress.is_open)
        await asyncio.sleep(IDLE_S / 5)


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
        state: State = "following" if follow else "running"
        self.progress = Progress(run, replica, state, wall_ms(), before.offsets)
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
        while True:
            reader = await self._log.reader(self.progress, Deadline.after(LOOK_S))
            try:
                while not reader.is_at_end:
                    records = await reader.batch(1.0)
                    await self._send_batch(records)
                    self._move(reader.offsets(), len(records))
                    if records or wall_ms() - self.progress.at_ms > IDLE_MS:
                        await self._note()
            finally:
                await reader.close()
            if not self._follow:
                return
            if wall_ms() - self.progress.at_ms > IDLE_MS:
                await self._note()
            await asyncio.sleep(IDLE_S)

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
        if wall_ms() - self.progress.at_ms > IDLE_MS:
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


def _place_of(record: Fetched, route: str, topic: str) -> tuple[int, int] | None:
    """Where the record is that a divergence tells of, if it is one that the legacy service never got."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        told = orjson.loads(record.value or b"")
        receipt = told["kafka"]["receipt"]
        if told["route"] == route and told["case"] == _UNREACHED and receipt["topic"] == topic:
            return receipt["partition"], receipt["offset"]
    return None
