"""A log in memory, tails that read it, and the topics in it: what a feed sees of Kafka, with every fault at hand."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.clock import Deadline
from proxy.errors import Gone, KafkaAway, TopicMissing
from proxy.record import Fetched, Partition, Topic

IDLE_S = 0.002  # so long an empty fetch takes at most: no test waits for a real timeout


@dataclass(slots=True)
class Logged:
    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None = b"v"
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


@dataclass(slots=True)
class Part:
    """One partition: `begins`, `ends`, and the records between, with gaps."""

    begins: int = 0
    ends: int = 0
    records: list[Logged] = field(default_factory=list)


class ScriptedLog:
    """Its script is `append`, `skip`, `retain`, `make_anew`, `missing`, `is_away`; `tail`, `get`, `find` play it."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        self.parts = {Partition(topic, n): Part() for topic, count in partitions.items() for n in range(count)}
        self.missing: set[str] = set()
        self.is_away = False
        self.cluster = "cluster-1"
        self.tails: list[ScriptedTail] = []
        self._now_ms = 1_000
        self._changed = asyncio.Event()

    # ---- the script

    def append(self, partition: Partition, count: int = 1) -> list[Logged]:
        part = self.parts[partition]
        added = []
        for _ in range(count):
            self._now_ms += 1
            added.append(Logged(*partition, part.ends, self._now_ms))
            part.ends += 1
        part.records += added
        self.change()
        return added

    def skip(self, partition: Partition, count: int = 1) -> None:
        """Offsets without records: transaction markers, compaction."""
        self.parts[partition].ends += count
        self.change()

    def retain(self, partition: Partition, begins: int) -> None:
        part = self.parts[partition]
        part.begins = begins
        part.records = [record for record in part.records if record.offset >= begins]

    def make_anew(self, topic: str, partitions: int) -> None:
        self.parts = {p: part for p, part in self.parts.items() if p.topic != topic}
        self.parts |= {Partition(topic, n): Part() for n in range(partitions)}
        for tail in self.tails:
            tail.notice(topic)
        self.change()

    def add_partition(self, topic: str) -> Partition:
        added = Partition(topic, self._count(topic))
        self.parts[added] = Part()
        self.change()
        return added

    @property
    def largest_bytes(self) -> int:
        """Of a record's value; 1 at least."""
        return max(1, *(len(record.value or b"") for part in self.parts.values() for record in part.records), 1)

    def change(self) -> None:
        self._changed.set()
        self._changed.clear()

    async def wait(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    # ---- topics (seams.Topics)

    def get(self, name: str) -> Topic:
        if self.is_away and not self.tails:
            raise KafkaAway("away")
        if name in self.missing or not self._count(name):
            raise TopicMissing(f"{name} is missing")
        return Topic(name, self._count(name))

    async def find(self, name: str, deadline: Deadline) -> Topic:
        return self.get(name)

    def cluster_id(self) -> str:
        return self.cluster

    def _count(self, topic: str) -> int:
        return sum(p.topic == topic for p in self.parts)

    # ---- tails (seams.NewTail)

    def tail(self) -> "ScriptedTail":
        self.tails.append(ScriptedTail(self))
        return self.tails[-1]


class ScriptedTail:
    """Reads a scripted log. `opened` are the starts it was given."""

    def __init__(self, log: ScriptedLog) -> None:
        self.opened: list[Mapping[Partition, int]] = []
        self.is_closed = False
        self.is_stuck = False  # nothing arrives
        self.is_blind = False  # a topic that is missing for a moment is not noticed: it lives on what it has fetched
        self._log = log
        self._at: dict[Partition, int] = {}
        self._has_missed = False

    async def open(self, starts: Mapping[Partition, int]) -> None:
        await self._reach()
        self.opened.append(starts)
        self._at = dict(starts)
        self._has_missed = False

    async def fetch(self, *, timeout_s: float, max_records: int, max_bytes: int | None = None) -> Sequence[Fetched]:
        await self._reach()
        if max_bytes is not None:
            max_records = min(max_records, max_bytes // self._log.largest_bytes)
        found = self._read(max_records)
        if not found:
            await self._log.wait(min(timeout_s, IDLE_S))
            found = self._read(max_records)
        if self._has_missed and not self.is_stuck:
            raise KafkaAway("A topic that is read is missing.")
        return found

    def position(self, partition: Partition) -> int | None:
        return self._at.get(partition)

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        await self._reach()
        return {p: (self._log.parts[p].begins, self._log.parts[p].ends) for p in partitions}

    async def first_since(
        self, partitions: Sequence[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        await self._reach()
        later = {p: [r.offset for r in self._log.parts[p].records if r.timestamp >= time_ms] for p in partitions}
        return {p: offsets[0] for p, offsets in later.items() if offsets}

    async def close(self) -> None:
        self.is_closed = True

    @property
    def has_read_all(self) -> bool:
        """It stands at the end of every log it reads, and has not been told to look again."""
        return not self._has_missed and all(at == self._log.parts[p].ends for p, at in self._at.items())

    def notice(self, topic: str) -> None:
        """The topic is missing for a moment."""
        self._has_missed = self._has_missed or (not self.is_blind and any(p.topic == topic for p in self._at))

    async def _reach(self) -> None:
        await asyncio.sleep(0)
        if self._log.is_away:
            raise KafkaAway("away")

    def _read(self, max_records: int) -> list[Fetched]:
        found: list[Fetched] = []
        if self.is_stuck:
            return found
        for partition, at in self._at.items():
            part = self._log.parts.get(partition)
            if part is None:
                continue
            if not part.begins <= at <= part.ends:
                raise Gone(f"{partition} has no {at}", extra={"lost": []})
            following: list[Fetched] = [record for record in part.records if record.offset >= at]
            taken = following[: max_records - len(found)]
            found += taken
            self._at[partition] = part.ends if len(taken) == len(following) else taken[-1].offset + 1 if taken else at
        return found


async def until(true: Callable[[], object]) -> None:
    """Let the others run until it is true; 10 s at most."""
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.001)
