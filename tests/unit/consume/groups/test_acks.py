"""Acks through a session: what is answered, when, and what a client is told of the rest."""

import asyncio
from collections.abc import Awaitable

import pytest

from proxy.consume.claim import Claim
from proxy.consume.partition.ledger import MAX_HOLES
from proxy.errors import (
    BadToken,
    Draining,
    FieldInvalid,
    ForeignToken,
    KafkaAway,
    LeaseExpired,
    LeaseMoved,
    NotNow,
    OutcomeUnknown,
)
from proxy.record import Partition
from proxy.seams.groups import AckOutcome, Committed, GroupReader, Handout
from tests.unit.consume.fakes import SIGNER, ScriptedBroker, session_on
from tests.unit.consume.records import ORDERS

VIRTUAL_TIME = True
OTHER = Partition("orders", 1)


async def poll(session: GroupReader, max_records: int = 100) -> Handout:
    handout = await session.poll(max_records=max_records, wait_s=60)
    assert handout is not None
    return handout


def accept_all(session: GroupReader, handout: Handout) -> Awaitable[AckOutcome]:
    return session.acknowledge(handout.lease, accept="all", release=None)


def broker_with(*values: str) -> ScriptedBroker:
    broker = ScriptedBroker()
    broker.append(*values)
    return broker


async def test_an_ack_is_answered_after_the_commit_that_contains_it() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session)
        broker.commit_gate = asyncio.Event()
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(5)
        assert not ack.done()
        broker.commit_gate.set()
        assert await ack == AckOutcome(accepted=2, released=0)
        assert broker.commits[ORDERS].offset == 2


async def test_acks_that_come_during_a_commit_share_the_next_one() -> None:
    broker = broker_with("a", "b", "c", "d")
    async with session_on(broker) as session:
        handouts = [await poll(session, 1) for _ in range(4)]
        await asyncio.sleep(1)
        before = broker.commits_made
        broker.commit_gate = asyncio.Event()
        acks = [asyncio.ensure_future(accept_all(session, handouts[0]))]
        await asyncio.sleep(1)  # its commit is in flight
        acks += [asyncio.ensure_future(accept_all(session, handout)) for handout in handouts[1:]]
        await asyncio.sleep(1)
        broker.commit_gate.set()
        await asyncio.gather(*acks)
        assert broker.commits_made - before == 2


async def test_a_repeated_ack_gets_the_same_answer() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session)
        assert await accept_all(session, handout) == await accept_all(session, handout)
        await asyncio.sleep(100)  # even long after
        assert await accept_all(session, handout) == AckOutcome(2, 0)


async def test_what_was_accepted_cannot_be_released_and_the_answer_says_so() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session)
        assert await session.acknowledge(handout.lease, accept=["orders:0:0"], release=None) == AckOutcome(1, 0)
        assert await session.acknowledge(handout.lease, accept=None, release="all") == AckOutcome(0, 1)
        assert await session.acknowledge(handout.lease, accept=None, release="all") == AckOutcome(0, 1)


async def test_a_repeat_waits_for_the_commit_of_the_first() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        broker.commit_gate = asyncio.Event()
        acks = [asyncio.ensure_future(accept_all(session, handout)) for _ in range(2)]
        await asyncio.sleep(1)
        assert not any(ack.done() for ack in acks)
        broker.commit_gate.set()
        assert await asyncio.gather(*acks) == [AckOutcome(1, 0)] * 2


async def test_records_are_accepted_and_released_in_one_ack() -> None:
    broker = broker_with("a", "b", "c")
    async with session_on(broker) as session:
        handout = await poll(session)
        done = await session.acknowledge(handout.lease, accept=["orders:0:0"], release=["orders:0:2"])
        assert done == AckOutcome(1, 1)
        again = await poll(session)
        assert [delivery.record.offset for delivery in again.records] == [2]
        assert broker.commits[ORDERS].offset == 1


async def test_a_release_waits_for_no_commit() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        broker.commit_gate = asyncio.Event()
        assert await session.acknowledge(handout.lease, accept=None, release="all") == AckOutcome(0, 1)
        broker.commit_gate.set()


async def test_a_release_with_a_delay_is_handed_out_after_it() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        await session.acknowledge(handout.lease, accept=None, release="all", delay_ms=12_000)
        started_s = asyncio.get_running_loop().time()
        assert (await poll(session)).records[0].deliveries == 2
        assert asyncio.get_running_loop().time() - started_s == pytest.approx(12)


async def test_an_ack_after_the_lease_s_end_is_told_what_was_done() -> None:
    broker = broker_with("a", "b", "c")
    async with session_on(broker, lease_s=30.0) as session:
        handout = await poll(session)
        await session.acknowledge(handout.lease, accept=["orders:0:1"], release=None)
        await asyncio.sleep(31)
        with pytest.raises(LeaseExpired) as refused:
            await accept_all(session, handout)
        assert refused.value.extra == {"accepted": ["orders:0:1"], "refused": ["orders:0:0", "orders:0:2"]}


async def test_an_id_that_is_not_in_the_lease_stops_the_whole_ack() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session, 1)
        with pytest.raises(FieldInvalid):
            await session.acknowledge(handout.lease, accept=["orders:0:0", "orders:0:1"], release=None)
        assert session.state().leased_records == 1


async def test_tokens_that_are_not_of_this_group_are_refused() -> None:
    async with session_on(broker_with("a")) as session:
        foreign = Claim("billing", 1, 1, 1, {ORDERS: [(0, 1)]}).seal(SIGNER)
        with pytest.raises(ForeignToken):
            await session.acknowledge(foreign, accept="all", release=None)
        with pytest.raises(BadToken):
            await session.acknowledge("nonsense", accept="all", release=None)


# ---- rebalances


async def test_an_ack_during_a_rebalance_is_held_and_then_taken() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        member = broker.members[0]
        await member.revoke()
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(3)
        assert not ack.done()
        await member.assign(ORDERS)
        assert await ack == AckOutcome(1, 0)
        assert broker.commits[ORDERS].offset == 1


async def test_an_ack_in_flight_is_part_of_the_last_commit() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        first, second = await poll(session, 1), await poll(session, 1)
        broker.commit_gate = asyncio.Event()
        acks = [asyncio.ensure_future(accept_all(session, first))]
        await asyncio.sleep(1)  # its commit is in flight
        acks.append(asyncio.ensure_future(accept_all(session, second)))
        await asyncio.sleep(1)  # this one waits for the next
        revoked = asyncio.ensure_future(broker.members[0].revoke())
        await asyncio.sleep(1)
        assert not revoked.done()
        broker.commit_gate.set()
        await revoked
        assert await asyncio.gather(*acks) == [AckOutcome(1, 0)] * 2
        assert broker.commits[ORDERS].offset == 2


async def test_an_ack_for_a_partition_that_went_elsewhere_is_moved() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a", partition=ORDERS)
    broker.append("b", partition=OTHER)
    async with session_on(broker) as session:
        handout = await poll(session)
        await broker.members[0].rebalance(OTHER)
        with pytest.raises(LeaseMoved) as refused:
            await accept_all(session, handout)
        assert refused.value.extra == {"accepted": ["orders:1:0"], "refused": ["orders:0:0"]}
        assert broker.commits[OTHER].offset == 1


async def test_what_is_accepted_and_what_is_released_are_both_moved() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session)
        await broker.members[0].rebalance(OTHER)
        with pytest.raises(LeaseMoved) as refused:
            await session.acknowledge(handout.lease, accept=["orders:0:1"], release=["orders:0:0"])
        assert refused.value.extra == {"accepted": [], "refused": ["orders:0:0", "orders:0:1"]}


async def test_a_new_owner_takes_the_ack_of_a_lease_it_never_gave() -> None:
    broker = broker_with("a", "b", "c")
    async with session_on(broker) as session:
        handout = await poll(session, 2)
    async with session_on(broker) as session:
        assert await accept_all(session, handout) == AckOutcome(2, 0)
        assert [delivery.record.offset for delivery in (await poll(session)).records] == [2]


@pytest.mark.parametrize("comes_rebalance", [True, False])
async def test_a_refused_commit_fails_its_acks_and_the_records_come_again(comes_rebalance: bool) -> None:
    """Whoever is told 409 may have undone his work."""
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        await asyncio.sleep(1)
        broker.commit_errors = [LeaseMoved("the group has been rebalanced")]
        with pytest.raises(LeaseMoved):
            await accept_all(session, handout)
        if comes_rebalance:
            await broker.members[0].rebalance(ORDERS)
        assert [delivery.record.offset for delivery in (await poll(session)).records] == [0]
        assert broker.commits[ORDERS].offset == 0


async def test_a_group_whose_first_commit_was_refused_starts_where_it_began() -> None:
    """Kafka has no commit to go back to, and the member would read on."""
    broker = broker_with("a", "b")
    broker.commit_errors = [
        LeaseMoved("the group has been rebalanced") for _ in range(2)
    ]  # a first one without acks, too
    async with session_on(broker) as session:
        handout = await poll(session, 1)
        with pytest.raises(LeaseMoved):
            await accept_all(session, handout)
        assert not broker.commits
        assert [delivery.record.offset for delivery in (await poll(session)).records] == [0, 1]


async def test_a_commit_without_an_answer_is_unknown_when_the_partition_went() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        await asyncio.sleep(1)
        broker.commit_errors = [KafkaAway("frozen") for _ in range(2)]
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(0.1)
        await broker.members[0].rebalance(OTHER)
        with pytest.raises(OutcomeUnknown):
            await ack


async def test_a_commit_without_an_answer_that_was_made_is_found_at_the_next_assignment() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        await asyncio.sleep(1)
        broker.commit_errors = [KafkaAway("frozen") for _ in range(2)]
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(0.1)
        await broker.members[0].revoke()
        broker.commits[ORDERS] = Committed(1, "")
        await broker.members[0].assign(ORDERS)
        assert await ack == AckOutcome(1, 0)


async def test_an_ack_whose_partition_went_before_its_commit_is_moved() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        await asyncio.sleep(1)
        broker.members[0].fenced = True  # so that no last commit is made
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(0)
        await broker.members[0].rebalance(OTHER)
        with pytest.raises(LeaseMoved):
            await ack


# ---- trouble


async def test_a_commit_that_kafka_does_not_take_is_made_anew_until_it_does() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        await asyncio.sleep(1)
        broker.commit_errors = [KafkaAway("frozen") for _ in range(3)]
        assert await accept_all(session, handout) == AckOutcome(1, 0)
        assert broker.commits[ORDERS].offset == 1


async def test_an_ack_without_a_commit_in_time_is_unknown() -> None:
    broker = broker_with("a")
    async with session_on(broker, ack_timeout_s=10.0) as session:
        handout = await poll(session)
        broker.commit_gate = asyncio.Event()
        with pytest.raises(OutcomeUnknown):
            await accept_all(session, handout)
        broker.commit_gate.set()
        assert await accept_all(session, handout) == AckOutcome(1, 0)


async def test_an_ack_without_partitions_in_time_did_nothing() -> None:
    broker = broker_with("a")
    async with session_on(broker, ack_timeout_s=10.0) as session:
        handout = await poll(session)
        await broker.members[0].revoke()
        with pytest.raises(NotNow, match="nothing was done"):
            await accept_all(session, handout)
        await broker.members[0].assign(ORDERS)
        assert session.state().leased_records == 1


async def test_a_client_that_leaves_before_its_answer_is_committed_all_the_same() -> None:
    broker = broker_with("a")
    async with session_on(broker) as session:
        handout = await poll(session)
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(0)
        ack.cancel()
        await asyncio.wait([ack])
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 1


async def test_closing_commits_the_acks_that_wait() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session)
        ack = asyncio.ensure_future(accept_all(session, handout))
        await asyncio.sleep(0)
        await session.close()
        assert await ack == AckOutcome(2, 0)
        with pytest.raises(Draining):
            await accept_all(session, handout)


async def test_an_ack_that_finds_no_room_in_the_commit_is_unknown_and_its_record_does_not_come_again() -> None:
    """Thousands of scattered holes: only an ack for the low ones makes room."""
    broker = ScriptedBroker()
    holes = [(start, start + 1) for start in range(70_000, 150_000_000, 70_000)]
    async with session_on(broker, ack_timeout_s=10.0) as session:
        await asyncio.sleep(1)
        broker.append("first")
        await poll(session)
        token = Claim("pricing", 5, 1 << 60, len(holes), {ORDERS: holes}).seal(SIGNER)
        with pytest.raises(OutcomeUnknown):
            await session.acknowledge(token, accept="all", release=None)
        assert session.state().partitions[0].holes > MAX_HOLES
        assert session.state().trouble is None
