"""One group as an operator sees and moves it, at any of its workers: what the others know and own, they are asked.

A worker that does not answer in time is shown so, and holds up nothing but what it alone can do.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from proxy.clock import Deadline
from proxy.consume.groups.handout import GroupState
from proxy.consume.groups.moves import TIMEOUT_S, Offsets
from proxy.consume.groups.owner import Owner
from proxy.consume.groups.whence import Whence, check_in_log
from proxy.consume.peering import wire
from proxy.errors import FieldInvalid, NotNow, PeerAway, ProxyError
from proxy.record import Partition
from proxy.seams.peers import Peers

LOOK_S = 1.0  # so long a peer may take to say how it is doing
ANSWER_S = TIMEOUT_S + 0.5  # and so long to do something


@dataclass(frozen=True, slots=True)
class Seen:
    """One worker of a group, as the one that was asked sees it."""

    address: str | None  # where its peers reach it; None: it has none
    is_here: bool
    partitions: Sequence[Partition]  # that it has, by the group's map
    state: GroupState | None  # None: it does not answer


@dataclass(frozen=True, slots=True)
class Moved:
    """What a seek did with one partition."""

    partition: Partition
    before: int | None  # where it was; None while that was not known, or if it was not moved
    after: int  # where it goes on, or should
    trouble: str | None = None  # why it was not moved, or not for certain


class Control:
    """See the head of this file."""

    def __init__(self, owner: Owner, peers: Peers | None, state: Callable[[], GroupState]) -> None:
        """`state`: of this worker alone."""
        self._owner = owner
        self._peers = peers
        self._state = state

    # ---- looking

    async def seen(self) -> list[Seen]:
        """Every worker of the group, in the order of their addresses. Takes as long as the slowest, LOOK_S at most."""
        here = self._peers.address if self._peers is not None else None
        others = sorted(address for address in self._owner.map.members if address != here)
        seen = await asyncio.gather(*(self._look(address) for address in others))
        mine = self._state()
        own = Seen(here, True, [each.partition for each in mine.partitions], mine)
        return sorted([*seen, own], key=lambda each: each.address or "")

    async def _look(self, address: str) -> Seen:
        partitions = sorted(p for p, owner in self._owner.map.owners.items() if owner == address)
        try:
            return Seen(address, False, partitions, wire.to_state(await self._ask(address, LOOK_S, "state")))
        except ProxyError:
            return Seen(address, False, partitions, None)

    # ---- moving

    async def seek(self, whence: Whence, *, topic: str | None = None, partition: int | None = None) -> list[Moved]:
        """Let the group go on from there, in all of its partitions or in some; for each, what was done.

        Raises FieldInvalid, and then nothing was moved: for a partition that the group does not have, or an offset that
        is not in the log. KafkaAway, NotNow: nothing was moved either.
        """
        deadline = Deadline.after(TIMEOUT_S)
        partitions = self._chosen(topic, partition)
        offsets = await whence.offsets(self._owner.member, partitions, deadline)
        parts: dict[str | None, dict[Partition, int]] = {}
        for each in partitions:
            parts.setdefault(self._place(each), {})[each] = offsets[each]
        done = await asyncio.gather(*(self._seek_at(address, part) for address, part in parts.items()))
        return sorted((moved for each in done for moved in each), key=lambda moved: moved.partition)

    async def skip(self, partition: Partition, offset: int) -> bool:
        """Let the group go on without this record, whoever has it. False: it was settled before.

        Raises FieldInvalid if the group has no such partition, or the log no such offset, NotNow if nothing was done,
        OutcomeUnknown if it is not known to be committed.
        """
        [chosen] = self._chosen(*partition)
        bounds = await self._owner.member.bounds([chosen], Deadline.after(TIMEOUT_S))
        check_in_log(offset, bounds)
        address = self._place(chosen)
        if self._is_here(address):
            return await self._owner.moves.skip(chosen, offset)
        return bool(await self._ask(address, ANSWER_S, "skip", *chosen, offset))

    def _chosen(self, topic: str | None, partition: int | None) -> list[Partition]:
        """Those of the group's partitions that are meant. Raises FieldInvalid if there is none."""
        self._owner.refuse()
        every = self._owner.map.owners.keys() | self._owner.partitions
        if not every:
            raise NotNow(f"Group {self._owner.group!r} is waiting for its partitions; nothing was done. Repeat it.")
        chosen = sorted(p for p in every if topic in (None, p.topic) and partition in (None, p.partition))
        if not chosen:
            topics = ", ".join(sorted({p.topic for p in every}))
            which = (
                f"partition {partition}" if topic is None else topic if partition is None else f"{topic}:{partition}"
            )
            raise FieldInvalid(
                f"Group {self._owner.group!r} does not read {which}; it reads {topics}. Nothing was done."
            )
        return chosen

    def _place(self, partition: Partition) -> str | None:
        """The address of whoever has it; our own too, if we have one."""
        if self._owner.has(partition):
            return self._peers.address if self._peers is not None else None
        return self._owner.map.owners.get(partition)

    def _is_here(self, address: str | None) -> bool:
        return self._peers is None or address == self._peers.address

    async def _seek_at(self, address: str | None, offsets: Offsets) -> list[Moved]:
        try:
            if self._is_here(address):
                before: Offsets | Mapping[Partition, int | None] = await self._owner.moves.seek(offsets)
            else:
                said = [[*partition, offset] for partition, offset in offsets.items()]
                rows = await self._ask(address, ANSWER_S, "seek", said)
                before = {Partition(topic, number): at for topic, number, at in rows}
        except ProxyError as exc:
            return [Moved(partition, None, offset, exc.detail) for partition, offset in offsets.items()]
        gone = "It has just been moved to another worker; nothing was done. Repeat it."
        return [
            Moved(partition, before.get(partition), offset, None if partition in before else gone)
            for partition, offset in offsets.items()
        ]

    # ---- between peers

    async def _ask(self, address: str | None, within_s: float, kind: str, *said: Any) -> Any:
        """Have a peer do it. Raises PeerAway, and what it raised there."""
        link = self._peers.link(address) if self._peers is not None and address is not None else None
        if link is None:
            raise PeerAway(f"The worker that has it ({address or 'without an address'}) cannot be reached from here.")
        try:
            async with asyncio.timeout(within_s):
                answer = await link.ask([kind, self._owner.group, *said])
        except TimeoutError:
            raise PeerAway(f"The worker {address} did not answer in time.", is_sent=True) from None
        match answer:
            case ["done", done, *_]:
                return done
            case ["refused", error, *_]:
                raise wire.to_error(error)
        raise PeerAway(f"The worker {address} does not read for the group, or not yet.")

    async def asked(self, kind: str, said: list[Any]) -> Any:
        """A peer's operator asks. See `wire.py`."""
        try:
            return ["done", await self._do(kind, said)]
        except ProxyError as exc:
            return ["refused", wire.from_error(exc)]

    async def _do(self, kind: str, said: list[Any]) -> Any:
        moves = self._owner.moves
        match kind, said:
            case "state", _:
                return wire.from_state(self._state())
            case "seek", [offsets, *_]:
                before = await moves.seek({Partition(topic, number): offset for topic, number, offset in offsets})
                return [[*partition, at] for partition, at in before.items()]
            case "skip", [topic, number, offset, *_]:
                return await moves.skip(Partition(topic, number), offset)
        raise NotNow("This worker is of a version that does not know how. Ask again when all are of one.")
