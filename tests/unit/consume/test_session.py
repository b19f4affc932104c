"""A session with scripted members: polls, rebalances, Kafka away, what a restart finds."""

import asyncio
from collections.abc import Sequence

import pytest

from proxy.consume.partition.books import Budget
from proxy.errors import Draining, KafkaAway
from proxy.record import Partition
from proxy.seams.groups import Committed, Handout
from tests.unit.consume.fakes import ScriptedBroker, session_on
from tests.unit.consume.records import ORDERS

VIRTUAL_TIME = True
OTHER = Partition("orders", 1)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def values(handout: Handout | None) -> Sequence[str]:
    assert handout is not None
    return [(delivery.record.value or b"").decode() for delivery in handout.records]


def deliveries(handout: Handout | None) -> Sequence[int]:
    assert handout is not None
    return [delivery.deliveries for delivery in handout.records]


async def test_a_poll_gets_what_is_there() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b", "c")
    async with session_on(broker) as session:
        assert values(await session.poll(max_records=2, wait_s=20)) == ["a", "b"]
        assert values(await session.poll(max_records=2, wait_s=20)) == ["c"]


async def test_a_poll_waits_for_the_first_record() -> None:
    broker = ScriptedBroker()
    async with session_on(broker) as session:
        asyncio.get_running_loop().call_later(7, broker.append, "late")
        started_s = now_s()
        assert values(await session.poll(max_records=10, wait_s=20)) == ["late"]
        assert now_s() - started_s == pytest.approx(7)


async def test_a_poll_ends_with_nothing_after_its_wait() -> None:
    async with session_on(ScriptedBroker()) as session:
        started_s = now_s()
        assert await session.poll(max_records=10, wait_s=20) is None
        assert now_s() - started_s == pytest.approx(20)
        assert session.state().waiting == 0


async def test_polls_leave_no_timers_behind() -> None:
    broker = ScriptedBroker()
    broker.append(*"abcdefgh")
    async with session_on(broker) as session:
        for _ in range(8):
            await session.poll(max_records=1, wait_s=3_600)
        timers = [timer for timer in asyncio.get_running_loop()._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
        assert len(timers) < 8


async def test_who_came_first_is_served_first() -> None:
    broker = ScriptedBroker()
    async with session_on(broker) as session:
        polls = [asyncio.create_task(session.poll(max_records=1, wait_s=20)) for _ in range(3)]
        await asyncio.sleep(1)
        assert session.state().waiting == 3
        broker.append("1", "2", "3")
        assert [values(await poll) for poll in polls] == [["1"], ["2"], ["3"]]


async def test_joining_happens_inside_the_wait() -> None:
    broker = ScriptedBroker()
    broker.append("a")
    async with session_on(broker) as session:
        await asyncio.sleep(0)
        member = broker.members[0]
        await member.revoke()
        poll = asyncio.create_task(session.poll(max_records=1, wait_s=20))
        await asyncio.sleep(3)
        assert not session.state().is_joined
        await member.assign(ORDERS)
        assert values(await poll) == ["a"]


async def test_a_cancelled_poll_leases_nothing() -> None:
    broker = ScriptedBroker()
    async with session_on(broker) as session:
        poll = asyncio.create_task(session.poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        poll.cancel()
        await asyncio.wait([poll])
        broker.append("a")
        await asyncio.sleep(1)
        assert session.state().leased_records == 0
        assert deliveries(await session.poll(max_records=1, wait_s=20)) == [1]


async def test_a_poll_cancelled_at_the_moment_it_is_given_something_gives_it_back() -> None:
    broker = ScriptedBroker()
    async with session_on(broker) as session:
        await asyncio.sleep(1)
        poll = asyncio.create_task(session.poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        broker.append("a")
        while not session.state().leased_records:
            await asyncio.sleep(0)
        poll.cancel()
        await asyncio.wait([poll])
        assert poll.cancelled()
        assert values(await session.poll(max_records=1, wait_s=0.1)) == ["a"]


async def test_a_lease_that_ends_goes_to_who_waits_then() -> None:
    broker = ScriptedBroker()
    broker.append("a")
    async with session_on(broker, lease_s=30.0) as session:
        await session.poll(max_records=1, wait_s=20)
        started_s = now_s()
        again = await session.poll(max_records=1, wait_s=60)
        assert values(again) == ["a"]
        assert deliveries(again) == [2]
        assert now_s() - started_s == pytest.approx(30)
        assert session.state().redeliveries == 1


async def test_partitions_take_turns() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a1", "a2", "a3", partition=ORDERS)
    broker.append("b1", "b2", "b3", partition=OTHER)
    async with session_on(broker) as session:
        got = [values(await session.poll(max_records=2, wait_s=20)) for _ in range(3)]
        assert got == [["a1", "a2"], ["b1", "b2"], ["a3", "b3"]]


async def test_a_full_window_stops_the_fetching_until_half_of_it_is_free() -> None:
    broker = ScriptedBroker()
    broker.append(*(str(i) for i in range(2_500)))
    async with session_on(broker, budget=Budget(records=1_000), fetch_records=100) as session:
        await asyncio.sleep(10)
        assert broker.members[0].paused == {ORDERS}
        assert session.state().partitions[0].open_records == 1_000
        seen: list[str] = []
        for _ in range(25):
            handout = await session.poll(max_records=100, wait_s=20)
            assert handout is not None
            seen += values(handout)
            await session.acknowledge(handout.lease, accept="all", release=None)
        assert seen == [str(i) for i in range(2_500)]


async def test_pauses_are_made_again_after_a_rebalance() -> None:
    broker = ScriptedBroker()
    broker.append(*(str(i) for i in range(1_500)))
    async with session_on(broker, budget=Budget(records=1_000), fetch_records=100) as session:
        await asyncio.sleep(10)
        handout = await session.poll(max_records=1, wait_s=20)
        assert handout is not None
        await session.acknowledge(handout.lease, accept="all", release=None)
        member = broker.members[0]
        await member.rebalance(ORDERS)
        await asyncio.sleep(10)
        assert member.paused == {ORDERS}
        assert session.state().partitions[0].open_records <= 1_100


# ---- what a new owner finds


async def test_a_restart_goes_on_where_the_group_was() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b", "c")
    async with session_on(broker) as session:
        handout = await session.poll(max_records=2, wait_s=20)
        assert handout is not None
        await session.acknowledge(handout.lease, accept="all", release=None)
    async with session_on(broker) as session:
        assert values(await session.poll(max_records=9, wait_s=20)) == ["c"]


async def test_a_crash_forgets_nothing_that_was_accepted() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b", "c", "d")
    async with session_on(broker, crashes=True) as session:
        handout = await session.poll(max_records=4, wait_s=20)
        assert handout is not None
        await session.acknowledge(handout.lease, accept=["orders:0:1", "orders:0:2"], release=None)
    async with session_on(broker) as session:
        assert values(await session.poll(max_records=9, wait_s=60)) == ["a", "d"]


async def test_what_was_out_at_a_clean_end_waits_for_its_leases() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b")
    async with session_on(broker, lease_s=30.0) as session:
        await session.poll(max_records=1, wait_s=20)
    ended_s = now_s()
    async with session_on(broker, lease_s=30.0) as session:
        new = await session.poll(max_records=9, wait_s=20)
        assert new is not None
        assert values(new) == ["b"]
        await session.acknowledge(new.lease, accept="all", release=None)
        again = await session.poll(max_records=9, wait_s=60)
        assert (values(again), deliveries(again)) == (["a"], [2])
        assert now_s() - ended_s == pytest.approx(30, abs=1)


async def test_an_offset_reset_while_the_bridge_was_down_holds() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b", "c", "d")
    async with session_on(broker) as session:
        handout = await session.poll(max_records=4, wait_s=20)
        assert handout is not None
        await session.acknowledge(handout.lease, accept=["orders:0:2"], release=None)
        await session.acknowledge(handout.lease, accept=["orders:0:0"], release=None)
    broker.commits[ORDERS] = Committed(0, broker.commits[ORDERS].metadata)  # kafka-consumer-groups --reset-offsets
    async with session_on(broker) as session:
        assert values(await session.poll(max_records=9, wait_s=20)) == ["a", "b", "c", "d"]


async def test_a_partition_that_comes_back_keeps_its_leases() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a", "b")
    async with session_on(broker, lease_s=30.0) as session:
        handout = await session.poll(max_records=1, wait_s=20)
        assert handout is not None
        await broker.members[0].rebalance(ORDERS)
        assert session.state().leased_records == 1
        assert session.state().oldest_lease_s is not None  # our own lease, not one of a former owner
        assert values(await session.poll(max_records=9, wait_s=20)) == ["b"]
        assert (await session.acknowledge(handout.lease, accept="all", release=None)).accepted == 1


async def test_a_partition_that_another_committed_for_starts_from_that_commit() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b", "c")
    async with session_on(broker) as session:
        await session.poll(max_records=1, wait_s=20)
        member = broker.members[0]
        await member.revoke()
        broker.commits[ORDERS] = Committed(2, "")
        await member.assign(ORDERS)
        assert values(await session.poll(max_records=9, wait_s=20)) == ["c"]


async def test_a_topic_made_again_is_read_from_its_start() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b", "c")
    async with session_on(broker) as session:
        handout = await session.poll(max_records=9, wait_s=20)
        assert handout is not None
        await session.acknowledge(handout.lease, accept="all", release=None)
        broker.logs[ORDERS].clear()
        broker.members[0].positions[ORDERS] = 0
        broker.append("new")
        assert values(await session.poll(max_records=9, wait_s=20)) == ["new"]


# ---- trouble


async def test_without_kafka_a_poll_is_refused_until_it_is_there() -> None:
    broker = ScriptedBroker()
    broker.append("a")
    broker.open_errors = [KafkaAway("no broker") for _ in range(3)]
    async with session_on(broker) as session:
        with pytest.raises(KafkaAway, match="no broker"):
            await session.poll(max_records=1, wait_s=20)
        assert session.state().trouble == "no broker"
        await asyncio.sleep(10)
        assert values(await session.poll(max_records=1, wait_s=20)) == ["a"]
        assert session.state().trouble is None
        assert all(member.closed.is_set() for member in broker.members[:3])


async def test_a_fenced_member_hands_out_nothing() -> None:
    broker = ScriptedBroker()
    broker.append("a")
    async with session_on(broker) as session:
        await asyncio.sleep(1)
        broker.members[0].fenced = True
        assert await session.poll(max_records=1, wait_s=20) is None
        assert session.state().is_fenced
        broker.members[0].fenced = False
        assert values(await session.poll(max_records=1, wait_s=20)) == ["a"]


async def test_a_fenced_member_does_not_keep_its_ledgers() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b")
    broker.commits[ORDERS] = Committed(0, "")
    async with session_on(broker) as session:
        await session.poll(max_records=1, wait_s=20)
        member = broker.members[0]
        member.fenced = True
        broker.commit_errors = [KafkaAway("frozen")]
        await member.revoke()
        member.fenced = False
        await member.assign(ORDERS)
        assert values(await session.poll(max_records=9, wait_s=20)) == ["a", "b"]


async def test_closing_ends_the_polls_and_refuses_new_ones() -> None:
    broker = ScriptedBroker()
    async with session_on(broker) as session:
        poll = asyncio.create_task(session.poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        await session.close()
        assert await poll is None
        with pytest.raises(Draining):
            await session.poll(max_records=1, wait_s=20)
        assert broker.members[0].closed.is_set()


async def test_closing_is_bounded_when_kafka_does_not_answer() -> None:
    broker = ScriptedBroker()
    broker.append("a")
    async with session_on(broker, close_timeout_s=5.0) as session:
        await session.poll(max_records=1, wait_s=20)
        broker.commit_gate = asyncio.Event()
        started_s = now_s()
        await session.close()
        assert now_s() - started_s == pytest.approx(5)


async def test_closing_before_kafka_was_ever_there() -> None:
    broker = ScriptedBroker()
    broker.open_errors = [KafkaAway("no broker") for _ in range(99)]
    async with session_on(broker) as session:
        await asyncio.sleep(60)
        await session.close()
    assert broker.commits_made == 0


# ---- ack: auto


async def test_auto_accepts_what_was_delivered_and_gives_back_what_was_not() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b")
    async with session_on(broker, ack="auto") as session:
        first = await session.poll(max_records=1, wait_s=20)
        second = await session.poll(max_records=1, wait_s=20)
        assert first is not None
        assert second is not None
        assert first.lease == ""
        session.accept(first)
        session.release(second)
        again = await session.poll(max_records=9, wait_s=20)
        assert (values(again), deliveries(again)) == (["b"], [2])
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 1


async def test_auto_is_held_while_partitions_are_being_moved() -> None:
    broker = ScriptedBroker()
    broker.append("a", "b")
    async with session_on(broker, ack="auto") as session:
        first = await session.poll(max_records=1, wait_s=20)
        assert first is not None
        member = broker.members[0]
        await member.revoke()
        session.accept(first)
        await member.assign(ORDERS)
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 1
