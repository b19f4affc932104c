"""A scripted log, and a scripted service to which it is replayed."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import orjson

from proxy.clock import Deadline
from proxy.errors import TopicMissing, UpstreamAway, UpstreamFailed
from proxy.migrate.replay import Replay
from proxy.migrate.unseen import Book, Log, Progress
from proxy.record import Partition, Topic
from proxy.seams.upstream import UpstreamRequest

ROUTE, TOPIC, DIVERGENCES = "orders", "retail.orders", "_s.divergences"


@dataclass(slots=True)
class Stored:
    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()
    timestamp: int = 0


def written(offset: int, *, key: str = "k", stage: str = "kafka", route: str = ROUTE, partition: int = 0) -> Stored:
    headers = [
        ("stepbridge-route", route.encode()),
        ("stepbridge-stage", stage.encode()),
        ("stepbridge-request", b"POST /orders?n=%d" % offset),
        ("stepbridge-content-type", b"application/json"),
        ("stepbridge-id", b"id-%d" % offset),
    ]
    return Stored(TOPIC, partition, offset, key.encode(), b"%d" % offset, headers)


def diverged(offset: int, case: str, *, partition: int = 0) -> Stored:
    told = {
        "route": ROUTE,
        "case": case,
        "kafka": {"receipt": {"topic": TOPIC, "partition": partition, "offset": offset}},
    }
    return Stored(DIVERGENCES, 0, 0, b"k", orjson.dumps(told))


@dataclass(slots=True)
class World:
    """The log, what the control topic says of the replay, and the service with what it was sent."""

    records: list[Stored] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    says: list[int] = field(default_factory=list)  # the next statuses; 0: away, 1: broken off, after it has acted
    taken: list[tuple[str, bytes]] = field(default_factory=list)  # where each comes from, and its body

    # -- Topics

    async def find(self, name: str, deadline: Deadline) -> Topic:
        count = 1 + max((each.partition for each in self.records if each.topic == name), default=-1)
        if not count:
            raise TopicMissing(name)
        return Topic(name, count)

    # -- Upstream

    name = "legacy"

    async def send(self, request: UpstreamRequest) -> "Answer":
        await asyncio.sleep(0)
        status = self.says.pop(0) if self.says else 200
        if status == 0:
            raise UpstreamAway("away")
        assert isinstance(request.body, bytes)
        self.taken.append((dict(request.headers)[b"stepbridge-replay"].decode(), request.body))
        if status == 1:
            raise UpstreamFailed("broken off")
        return Answer(status)

    # -- Book

    async def write(self, progress: Progress) -> bool:
        self.progress = Progress.read(orjson.loads(orjson.dumps(progress.as_json())))
        return True

    @property
    def book(self) -> Book:
        return Book(lambda: self.progress, self.write)

    @property
    def log(self) -> Log:
        return Log(ROUTE, TOPIC, DIVERGENCES, self, lambda: ScriptedTail(self.records))  # type: ignore[arg-type, return-value]

    def replay(self, *, run: str = "run", follow: bool = False, skip_refused: bool = False) -> Replay:
        made = Replay(self.log, self.book, self, run=run, replica="here", follow=follow, skip_refused=skip_refused)  # type: ignore[arg-type]
        self.last = made
        return made

    last: Replay | None = None


@dataclass(slots=True)
class Answer:
    status: int

    async def close(self) -> None: ...


class ScriptedTail:
    def __init__(self, records: Sequence[Stored]) -> None:
        self._records = records
        self._next: dict[Partition, int] = {}

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        ends = {p: [each.offset + 1 for each in self._records if (each.topic, each.partition) == p] for p in partitions}
        return {p: (0, max(found, default=0)) for p, found in ends.items()}

    async def open(self, starts: Mapping[Partition, int]) -> None:
        self._next = dict(starts)

    def position(self, partition: Partition) -> int | None:
        return self._next.get(partition)

    async def fetch(self, *, timeout_s: float, max_records: int) -> Sequence[Stored]:
        found = [
            each
            for each in self._records
            if each.offset >= self._next.get(Partition(each.topic, each.partition), 1 << 60)
        ]
        found = found[:max_records]
        for each in found:
            self._next[Partition(each.topic, each.partition)] = each.offset + 1
        return found

    async def close(self) -> None: ...
