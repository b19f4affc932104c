"""Two processes of one group, and clients that do anything: what was acknowledged with a 200 never comes again, and
everything that was written is acknowledged in the end. Processes crash, partitions move, commits are refused."""

import asyncio
import random
from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.consume.groups.settings import GroupSettings
from proxy.consume.partition.books import Budget
from proxy.consume.session import GroupSession
from proxy.errors import Conflict, KafkaAway, LeaseMoved, NotNow, OutcomeUnknown
from proxy.record import Partition
from proxy.seams.groups import Handout
from tests.unit.consume.fakes import SIGNER, ScriptedBroker, ScriptedMember
from tests.unit.consume.virtual import VirtualLoop, virtual_now

PARTITIONS = [Partition("orders", 0), Partition("orders", 1)]
RECORDS = 40
TROUBLED_S, QUIET_S = 300.0, 2_000.0
SETTINGS = GroupSettings("pricing", ("orders",), lease_s=20.0, budget=Budget(records=2_000), fetch_records=7)


class Process:
    """One session on its own member."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.session = GroupSession(SETTINGS, self._new_member, SIGNER, now=virtual_now)
        self.member = ScriptedMember(broker)
        self.member.joins_by_itself = False
        self.task = asyncio.create_task(self.session.run())

    def _new_member(self, group: str, topics: object) -> ScriptedMember:
        return self.member

    async def crash(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])

    async def close(self) -> None:
        await self.session.close()
        await self.task


class World:
    """The group, its log, and what its clients know."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.broker = ScriptedBroker(*PARTITIONS)
        self.processes = [Process(self.broker), Process(self.broker)]
        self.written: set[str] = set()
        self.accepted: set[str] = set()
        self.tried: set[str] = set()  # accepted or not: the answer did not say
        self.calm = asyncio.Event()

    async def run(self) -> None:
        await asyncio.sleep(0)
        await self.rebalance()
        clients = [asyncio.create_task(self.client()) for _ in range(4)]
        await asyncio.gather(self.write(), self.trouble())
        self.calm.set()
        async with asyncio.timeout(QUIET_S):
            await asyncio.gather(*clients)
        for process in self.processes:
            await process.close()
        assert self.written == self.tried, "the group passed records that nobody accepted"

    @property
    def is_finished(self) -> bool:
        """The group has committed the end of every partition that has records."""
        logs = {partition: log for partition, log in self.broker.logs.items() if log}
        return all(p in self.broker.commits and self.broker.commits[p].offset == len(log) for p, log in logs.items())

    async def write(self) -> None:
        for number in range(RECORDS):
            partition = self.chance.choice(PARTITIONS)
            self.written.add(f"orders:{partition.partition}:{len(self.broker.logs[partition])}")
            self.broker.append(str(number), partition=partition)
            await asyncio.sleep(self.chance.random() * TROUBLED_S / RECORDS * 2)

    # ---- what goes wrong

    async def trouble(self) -> None:
        end_s = asyncio.get_running_loop().time() + TROUBLED_S
        while asyncio.get_running_loop().time() < end_s:
            await asyncio.sleep(self.chance.random() * 40)
            await self.chance.choice([self.rebalance, self.crash, self.fail_commits])()

    async def fail_commits(self) -> None:
        errors = [KafkaAway("frozen"), LeaseMoved("the group has been rebalanced")]
        self.broker.commit_errors = [self.chance.choice(errors) for _ in range(self.chance.randint(1, 3))]

    async def crash(self) -> None:
        at = self.chance.randrange(2)
        await self.processes[at].crash()
        self.processes[at] = Process(self.broker)
        await asyncio.sleep(0)
        await self.rebalance()

    async def rebalance(self) -> None:
        for process in self.processes:
            if process.member.positions:
                await process.member.revoke()
        await asyncio.sleep(self.chance.random() * 5)
        owners = [self.chance.choice(self.processes) for _ in PARTITIONS]
        for process in self.processes:
            await process.member.assign(*(p for p, owner in zip(PARTITIONS, owners, strict=True) if owner is process))

    # ---- clients

    async def client(self) -> None:
        while not (self.calm.is_set() and self.is_finished):
            session = self.chance.choice(self.processes).session
            with suppress(NotNow):
                handout = await session.poll(max_records=self.chance.randint(1, 6), wait_s=3)
                if handout is not None:
                    self.check(handout)
                    await self.answer(handout)

    def check(self, handout: Handout) -> None:
        again = {self.id_of(delivery.record) for delivery in handout.records} & self.accepted
        assert not again, f"{again} was acknowledged, and came again"

    def id_of(self, record: object) -> str:
        return f"orders:{record.partition}:{record.offset}"  # type: ignore[attr-defined]

    async def answer(self, handout: Handout) -> None:
        """Work for a while, then say something of some of the records, maybe twice, maybe elsewhere, maybe too late."""
        await asyncio.sleep(self.chance.random() * self.chance.choice([1, 1, 30]))
        held = [self.id_of(delivery.record) for delivery in handout.records]
        mentioned = [each for each in held if self.calm.is_set() or self.chance.random() < 0.8]
        accept = [each for each in mentioned if self.chance.random() < 0.8]
        release = [each for each in mentioned if each not in accept]
        for _ in range(self.chance.choice([1, 1, 2])):
            session = self.chance.choice(self.processes).session
            self.tried |= set(accept)
            with suppress(NotNow, OutcomeUnknown):
                try:
                    await session.acknowledge(handout.lease, accept=accept, release=release, delay_ms=500)
                    self.accepted |= set(accept)
                except Conflict as refused:
                    self.accepted |= set(refused.extra.get("accepted", ()))


@settings(max_examples=25)
@given(seed=st.integers(0, 1 << 32))
def test_whatever_happens_nothing_is_lost_and_nothing_acknowledged_comes_again(seed: int) -> None:
    async def live() -> None:
        await World(random.Random(seed)).run()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())
