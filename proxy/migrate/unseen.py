"""What the legacy service has not seen of a route, and how far it was sent that.

That is every record of the route's topic written at `kafka`, and those written at `dual` of which the divergence topic
says that the legacy service was not reached. Where a replay stands is in the control topic, for all replicas.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from proxy.clock import Deadline, wall_ms
from proxy.errors import NotNow, TopicMissing
from proxy.record import Fetched, Partition
from proxy.seams.feeds import NewTail, Tail
from proxy.seams.migrate import Missed
from proxy.seams.topics import Topics

BATCH = 100  # records that are looked at together, and may be sent again after a crash
LOOK_S = 5.0
FINISH_LOOK_S = 0.05  # between two looks at a replay that sends the last records
FRESH_MS = 15_000  # a run that has written nothing for so long is dead
_UNREACHED = "legacy_missed"  # the case of `dual.py`

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

    def written(self, progress: Progress, deadline: Deadline) -> AbstractAsyncContextManager["Reader"]:
        """What was written at `kafka` and not sent yet. Entering it raises TopicMissing, KafkaAway."""
        return self._reading(self.topic, progress.offsets, deadline)

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
        raise NotNow("What the old service has not seen could not be counted in time. Try again.")


def _place_of(record: Fetched, route: str, topic: str) -> Place | None:
    """Where the record is that a divergence tells of, if it is one that the legacy service never got."""
    with suppress(orjson.JSONDecodeError, KeyError, TypeError):
        told = orjson.loads(record.value or b"")
        receipt = told["kafka"]["receipt"]
        if told["route"] == route and told["case"] == _UNREACHED and receipt["topic"] == topic:
            return receipt["partition"], receipt["offset"]
    return None
