"""How a group's partitions are shared out among its members. Pure, and the same for the same input, in any order.

The rules:
1. Every partition of a topic that somebody reads belongs to exactly one of its readers.
2. What a member has, it keeps, unless rule 3 takes it away. If two say that they have the same partition, the later
   epoch is believed (a member that was away for a while may not know that it lost it).
3. No member has two partitions more than another one that could read one of them instead.
Rule 3 moves one partition at a time from a full member to an empty one, and each move makes the difference smaller,
so it ends. With equal subscriptions a join or a leave moves exactly what it must.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from proxy.record import Partition


@dataclass(frozen=True, slots=True)
class Claim:
    """What one member brings: the topics it reads, and what it has had since `epoch` (0: nothing)."""

    topics: frozenset[str]
    owned: frozenset[Partition] = frozenset()
    epoch: int = 0


def share_out(counts: Mapping[str, int], claims: Mapping[str, Claim]) -> dict[str, list[Partition]]:
    """For each member its partitions, sorted. `counts`: how many partitions each topic has."""
    shares = Shares(claims)
    partitions = {Partition(topic, number) for topic, count in counts.items() for number in range(count)}
    for partition, member in _believed(claims, partitions):
        shares.give(partition, member)
    for partition in sorted(partitions - shares.owner.keys()):
        if readers := shares.readers[partition.topic]:
            shares.give(partition, min(readers, key=lambda member: shares.burden(member, partition.topic)))
    shares.level()
    return {member: sorted(shares.of[member]) for member in claims}


def _believed(claims: Mapping[str, Claim], partitions: Iterable[Partition]) -> Iterable[tuple[Partition, str]]:
    """Rule 2: each partition that is claimed by one of its readers, with the one who is believed."""
    best: dict[Partition, tuple[int, str]] = {}
    for member in sorted(claims):
        claim = claims[member]
        for partition in claim.owned.intersection(partitions):
            if partition.topic in claim.topics and claim.epoch > best.get(partition, (-1, ""))[0]:
                best[partition] = (claim.epoch, member)
    return sorted((partition, member) for partition, (_, member) in best.items())


class Shares:
    """Who has what, while it is being shared out."""

    def __init__(self, claims: Mapping[str, Claim]) -> None:
        self.owner: dict[Partition, str] = {}
        self.of: dict[str, set[Partition]] = {member: set() for member in claims}
        self.readers: defaultdict[str, list[str]] = defaultdict(list)
        self._by_topic: Counter[tuple[str, str]] = Counter()
        for member in sorted(claims):
            for topic in claims[member].topics:
                self.readers[topic].append(member)

    def give(self, partition: Partition, member: str) -> None:
        before = self.owner.get(partition)
        if before is not None:
            self.of[before].discard(partition)
            self._by_topic[before, partition.topic] -= 1
        self.owner[partition] = member
        self.of[member].add(partition)
        self._by_topic[member, partition.topic] += 1

    def burden(self, member: str, topic: str) -> tuple[int, int, str]:
        """What makes one member a worse place for a partition of `topic` than another."""
        return len(self.of[member]), self._by_topic[member, topic], member

    def level(self) -> None:
        """Rule 3."""
        while (move := self._move()) is not None:
            self.give(*move)

    def _move(self) -> tuple[Partition, str] | None:
        """From the fullest member that has something for a member with two less; a topic it has most of first."""
        for full in sorted(self.of, key=lambda member: (-len(self.of[member]), member)):
            topics = sorted({p.topic for p in self.of[full]}, key=lambda topic: (-self._by_topic[full, topic], topic))
            for topic in topics:
                empty = min(self.readers[topic], key=lambda member: self.burden(member, topic))
                if len(self.of[empty]) + 1 < len(self.of[full]):
                    return max(p for p in self.of[full] if p.topic == topic), empty
        return None
