"""Several workers of one group on a scripted Kafka, connected in memory: what they say passes through msgpack."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import ormsgpack

from proxy.consume.groups.settings import GroupSettings
from proxy.consume.partition.books import Budget
from proxy.consume.session import GroupSession
from proxy.errors import PeerAway
from proxy.record import Partition
from proxy.seams.groups import GroupMap
from proxy.seams.peers import PeerService
from tests.unit.consume.fakes import SIGNER, ScriptedBroker, ScriptedMember
from tests.unit.consume.virtual import virtual_now


class Wires:
    """What connects the workers. A test may cut the wire from one to another, or make it lose what is said."""

    def __init__(self) -> None:
        self.peers: dict[str, ScriptedPeers] = {}
        self.cuts: set[tuple[str, str]] = set()
        self.frozen: set[str] = set()  # who hears nothing, though connected
        self.said: list[tuple[str, str, Any]] = []

    def cut(self, a: str, b: str) -> None:
        """Both ways; what was said and not heard is lost."""
        for caller, owner in ((a, b), (b, a)):
            self.cuts.add((caller, owner))
            link = self.peers[caller].links.get(owner)
            if link is not None:
                link.broke()

    def mend(self, a: str, b: str) -> None:
        self.cuts -= {(a, b), (b, a)}
        for caller, owner in ((a, b), (b, a)):
            link = self.peers[caller].links.get(owner)
            if link is not None:
                for service in self.peers[caller].services.values():
                    service.link_up(link)


class ScriptedPeers:
    """One worker's peers (`seams.Peers`)."""

    def __init__(self, wires: Wires, address: str) -> None:
        self.address = address
        self.wires = wires
        self.links: dict[str, Link] = {}
        self.services: dict[str, PeerService] = {}
        wires.peers[address] = self

    def serve(self, group: str, service: PeerService) -> None:
        self.services[group] = service

    def leave(self, group: str, service: PeerService) -> None:
        self.services.pop(group, None)

    def follow(self, group: str, addresses: Iterable[str]) -> None:
        for address in set(addresses) - {self.address} - self.links.keys():
            self.links[address] = Link(self, address)

    def link(self, address: str) -> "Link | None":
        return self.links.get(address)


class Link:
    """From a worker to an owner (`seams.PeerLink`)."""

    def __init__(self, of: ScriptedPeers, address: str) -> None:
        self.of = of
        self.address = address
        self.caller = Caller(self)
        self.awaited: set[asyncio.Future[Any]] = set()

    @property
    def is_up(self) -> bool:
        return (self.of.address, self.address) not in self.of.wires.cuts

    @property
    def service(self) -> PeerService | None:
        return self.of.wires.peers[self.address].services.get("pricing")

    def tell(self, message: Any) -> bool:
        if self.is_up:
            self.of.wires.said.append((self.of.address, self.address, message))
            self._pass_on(message)
        return self.is_up

    def _pass_on(self, message: Any) -> None:
        data = ormsgpack.packb(message)

        def heard() -> None:
            if self.is_up and self.address not in self.of.wires.frozen and self.service is not None:
                self.service.told(self.caller, ormsgpack.unpackb(data))

        asyncio.get_running_loop().call_soon(heard)

    async def ask(self, message: Any) -> Any:
        if not self.is_up:
            raise PeerAway("not connected", is_sent=False)
        self.of.wires.said.append((self.of.address, self.address, message))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.awaited.add(answer)
        task = asyncio.create_task(self._answered(ormsgpack.packb(message), answer))
        try:
            return await answer
        finally:
            task.cancel()
            self.awaited.discard(answer)

    async def _answered(self, data: bytes, answer: asyncio.Future[Any]) -> None:
        service = self.service
        if self.address in self.of.wires.frozen:
            return
        said = await service.asked(ormsgpack.unpackb(data)) if service is not None else None
        if self.is_up and not answer.done():
            answer.set_result(ormsgpack.unpackb(ormsgpack.packb(said)))

    def broke(self) -> None:
        for answer in self.awaited:
            if not answer.done():
                answer.set_exception(PeerAway("broke", is_sent=True))
        for service in self.of.services.values():
            service.link_down(self)
        if self.service is not None:
            self.service.caller_gone(self.caller)


class Caller:
    """The owner's end of a link (`seams.PeerCaller`)."""

    def __init__(self, link: Link) -> None:
        self.link = link

    @property
    def address(self) -> str:
        return self.link.of.address

    def tell(self, message: Any) -> bool:
        link = self.link
        if not link.is_up:
            return False
        link.of.wires.said.append((link.address, self.address, message))
        data = ormsgpack.packb(message)

        def heard() -> None:
            service = link.of.services.get("pricing")
            if link.is_up and self.address not in link.of.wires.frozen and service is not None:
                service.lent(link, ormsgpack.unpackb(data))

        asyncio.get_running_loop().call_soon(heard)
        return True


class Crew:
    """The workers by name, and the group's map as the test draws it."""

    def __init__(self, broker: ScriptedBroker) -> None:
        self.broker = broker
        self.wires = Wires()
        self.sessions: dict[str, GroupSession] = {}
        self.members: dict[str, ScriptedMember] = {}
        self.epoch = 0

    def __getitem__(self, name: str) -> GroupSession:
        return self.sessions[name]

    async def draw(self, shares: Mapping[str, Iterable[Partition]]) -> None:
        """A rebalance: all that had something lose it, then each gets its share."""
        for member in self.members.values():
            await member.revoke()
        await self.assign(shares)

    async def assign(self, shares: Mapping[str, Iterable[Partition]]) -> None:
        self.epoch += 1
        owners: dict[Partition, str | None] = {p: name for name, share in shares.items() for p in share}
        for name, share in shares.items():
            self.members[name].map = GroupMap(self.epoch, owners, tuple(shares))
            await self.members[name].assign(*share)


@asynccontextmanager
async def crew(broker: ScriptedBroker, *names: str, **settings: Any) -> AsyncIterator[Crew]:
    """Workers that have joined and own nothing yet. At the end they are closed."""
    made = Crew(broker)
    chosen = GroupSettings("pricing", ("orders",), **{"budget": Budget(records=1_000), **settings})
    async with AsyncExitStack() as stack:
        for name in names:
            peers = ScriptedPeers(made.wires, name)
            made.sessions[name] = await stack.enter_async_context(_running(chosen, broker, peers))
            await asyncio.sleep(0)
            made.members[name] = broker.members[-1]
        yield made


@asynccontextmanager
async def _running(chosen: GroupSettings, broker: ScriptedBroker, peers: ScriptedPeers) -> AsyncIterator[GroupSession]:
    def new_member(group: str, topics: Any) -> ScriptedMember:
        member = broker.new_member(group, topics)
        member.joins_by_itself = False
        return member

    session = GroupSession(chosen, new_member, SIGNER, now=virtual_now, peers=peers)
    task = asyncio.create_task(session.run())
    try:
        yield session
    finally:
        await session.close()
        await task
