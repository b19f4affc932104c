"""The assignor on the wire: what members tell, what the leader writes, and what an unknown version makes of it."""

import orjson
import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from proxy.kafka.assignor import Assignor, MemberData, decode_map, encode_map
from proxy.record import Partition
from proxy.seams.groups import GroupMap

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
partitions = st.builds(Partition, names, st.integers(0, 2**31 - 1))
addresses = st.none() | names


class Cluster(ClusterMetadata):  # type: ignore[misc]
    """A cluster of topic `t` with 4 partitions."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        return set(range(4)) if topic == "t" else None


def _rebalance(members: dict[str, Assignor]) -> None:
    """As aiokafka does it: over bytes, each member for itself."""
    said = {
        name: ConsumerProtocolMemberMetadata.decode(each.metadata({"t"}).encode()) for name, each in members.items()
    }
    written = Assignor().assign(Cluster(), said)
    for name, each in members.items():
        each.on_assignment(ConsumerProtocolMemberAssignment.decode(written[name].encode()))


@given(st.builds(MemberData, addresses, st.integers(0, 2**53), st.frozensets(partitions), names))
def test_member_data_comes_back(data: MemberData) -> None:
    assert MemberData.decode(data.encode()) == data


@given(st.builds(GroupMap, st.integers(0, 2**53), st.dictionaries(partitions, addresses), st.lists(names).map(tuple)))
def test_the_map_comes_back(drawn: GroupMap) -> None:
    assert decode_map(encode_map(drawn)) == drawn


@given(st.none() | st.binary() | st.binary().map(lambda data: b"\x01" + data))
def test_no_bytes_of_another_member_break_the_leader(data: bytes | None) -> None:
    assert isinstance(MemberData.decode(data), MemberData)
    assert isinstance(decode_map(data), GroupMap)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


@given(
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(("address", "epoch", "owned", "owners", "members", "instance", "more"), json)
    )
)
def test_no_json_of_another_member_breaks_the_leader(said: dict[str, object]) -> None:
    data = b"\x01" + orjson.dumps(said)
    assert isinstance(MemberData.decode(data), MemberData)
    assert isinstance(decode_map(data), GroupMap)


def test_fields_of_a_later_bridge_are_ignored() -> None:
    said = {"address": "h:1", "epoch": 2, "owned": {"t": [0]}, "load": 0.3, "zone": {"rack": "r"}}
    assert MemberData.decode(b"\x01" + orjson.dumps(said)) == MemberData("h:1", 2, frozenset({Partition("t", 0)}))


def test_a_member_with_a_later_version_reads_along_and_keeps_nothing() -> None:
    later = ConsumerProtocolMemberMetadata(0, ["t"], b"\x02whatever")
    ours = Assignor("h:1").metadata({"t"})
    written = Assignor().assign(Cluster(), {"later": later, "ours": ours})
    assert [len(written[member].partitions()) for member in ("later", "ours")] == [2, 2]
    assert set(decode_map(written["ours"].user_data).owners.values()) == {"h:1", None}


def test_all_members_get_the_same_map_of_who_has_what() -> None:
    members = {"a": Assignor("host-a:1"), "b": Assignor("host-b:1")}
    _rebalance(members)
    assert members["a"].map == members["b"].map
    assert sorted(members["a"].map.owners) == [Partition("t", n) for n in range(4)]
    assert sorted(map(str, members["a"].map.owners.values())) == ["host-a:1"] * 2 + ["host-b:1"] * 2


def test_who_leaves_is_gone_from_the_map_and_the_others_keep_what_they_have() -> None:
    members = {name: Assignor(f"host-{name}:1") for name in "abc"}
    _rebalance(members)
    before = dict(members["a"].map.owners)
    del members["b"]
    _rebalance(members)
    after = members["a"].map.owners
    assert set(after.values()) == {"host-a:1", "host-c:1"}
    assert all(after[p] == address for p, address in before.items() if address != "host-b:1")


def test_a_member_that_was_away_does_not_take_back_what_it_lost() -> None:
    members = {"a": Assignor("host-a:1"), "b": Assignor("host-b:1")}
    _rebalance(members)
    away = members.pop("a")
    _rebalance(members)
    members["a2"] = Assignor("host-a2:1")
    _rebalance(members)
    before = dict(members["b"].map.owners)
    _rebalance({**members, "a": away})
    moved = {p for p, address in members["b"].map.owners.items() if before[p] != address}
    assert {members["b"].map.owners[p] for p in moved} == {"host-a:1"}
    assert len(moved) == 1


def test_the_epoch_goes_up_with_every_assignment_whoever_leads() -> None:
    members = {"a": Assignor(), "b": Assignor()}
    for epoch in (1, 2, 3):
        _rebalance(members)
        assert {each.map.epoch for each in members.values()} == {epoch}


def test_the_new_partitions_are_told_at_once() -> None:
    told: list[frozenset[Partition]] = []
    _rebalance({"a": Assignor(on_assigned=lambda new: told.append(frozenset(new)))})
    assert told == [frozenset(Partition("t", n) for n in range(4))]


def test_a_topic_that_does_not_exist_has_nothing_to_share() -> None:
    written = Assignor().assign(Cluster(), {"a": ConsumerProtocolMemberMetadata(0, ["t", "nowhere"], b"")})
    assert {tp.topic for tp in written["a"].partitions()} == {"t"}


@pytest.mark.parametrize("attribute", ["name", "metadata", "assign", "on_assignment"])
def test_the_assignor_has_what_aiokafka_asks_of_one(attribute: str) -> None:
    assert hasattr(Assignor(), attribute)
    assert Assignor.name == "stepbridge", "a change of name would break rolling upgrades"
