"""Dead letters for an operator: what lies in a group's dead-letter topic, and sending it back to where it came from.

Laws:
- Each look is bounded, in time, records and bytes; that there is more than was looked at is said.
- A letter is told to be replayed when all in-sync replicas have its record, and is then remembered in Kafka. In between
  a crash may let it be replayed twice; so may two who replay at two replicas at the same time.
- Every group that reads the original topic sees a replayed record again.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from proxy.clock import Deadline
from proxy.consume.claim import read_id
from proxy.consume.dead.letter import Letter
from proxy.consume.dead.replayed import Replayed, marks_group
from proxy.consume.dead.stroll import CHUNK, MOST_BYTES, Stroll
from proxy.consume.ranges import Range
from proxy.errors import FieldInvalid, ProxyError
from proxy.observe.logs import logger
from proxy.record import Partition
from proxy.seams.feeds import NewTail
from proxy.seams.peers import Marks
from proxy.seams.produce import Submitter
from proxy.seams.topics import Topics

LOOK_S = 2.0  # all together less than the five seconds that one waits who asked through another process
WRITE_S = 1.5
MARK_S = 1.0
MOST_REPLAYED = 200  # at a time, about

log = logger("consume")


@dataclass(frozen=True, slots=True)
class Found:
    """Letters, newest first, and whether each was replayed. `is_complete`: there are no others."""

    letters: Sequence[tuple[Letter, bool]]
    is_complete: bool


@dataclass(slots=True)
class Replay:
    """What became of letters, by their ids: where they were written to, and why others were not.

    `is_complete`: nothing is left but what is in `troubles`. `is_remembered`: Kafka knows what was replayed.
    """

    written: dict[str, str] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)
    is_complete: bool = True
    is_remembered: bool = True


@dataclass(frozen=True, slots=True)
class _Ground:
    """A dead-letter topic that is open: a reader of it, and what of it was replayed."""

    stroll: Stroll
    bounds: Mapping[Partition, Range]
    replayed: Mapping[Partition, Replayed]


class Graves:
    """See the head of this file."""

    def __init__(self, topics: Topics, new_tail: NewTail, marks: Marks, submitter: Submitter) -> None:
        self._topics = topics
        self._new_tail = new_tail
        self._marks = marks
        self._submitter = submitter
        self._one_at_a_time = asyncio.Lock()

    # ---- looking

    async def newest(self, group: str, topic: str, *, most: int, with_values: bool = False) -> Found:
        """The group's newest letters in the topic. Raises TopicMissing, KafkaAway and their kin."""
        found: list[Letter] = []
        async with self._open(group, topic) as ground:
            is_complete = True
            for partition in ground.bounds:
                letters, is_all = await self._newest_of(ground, partition, group, most, with_values)
                is_complete &= is_all
                found += letters
            found.sort(key=lambda letter: (letter.dead_ms, letter.at, letter.offset), reverse=True)
            told = [(letter, letter.offset in ground.replayed[letter.at]) for letter in found[:most]]
        return Found(told, is_complete and len(found) <= most)

    @staticmethod
    async def _newest_of(
        ground: _Ground, partition: Partition, group: str, most: int, with_values: bool
    ) -> tuple[list[Letter], bool]:
        """Back from the end of one partition; and whether it was all looked at."""
        begins, end = ground.bounds[partition]
        letters: list[Letter] = []
        while begins < end and len(letters) < most and _size_bytes(letters) < MOST_BYTES:
            start = max(begins, end - CHUNK)
            records, edge = await ground.stroll.read(partition, start, end)
            mine = [letter for record in records if (letter := Letter.read(record)) and letter.group == group]
            letters = [*(mine if with_values else map(_without_value, mine)), *letters]
            if edge < end:
                return letters, False
            end = start
        return letters, end <= begins

    # ---- replaying

    async def replay(self, group: str, topic: str, ids: Sequence[str]) -> Replay:
        """Send these back, also if they were before. Raises FieldInvalid for what is no id of the topic's."""
        places = dict(zip(ids, (_place(topic, each) for each in ids), strict=True))
        if len(places) > MOST_REPLAYED:
            raise FieldInvalid(f"{len(places)} letters are named; {MOST_REPLAYED} can be replayed at a time.")
        done, letters = Replay(), list[Letter]()
        async with self._one_at_a_time, self._open(group, topic) as ground:
            for name, (partition, offset) in places.items():
                letter = await self._letter(ground, partition, offset)
                if letter is None or letter.group != group:
                    done.troubles[name] = f"is no dead letter of group {group!r}, or no longer there"
                elif ground.replayed[partition].is_full:
                    done.troubles[name] = "is one too many to be remembered: replay all"
                else:
                    letters.append(letter)
            await self._send(letters, done)
            for name in done.written:
                partition, offset = places[name]
                ground.replayed[partition].add(offset, offset + 1)
            await self._remember(group, ground, {places[name][0] for name in done.written}, done)
        return done

    @staticmethod
    async def _letter(ground: _Ground, partition: Partition, offset: int) -> Letter | None:
        begins, ends = ground.bounds.get(partition, (0, 0))
        if not begins <= offset < ends:
            return None
        records, _ = await ground.stroll.read(partition, offset, offset + 1)
        return Letter.read(records[0]) if records else None

    async def replay_all(self, group: str, topic: str) -> Replay:
        """Send back what was not replayed yet, in each partition the oldest first; as much as can be done at once."""
        done = Replay()
        touched: set[Partition] = set()
        async with self._one_at_a_time, self._open(group, topic) as ground:
            for partition, start, end in _chunks_left(ground):
                records, edge = await ground.stroll.read(partition, start, end)
                letters = [letter for record in records if (letter := Letter.read(record)) and letter.group == group]
                await self._send(letters, done)
                kept = [letter.offset for letter in letters if letter.id not in done.written]
                ground.replayed[partition].add(start, edge, but=kept)
                touched.add(partition)
                if edge < end or len(done.written) >= MOST_REPLAYED:
                    done.is_complete = False
                    break
            await self._remember(group, ground, touched, done)
        return done

    async def _send(self, letters: Sequence[Letter], done: Replay) -> None:
        """Write what can be written, and note what became of each."""
        whole = []
        for letter in letters:
            if letter.omitted is None:
                whole.append(letter)
                continue
            origin = f"{letter.origin.topic}:{letter.origin.partition}:{letter.origin_offset}"
            done.troubles[letter.id] = (
                f"has no record in it ({letter.omitted}): only {origin} itself has, if it is there"
            )
        if not whole:
            return
        records = [letter.replayed() for letter in whole]
        for letter, outcome in zip(
            whole, await self._submitter.submit_many(records, Deadline.after(WRITE_S)), strict=True
        ):
            if isinstance(outcome, ProxyError):
                done.troubles[letter.id] = outcome.detail
            else:
                done.written[letter.id] = f"{outcome.topic}:{outcome.partition}:{outcome.offset}"
        log.info("dead_letters_replayed", letters=len(done.written), not_replayed=len(done.troubles))

    async def _remember(self, group: str, ground: _Ground, partitions: Collection[Partition], done: Replay) -> None:
        """Have Kafka remember what was replayed. Raises nothing: what was written stays written."""
        commits = {partition: ground.replayed[partition].commit() for partition in partitions}
        if not commits:
            return
        try:
            await self._marks.write(marks_group(group), commits, Deadline.after(MARK_S))
        except ProxyError as exc:
            done.is_remembered = False
            log.warning("replay_not_remembered", group=group, reason=exc.detail)

    @asynccontextmanager
    async def _open(self, group: str, topic: str) -> AsyncIterator[_Ground]:
        deadline = Deadline.after(LOOK_S)
        count = (await self._topics.find(topic, deadline)).partitions
        partitions = [Partition(topic, number) for number in range(count)]
        commits = await self._marks.read(marks_group(group), partitions, deadline)
        tail = self._new_tail()
        try:
            bounds = await tail.bounds(partitions, deadline)
            replayed = {p: Replayed(commits.get(p), begins) for p, (begins, _) in bounds.items()}
            yield _Ground(Stroll(tail, deadline), bounds, replayed)
        finally:
            await tail.close()


def _chunks_left(ground: _Ground) -> Iterator[tuple[Partition, int, int]]:
    """What may still be to replay, in pieces."""
    for partition, (_, ends) in ground.bounds.items():
        for start, end in ground.replayed[partition].left(ends):
            for at in range(start, end, CHUNK):
                yield partition, at, min(at + CHUNK, end)


def _place(topic: str, name: str) -> tuple[Partition, int]:
    place = read_id(name)
    if place is None or place[0].topic != topic:
        raise FieldInvalid(f"{name!r} is no id of a dead letter: write {topic}:PARTITION:OFFSET. Nothing was done.")
    return place


def _without_value(letter: Letter) -> Letter:
    return replace(letter, value=None, headers=())


def _size_bytes(letters: Iterable[Letter]) -> int:
    return sum(letter.size_bytes for letter in letters)
