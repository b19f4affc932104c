"""Consumer groups as operators see and move them (`admin.operations.GroupControl`), and their metrics."""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from proxy.admin.operations import GroupState, LetterState, MemberState, PartitionState
from proxy.admin.problem import NoDeadLetters, NoGroup
from proxy.consume.dead.graves import Graves, Replay
from proxy.consume.dead.letter import Letter
from proxy.consume.envelope import shown_value
from proxy.consume.groups import handout
from proxy.consume.groups.control import Moved, Seen
from proxy.consume.groups.whence import Whence
from proxy.consume.partition.terms import Reason
from proxy.consume.readers import Readers
from proxy.consume.session import GroupSession
from proxy.endpoints import GroupKey
from proxy.observe.metrics import Sample
from proxy.record import Partition
from proxy.shown import shown_bytes


async def group_states(groups: Iterable[GroupSession]) -> Sequence[GroupState]:
    """Every group that is read here, with all its workers."""
    sessions = list(groups)
    seen = await asyncio.gather(*(session.control.seen() for session in sessions))
    return [group_state(session.owner.group, each) for session, each in zip(sessions, seen, strict=True)]


def group_state(group: str, seen: Sequence[Seen]) -> GroupState:
    """All workers of a group together, as far as they can be reached."""
    states = [each.state for each in seen if each.state is not None]
    ages_s = [state.oldest_lease_s for state in states if state.oldest_lease_s is not None]
    return GroupState(
        group=group,
        partitions=_partitions(seen),
        leases_out=sum(state.leased_records for state in states),
        oldest_lease_s=max(ages_s, default=None),
        waiting=sum(state.waiting for state in states),
        redeliveries=sum(state.redeliveries for state in states),
        is_joined=all(state.is_joined for state in states),
        is_fenced=any(state.is_fenced for state in states),
        trouble=next((state.trouble for state in states if state.trouble is not None), None),
        rejected=sum(state.rejected for state in states),
        discarded=sum(state.discarded for state in states),
        dead_letters=sum(state.dead_letters for state in states),
        renewed=sum(state.renewed for state in states),
        dead_waiting=sum(state.dead for state in states),
        streams=sum(state.streams for state in states),
        members=[_member(each) for each in seen],
    )


def _partitions(seen: Sequence[Seen]) -> list[PartitionState]:
    """What an owner says of its partition counts before what the map says of one that cannot be reached."""
    told: dict[Partition, PartitionState] = {}
    for each in seen:
        for partition in each.partitions:
            told.setdefault(partition, PartitionState(*partition, owner=each.address))
        for state in each.state.partitions if each.state is not None else ():
            told[state.partition] = PartitionState(
                *state.partition,
                committable=state.committable,
                end=state.end,
                lag=state.lag,
                owner=each.address,
                leases_out=state.leased_records,
                oldest_lease_s=state.oldest_lease_s,
                holes=state.holes,
                open_records=state.open_records,
                dead_waiting=state.dead,
            )
    return [told[partition] for partition in sorted(told)]


def _member(seen: Seen) -> MemberState:
    partitions = [f"{topic}:{number}" for topic, number in seen.partitions]
    state = seen.state
    if state is None:
        return MemberState(seen.address, seen.is_here, False, partitions)
    return MemberState(
        address=seen.address,
        is_here=seen.is_here,
        is_reachable=True,
        partitions=partitions,
        waiting=state.waiting,
        streams=state.streams,
        is_joined=state.is_joined,
        is_fenced=state.is_fenced,
        trouble=state.trouble,
    )


# ---- an operator's hand


@dataclass(frozen=True, slots=True)
class Desk:
    """What an operator does to one group."""

    session: GroupSession
    dead_letter: str | None
    graves: Graves

    @classmethod
    def of(cls, groups: Readers[GroupKey, GroupSession], name: str, graves: Graves) -> "Desk":
        """Raises NoGroup. While a reload replaces a session there are two: the newer one counts."""
        found = [(key, session) for key, session in groups.items() if key.group == name]
        if not found:
            names = ", ".join(sorted({key.group for key, _ in groups.items()})) or "none"
            raise NoGroup(f"No route reads for a group {name!r}; the groups are: {names}.")
        key, session = found[-1]
        return cls(session, key.settings.dead_letter, graves)

    async def seek(self, whence: Whence, *, topic: str | None, partition: int | None) -> Sequence[Moved]:
        return await self.session.control.seek(whence, topic=topic, partition=partition)

    async def skip(self, partition: Partition, offset: int) -> bool:
        return await self.session.control.skip(partition, offset)

    async def dead(self, *, most: int, with_values: bool) -> tuple[Sequence[LetterState], bool]:
        group, topic = self.session.owner.group, self._dead_topic()
        found = await self.graves.newest(group, topic, most=most, with_values=with_values)
        return [_letter(letter, is_replayed, with_values) for letter, is_replayed in found.letters], found.is_complete

    async def replay(self, ids: Sequence[str] | None) -> Replay:
        group, topic = self.session.owner.group, self._dead_topic()
        if ids is None:
            return await self.graves.replay_all(group, topic)
        return await self.graves.replay(group, topic, ids)

    def _dead_topic(self) -> str:
        if self.dead_letter is None:
            raise NoDeadLetters(
                f"The route of group {self.session.owner.group!r} has no `dead_letter` topic: what is rejected is kept "
                "nowhere."
            )
        return self.dead_letter


def _letter(letter: Letter, is_replayed: bool, with_value: bool) -> LetterState:
    encoding, value = shown_value(letter.value) if with_value else (None, None)
    return LetterState(
        id=letter.id,
        origin=f"{letter.origin.topic}:{letter.origin.partition}:{letter.origin_offset}",
        deliveries=letter.deliveries,
        reason=letter.reason,
        timestamp_ms=letter.dead_ms,
        key=shown_bytes(letter.key),
        is_replayed=is_replayed,
        omitted=letter.omitted,
        value=value,
        encoding=encoding,
    )


# ---- metrics


def group_samples(states: Iterable[handout.GroupState]) -> Iterator[Sample]:
    """Of this process alone: what it counted, and the partitions that it owns now."""
    for state in states:
        group = {"group": state.group}
        yield Sample("stepbridge_group_leases_out", group, state.leased_records)
        yield Sample("stepbridge_group_waiting", group, state.waiting)
        yield Sample("stepbridge_group_redeliveries_total", group, state.redeliveries)
        yield Sample("stepbridge_group_rejected_total", group, state.rejected)
        yield Sample("stepbridge_group_discarded_total", group, state.discarded)
        yield Sample("stepbridge_group_dead_waiting", group, state.dead)
        yield Sample("stepbridge_group_renewed_total", group, state.renewed)
        for reason in Reason:
            labels = {**group, "reason": str(reason)}
            yield Sample("stepbridge_group_dead_letters_total", labels, state.dead_letters_by.get(reason, 0))
        if state.is_joined and not state.is_fenced:  # else they may be another's by now
            for each in state.partitions:
                yield from _partition_samples(group, each)


def _partition_samples(group: dict[str, str], state: handout.PartitionState) -> Iterator[Sample]:
    topic, number = state.partition
    labels = {**group, "topic": topic, "partition": str(number)}
    if state.lag is not None:
        yield Sample("stepbridge_group_lag_records", labels, state.lag)
    yield Sample("stepbridge_group_partition_leases_out", labels, state.leased_records)
    yield Sample("stepbridge_group_partition_oldest_lease_seconds", labels, state.oldest_lease_s or 0.0)
    yield Sample("stepbridge_group_partition_holes", labels, state.holes)
    yield Sample("stepbridge_group_partition_open_records", labels, state.open_records)
