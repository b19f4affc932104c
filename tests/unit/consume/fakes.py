"""A scripted Kafka for the readers of a group: logs and commits in memory, members that do what a test tells them."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from proxy.clock import Deadline
from proxy.consume.groups.settings import GroupSettings
from proxy.consume.partition.books import Budget
from proxy.consume.partition.terms import PLAIN
from proxy.consume.session import GroupSession
from proxy.consume.token import Signer
from proxy.errors import ProxyError
from proxy.record import Fetched, Partition, Receipt, Record
from proxy.seams.groups import Committed, GroupListener, GroupMap
from tests.unit.consume.records import ORDERS, read
from tests.unit.consume.virtual import virtual_now

SIGNER = Signer(["a secret"])


class ScriptedBroker:
    """One group's logs and commits. `members` are those that were made for it, in order."""

    def __init__(self, *partitions: Partition) -> None:
        self.logs: dict[Partition, list[Fetched]] = {partition: [] for partition in partitions or [ORDERS]}
        self.commits: dict[Partition, Committed] = {}
        self.members: list[ScriptedMember] = []
        self.open_errors: list[ProxyError] = []  # for the next tries to join
        self.commit_errors: list[ProxyError] = []  # for the next commits
        self.commit_gate: asyncio.Event | None = None  # commits wait for it
        self.commits_made = 0
        self.arrived = asyncio.Event()

    def new_member(self, group: str, topics: Sequence[str]) -> "ScriptedMember":
        member = ScriptedMember(self)
        self.members.append(member)
        return member

    def append(self, *values: str, partition: Partition = ORDERS) -> None:
        """Write records, one behind the other."""
        log = self.logs[partition]
        for value in values:
            log.append(read(log[-1].offset + 1 if log else 0, partition=partition, value=value.encode()))
        self.arrived.set()


class ScriptedMember:
    """A member that owns all partitions as soon as it has joined, until the test moves them."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.fenced = False
        self.closed = asyncio.Event()
        self.paused: set[Partition] = set()
        self.positions: dict[Partition, int] = {}
        self.fetches_in_progress = 0
        self.joins_by_itself = True
        self.map = GroupMap()

    async def open(self, listener: GroupListener) -> None:
        if self.broker.open_errors:
            raise self.broker.open_errors.pop(0)
        self.listener = listener
        if self.joins_by_itself:
            await self.assign(*self.broker.logs)

    async def assign(self, *partitions: Partition) -> None:
        self.paused.clear()
        self.positions = dict.fromkeys(partitions, 0)
        await self.listener.on_assigned(list(partitions))
        self.broker.arrived.set()

    async def revoke(self) -> None:
        await self.listener.on_revoked(list(self.positions))
        self.positions = {}

    async def rebalance(self, *partitions: Partition) -> None:
        """All partitions go, and these come."""
        await self.revoke()
        await self.assign(*partitions)

    async def fetch(self, *, timeout_s: float, max_records: int) -> Sequence[Fetched]:
        self.fetches_in_progress += 1
        try:
            deadline_s = asyncio.get_running_loop().time() + timeout_s
            while not (records := self._next(max_records)) and not self.closed.is_set():
                self.broker.arrived.clear()
                left_s = deadline_s - asyncio.get_running_loop().time()
                try:
                    await asyncio.wait_for(self.broker.arrived.wait(), left_s)
                except TimeoutError:
                    return []
            return records
        finally:
            self.fetches_in_progress -= 1

    def _next(self, max_records: int) -> list[Fetched]:
        records: list[Fetched] = []
        for partition, position in self.positions.items():
            if partition not in self.paused:
                found = [record for record in self.broker.logs[partition] if record.offset >= position]
                records += found[: max_records - len(records)]
        for record in records:
            self.positions[Partition(record.topic, record.partition)] = record.offset + 1
        return records

    def seek(self, partition: Partition, offset: int) -> None:
        self.positions[partition] = offset

    def pause(self, partitions: Sequence[Partition]) -> None:
        assert set(partitions) <= set(self.positions)
        self.paused |= set(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        assert set(partitions) <= set(self.positions)
        self.paused -= set(partitions)
        self.broker.arrived.set()

    async def commit(self, commits: Mapping[Partition, Committed]) -> None:
        if self.broker.commit_gate is not None:
            await self.broker.commit_gate.wait()
        if self.broker.commit_errors:
            raise self.broker.commit_errors.pop(0)
        self.broker.commits_made += 1
        self.broker.commits.update(commits)

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        return {
            partition: self.broker.commits[partition] for partition in partitions if partition in self.broker.commits
        }

    def is_fenced(self) -> bool:
        return self.fenced

    def end_offset(self, partition: Partition) -> int | None:
        log = self.broker.logs[partition]
        return log[-1].offset + 1 if log else 0

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        return {p: (log[0].offset if (log := self.broker.logs[p]) else 0, self.end_offset(p) or 0) for p in partitions}

    async def first_since(
        self, partitions: Sequence[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        found = {p: [r.offset for r in self.broker.logs[p] if r.timestamp >= time_ms] for p in partitions}
        return {partition: offsets[0] for partition, offsets in found.items() if offsets}

    async def close(self) -> None:
        self.closed.set()
        self.broker.arrived.set()


class ScriptedTopic:
    """Where dead letters are written to (`seams.Submitter`)."""

    def __init__(self) -> None:
        self.letters: list[Record] = []
        self.errors: list[ProxyError] = []  # for the next records
        self.gate: asyncio.Event | None = None  # writes wait for it

    async def submit(self, record: Record, deadline: Deadline) -> Receipt:
        outcome = (await self.submit_many([record], deadline))[0]
        if isinstance(outcome, ProxyError):
            raise outcome
        return outcome

    async def submit_many(self, records: Sequence[Record], deadline: Deadline) -> Sequence[Receipt | ProxyError]:
        if self.gate is not None:
            await self.gate.wait()
        return [self._written(record) for record in records]

    def _written(self, record: Record) -> Receipt | ProxyError:
        if self.errors:
            return self.errors.pop(0)
        self.letters.append(record)
        return Receipt(record.topic, 0, len(self.letters) - 1, 0)


@asynccontextmanager
async def session_on(
    broker: ScriptedBroker, *, crashes: bool = False, dead: ScriptedTopic | None = None, **settings: Any
) -> AsyncIterator[GroupSession]:
    """A running session. At the end it is closed, or, where it `crashes`, gone without a word.

    `dead` takes its dead letters.
    """
    if dead is not None:
        terms = replace(settings.get("terms", PLAIN), buries=True)
        settings = {**settings, "dead_letter": "orders.dead", "terms": terms}
    chosen = GroupSettings("pricing", ("orders",), **{"budget": Budget(records=1_000), **settings})
    session = GroupSession(chosen, broker.new_member, SIGNER, now=virtual_now, submitter=dead)
    task = asyncio.create_task(session.run())
    try:
        yield session
    finally:
        if crashes:
            task.cancel()
        else:
            await session.close()
        with suppress(asyncio.CancelledError):
            await task
        assert not any(member.fetches_in_progress for member in broker.members)
