"""The assignor `stepbridge`: Kafka's group protocol carries the shares, and who can be reached where.

Each member tells in its JoinGroup metadata its peer address and what it has; the leader writes into every member's
assignment the address of every partition's owner. The name keeps ordinary clients, which would not, out of the group.

Both are one version byte and a JSON object. A reader ignores fields that it does not know, and a version that it does
not know altogether: such a member reads along, but keeps nothing and cannot be reached. An epoch goes up with each
assignment (the group's generation is not told to assignors).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

import orjson
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from proxy.kafka.sharing import Claim, share_out
from proxy.record import Partition
from proxy.seams.groups import GroupMap

_VERSION = b"\x01"
_PROTOCOL_VERSION = 0  # of Kafka's own envelope around our data

INSTANCE = token_hex(8)  # of this process

ByTopic = dict[str, list[int]]


@dataclass(frozen=True, slots=True)
class MemberData:
    """What a member says of itself."""

    address: str | None = None  # host:port at which its peers reach it
    epoch: int = 0
    owned: frozenset[Partition] = frozenset()
    instance: str = ""  # of the process: a member of another instance at the same address has no process any more

    def encode(self) -> bytes:
        said = {"address": self.address, "epoch": self.epoch, "owned": _by_topic(self.owned), "instance": self.instance}
        return _pack(said)

    @classmethod
    def decode(cls, data: bytes | None) -> "MemberData":
        """Of another member, whatever its version: what cannot be read is left out."""
        try:
            said = _unpack(data)
            address, instance = _address(said.get("address")), str(said.get("instance", ""))
            return cls(address, int(said.get("epoch", 0)), _partitions(said.get("owned", {})), instance)
        except (ValueError, TypeError, AttributeError):
            return cls()


def encode_map(drawn: GroupMap) -> bytes:
    """The user_data of every member's assignment."""
    shares: defaultdict[str | None, list[Partition]] = defaultdict(list)
    for partition, address in drawn.owners.items():
        shares[address].append(partition)
    owners = [[who, _by_topic(what)] for who, what in shares.items()]
    return _pack({"epoch": drawn.epoch, "owners": owners, "members": list(drawn.members)})


def decode_map(data: bytes | None) -> GroupMap:
    """An empty map for what cannot be read."""
    try:
        said = _unpack(data)
        shares = [(_address(who), _partitions(what)) for who, what in said.get("owners", [])]
        members = tuple(str(each) for each in said.get("members", ()))
        return GroupMap(int(said.get("epoch", 0)), {p: who for who, what in shares for p in what}, members)
    except (ValueError, TypeError, AttributeError):
        return GroupMap()


class Assignor:
    """One consumer's assignor. An object, where aiokafka's own are classes that keep their state for all consumers.

    `on_assigned` is called, within the rebalance, before anything of the new partitions is fetched.
    """

    name = "stepbridge"

    def __init__(
        self, address: str | None = None, on_assigned: Callable[[Iterable[Partition]], None] | None = None
    ) -> None:
        self.map = GroupMap()
        self._address = address
        self.on_assigned = on_assigned
        self._owned: frozenset[Partition] = frozenset()

    def __repr__(self) -> str:
        return f"<Assignor epoch {self.map.epoch}, {len(self._owned)} of {len(self.map.owners)} partitions>"

    @property
    def own(self) -> MemberData:
        """What this member says of itself."""
        return MemberData(self._address, self.map.epoch, self._owned, INSTANCE)

    # ---- what aiokafka calls

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        return ConsumerProtocolMemberMetadata(_PROTOCOL_VERSION, sorted(topics), self.own.encode())

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """Only the leader of the group is asked."""
        said = {member: MemberData.decode(metadata.user_data) for member, metadata in members.items()}
        claims = {
            member: Claim(frozenset(metadata.subscription), said[member].owned, said[member].epoch)
            for member, metadata in members.items()
        }
        topics = {topic for claim in claims.values() for topic in claim.topics}
        shares = share_out({topic: len(cluster.partitions_for_topic(topic) or ()) for topic in topics}, claims)
        owners = {partition: said[member].address for member, share in shares.items() for partition in share}
        addresses = tuple(sorted({data.address for data in said.values() if data.address is not None}))
        drawn = encode_map(GroupMap(1 + max((data.epoch for data in said.values()), default=0), owners, addresses))
        return {
            member: ConsumerProtocolMemberAssignment(_PROTOCOL_VERSION, sorted(_by_topic(share).items()), drawn)
            for member, share in shares.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        self.map = decode_map(assignment.user_data)
        self._owned = frozenset(Partition(*tp) for tp in assignment.partitions())
        if self.on_assigned is not None:
            self.on_assigned(self._owned)


def _by_topic(partitions: Iterable[Partition]) -> ByTopic:
    topics: ByTopic = {}
    for topic, number in sorted(partitions):
        topics.setdefault(topic, []).append(number)
    return topics


def _partitions(topics: Any) -> frozenset[Partition]:
    return frozenset(Partition(str(topic), int(number)) for topic, numbers in topics.items() for number in numbers)


def _address(said: Any) -> str | None:
    return said if isinstance(said, str) else None


def _pack(said: dict[str, Any]) -> bytes:
    return _VERSION + orjson.dumps(said)


def _unpack(data: bytes | None) -> dict[str, Any]:
    """Raises ValueError for what is not ours to read."""
    if not data or data[:1] != _VERSION:
        raise ValueError("no version that this bridge knows")
    said = orjson.loads(data[1:])
    if not isinstance(said, dict):
        raise TypeError("not an object")
    return said
