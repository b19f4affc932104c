"""How a group's partitions are shared out: each once, level, with as few moves as can be."""

from collections.abc import Mapping
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.kafka.sharing import Claim, share_out
from proxy.record import Partition

TOPICS = ("orders", "prices", "sales")

counts = st.fixed_dictionaries({topic: st.integers(0, 9) for topic in TOPICS})
subscriptions = st.dictionaries(
    st.sampled_from([f"m{n}" for n in range(6)]), st.frozensets(st.sampled_from(TOPICS), min_size=1), min_size=1
)
partitions = st.frozensets(st.builds(Partition, st.sampled_from((*TOPICS, "elsewhere")), st.integers(-1, 12)))
claims = st.dictionaries(
    st.sampled_from([f"m{n}" for n in range(6)]),
    st.builds(Claim, st.frozensets(st.sampled_from(TOPICS)), partitions, st.integers(0, 3)),
    min_size=1,
)

Shares = Mapping[str, list[Partition]]


def _keep(shares: Shares, topics: Mapping[str, frozenset[str]], epoch: int = 1) -> dict[str, Claim]:
    """What the members bring to the next round."""
    return {m: Claim(topics[m], frozenset(shares.get(m, ())), epoch if m in shares else 0) for m in topics}


def _moved(before: Shares, after: Shares) -> set[Partition]:
    owner = {p: member for member, share in before.items() for p in share}
    return {p for member, share in after.items() for p in share if owner.get(p, member) != member}


def _orphaned(before: Shares, after: Shares) -> set[Partition]:
    return {p for member, share in before.items() if member not in after for p in share}


@given(counts, claims)
def test_every_partition_that_somebody_reads_belongs_to_one_of_its_readers(
    counts: dict[str, int], claims: dict[str, Claim]
) -> None:
    shares = share_out(counts, claims)
    read = {topic for claim in claims.values() for topic in claim.topics}
    expected = sorted(Partition(topic, n) for topic in read for n in range(counts[topic]))
    assert sorted(p for share in shares.values() for p in share) == expected
    assert all(p.topic in claims[member].topics for member, share in shares.items() for p in share)
    assert shares.keys() == claims.keys()


@given(counts, claims)
def test_nobody_has_two_more_than_another_who_could_read_one_of_them(
    counts: dict[str, int], claims: dict[str, Claim]
) -> None:
    shares = share_out(counts, claims)
    for full, share in shares.items():
        for other, claim in claims.items():
            if any(p.topic in claim.topics for p in share):
                assert len(share) <= len(shares[other]) + 1, (full, other, shares)


@given(counts, claims, st.randoms())
def test_the_order_in_which_members_are_listed_changes_nothing(
    counts: dict[str, int], claims: dict[str, Claim], random: Random
) -> None:
    listed = list(claims.items())
    random.shuffle(listed)
    assert share_out(dict(reversed(counts.items())), dict(listed)) == share_out(counts, claims)


@given(counts, subscriptions)
def test_what_is_level_stays_as_it_is(counts: dict[str, int], topics: dict[str, frozenset[str]]) -> None:
    shares = share_out(counts, _keep({}, topics))
    assert share_out(counts, _keep(shares, topics)) == shares


@given(counts, st.integers(1, 7))
def test_a_join_moves_only_what_the_newcomer_must_have(counts: dict[str, int], members: int) -> None:
    topics = {f"m{n}": frozenset(TOPICS) for n in range(members)}
    before = share_out(counts, _keep({}, topics))
    topics["m00"] = frozenset(TOPICS)
    after = share_out(counts, _keep(before, topics))
    assert _moved(before, after) == set(after["m00"])
    assert len(after["m00"]) == sum(counts.values()) // (members + 1)


@given(counts, st.integers(2, 7), st.integers(0, 6))
def test_a_leave_moves_only_what_the_leaver_had(counts: dict[str, int], members: int, leaver: int) -> None:
    topics = {f"m{n}": frozenset(TOPICS) for n in range(members)}
    before = share_out(counts, _keep({}, topics))
    del topics[f"m{leaver % members}"]
    after = share_out(counts, _keep(before, topics))
    assert _moved(before, after) == _orphaned(before, after)


def test_of_two_who_claim_one_partition_the_later_epoch_is_believed() -> None:
    zombie = Claim(frozenset({"t"}), frozenset({Partition("t", 0), Partition("t", 1)}), epoch=3)
    owner = Claim(frozenset({"t"}), frozenset({Partition("t", 0), Partition("t", 3)}), epoch=4)
    shares = share_out({"t": 4}, {"a": zombie, "b": owner})
    assert shares["b"] == [Partition("t", 0), Partition("t", 3)]


def test_a_topic_s_partitions_are_spread_and_not_given_to_one_member_in_a_row() -> None:
    shares = share_out({"a": 4, "b": 4}, {"m0": Claim(frozenset("ab")), "m1": Claim(frozenset("ab"))})
    assert ["".join(p.topic for p in share) for share in shares.values()] == ["aabb", "aabb"]
