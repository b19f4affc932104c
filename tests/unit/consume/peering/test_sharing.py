"""Any worker serves any client: records come to where clients wait, and acks go to where the partitions are."""

import asyncio
from collections.abc import Sequence

import pytest

from proxy.errors import LeaseExpired, LeaseMoved, NotNow, OutcomeUnknown
from proxy.record import Partition
from proxy.seams.groups import Handout
from tests.unit.consume.crew import Crew, crew
from tests.unit.consume.fakes import ScriptedBroker
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


async def accept(crew: Crew, name: str, handout: Handout | None) -> int:
    assert handout is not None
    return (await crew[name].acknowledge(handout.lease, accept="all", release=None)).accepted


async def test_a_record_owned_elsewhere_reaches_a_waiting_poll_at_once() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        poll = asyncio.create_task(workers["a"].poll(max_records=10, wait_s=20))
        await asyncio.sleep(5)
        started_s = now_s()
        broker.append("x")
        assert values(await poll) == ["x"]
        assert now_s() - started_s < 0.1


async def test_what_is_there_already_comes_from_elsewhere_too() -> None:
    broker = ScriptedBroker()
    broker.append("x", "y")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        assert values(await workers["a"].poll(max_records=1, wait_s=20)) == ["x"]
        assert values(await workers["a"].poll(max_records=1, wait_s=20)) == ["y"]


async def test_an_ack_at_any_worker_is_committed_by_the_owner() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b", "c") as workers:
        await workers.assign({"a": [], "b": [ORDERS], "c": []})
        got = await workers["a"].poll(max_records=10, wait_s=20)
        assert await accept(workers, "c", got) == 1
        assert broker.commits[ORDERS].offset == 1
        assert await accept(workers, "b", got) == 1  # again, elsewhere: harmless


async def test_an_ack_that_names_nothing_is_answered() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=10, wait_s=20)
        assert got is not None
        assert (await workers["a"].acknowledge(got.lease, accept=[], release=None)).accepted == 0


async def test_one_hand_out_of_many_owners_is_acknowledged_at_all_of_them() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("x", partition=ORDERS)
    broker.append("y", partition=OTHER)
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [ORDERS, OTHER], "b": []})
        got = await workers["a"].poll(max_records=10, wait_s=20)
        assert sorted(values(got)) == ["x", "y"]
        await workers.draw({"a": [ORDERS], "b": [OTHER]})
        assert await accept(workers, "a", got) == 2
        assert {p: commit.offset for p, commit in broker.commits.items()} == {ORDERS: 1, OTHER: 1}


async def test_an_ack_that_one_of_its_owners_refuses_tells_what_the_others_took() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("x", partition=ORDERS)
    broker.append("y", partition=OTHER)
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [ORDERS, OTHER], "b": []})
        got = await workers["a"].poll(max_records=10, wait_s=20)
        assert got is not None
        await workers.draw({"a": [ORDERS], "b": [OTHER]})
        await workers["a"].acknowledge(got.lease, accept=None, release=["orders:1:0"])
        assert values(await workers["b"].poll(max_records=10, wait_s=20)) == ["y"]  # another's now
        with pytest.raises(LeaseExpired) as refused:
            await accept(workers, "b", got)
        assert refused.value.extra == {"accepted": ["orders:0:0"], "refused": ["orders:1:0"]}
        assert broker.commits[ORDERS].offset == 1


async def test_an_ack_that_one_of_its_owners_took_and_another_cannot_yet_is_of_unknown_outcome() -> None:
    """That nothing was done would not be true."""
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("x", partition=ORDERS)
    broker.append("y", partition=OTHER)
    async with crew(broker, "a", "b", "c") as workers:
        await workers.assign({"a": [ORDERS, OTHER], "b": [], "c": []})
        got = await workers["a"].poll(max_records=10, wait_s=20)
        await workers.draw({"a": [ORDERS], "b": [OTHER], "c": []})
        workers.wires.cut("a", "b")
        with pytest.raises(OutcomeUnknown):
            await accept(workers, "a", got)
        assert broker.commits[ORDERS].offset == 1
        workers.wires.mend("a", "b")
        assert await accept(workers, "a", got) == 2


async def test_all_clients_at_one_worker_see_the_partitions_of_all() -> None:
    """Else what the others own would wait as long as there is something of our own."""
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append(*(f"a{n}" for n in range(300)), partition=ORDERS)
    broker.append(*(f"b{n}" for n in range(300)), partition=OTHER)
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [ORDERS], "b": [OTHER]})
        seen = ""
        for _ in range(40):
            got = await workers["a"].poll(max_records=10, wait_s=20)
            seen += values(got)[0][0]
            await accept(workers, "a", got)
        assert 12 <= seen.count("b") <= 28


def travelled(crew: Crew) -> int:
    """How many hand-outs went to another worker's clients."""
    return sum(message[0] == "given" for _, _, message in crew.wires.said)


async def test_who_has_records_of_its_own_for_its_clients_gets_those_of_others_clients_now_and_then_only() -> None:
    """Records that travel cost twice; but slow clients must not keep to themselves what nobody else may have."""
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append(*("a" for _ in range(2_000)), partition=ORDERS)
    broker.append(*("b" for _ in range(2_000)), partition=OTHER)
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [ORDERS], "b": [OTHER]})

        async def read(name: str) -> None:
            for _ in range(100):
                await accept(workers, name, await workers[name].poll(max_records=10, wait_s=20))
                await asyncio.sleep(0.02)

        started_s = now_s()
        await asyncio.gather(read("a"), read("b"))
        turns = (now_s() - started_s) / 0.25
        assert turns > 6
        assert turns / 2 <= travelled(workers) <= 2 * turns + 4


async def test_one_client_is_lent_no_more_than_it_takes() -> None:
    """While something is kept for it, more would only travel there and back."""
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append(*("a" for _ in range(300)), partition=ORDERS)
    broker.append(*("b" for _ in range(300)), partition=OTHER)
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [ORDERS], "b": [OTHER]})
        for _ in range(50):
            await accept(workers, "a", await workers["a"].poll(max_records=10, wait_s=20))
            await asyncio.sleep(0.008)
    assert travelled(workers) > 20
    assert sum(message[0] == "back" for _, _, message in workers.wires.said) <= 1


async def test_who_waits_in_vain_gets_what_there_is_also_where_others_clients_are_served() -> None:
    broker = ScriptedBroker()
    broker.append(*(str(n) for n in range(2_000)))
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        assert values(await workers["b"].poll(max_records=1, wait_s=20))
        started_s = now_s()
        for _ in range(20):
            assert values(await workers["a"].poll(max_records=1, wait_s=20))
            assert values(await workers["b"].poll(max_records=1, wait_s=20))
        assert now_s() - started_s < 0.1


async def test_an_owner_serves_its_own_clients_first() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        away = asyncio.create_task(workers["a"].poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        here = asyncio.create_task(workers["b"].poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        broker.append("1", "2")
        assert values(await here) == ["1"]
        assert values(await away) == ["2"]


async def test_what_nobody_is_there_to_take_goes_back_and_counts_as_never_delivered() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        assert await workers["a"].poll(max_records=1, wait_s=0.5) is None  # its credit outlives it
        broker.append("x")
        await asyncio.sleep(0.2)
        assert workers["b"].state().leased_records == 0
        assert deliveries(await workers["b"].poll(max_records=1, wait_s=20)) == [1]


async def test_a_poll_that_comes_a_moment_later_gets_what_was_kept_for_it() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        assert await workers["a"].poll(max_records=1, wait_s=0.5) is None
        broker.append("x")
        await asyncio.sleep(0.01)
        started_s = now_s()
        assert values(await workers["a"].poll(max_records=1, wait_s=20)) == ["x"]
        assert now_s() == started_s


async def test_credit_that_nobody_wants_is_taken_back() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        await workers["a"].poll(max_records=1, wait_s=0.5)
        await asyncio.sleep(3)
        workers.wires.said.clear()
        broker.append("x")
        await asyncio.sleep(1)
        assert not workers.wires.said


async def test_more_workers_than_partitions_starve_nobody() -> None:
    broker = ScriptedBroker()
    names = ["a", "b", "c", "d"]
    async with crew(broker, *names) as workers:
        await workers.assign({"a": [ORDERS], "b": [], "c": [], "d": []})
        polls = [asyncio.create_task(workers[name].poll(max_records=1, wait_s=20)) for name in names]
        await asyncio.sleep(1)
        broker.append("1", "2", "3", "4")
        assert sorted([values(await poll)[0] for poll in polls]) == ["1", "2", "3", "4"]


async def test_a_broken_connection_gives_back_what_it_carried() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        await workers["a"].poll(max_records=1, wait_s=0.5)
        workers.wires.frozen.add("a")
        broker.append("x")
        await asyncio.sleep(0.5)
        assert workers["b"].state().leased_records == 1
        workers.wires.cut("a", "b")
        assert deliveries(await workers["b"].poll(max_records=1, wait_s=20)) == [1]


async def test_what_a_client_has_is_not_given_back_when_a_connection_breaks() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        await asyncio.sleep(0.1)
        workers.wires.cut("a", "b")
        assert await workers["b"].poll(max_records=1, wait_s=5) is None
        assert await accept(workers, "b", got) == 1


async def test_an_ack_waits_for_a_broken_connection_to_be_mended() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        workers.wires.cut("a", "b")
        asyncio.get_running_loop().call_later(3, workers.wires.mend, "a", "b")
        assert await accept(workers, "a", got) == 1


async def test_an_ack_for_an_owner_that_stays_away_was_not_done() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        workers.wires.cut("a", "b")
        with pytest.raises(NotNow, match=r"nothing was done|not connected"):
            await accept(workers, "a", got)


async def test_an_ack_that_a_frozen_owner_may_have_heard_is_unknown() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        workers.wires.frozen.add("b")
        with pytest.raises(OutcomeUnknown):
            await accept(workers, "a", got)


async def test_an_ack_during_a_rebalance_is_held_and_taken_to_the_new_owner() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b", "c") as workers:
        await workers.assign({"a": [], "b": [ORDERS], "c": []})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        for member in workers.members.values():
            await member.revoke()
        ack = asyncio.create_task(accept(workers, "a", got))
        await asyncio.sleep(2)
        assert not ack.done()
        await workers.assign({"a": [], "b": [], "c": [ORDERS]})
        assert await ack == 1
        assert broker.commits[ORDERS].offset == 1


async def test_an_ack_that_only_the_owner_knows_to_be_late_for_is_held_too() -> None:
    """The owner has lost its partitions; the worker that was asked does not know yet."""
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b", "c") as workers:
        await workers.assign({"a": [], "b": [ORDERS], "c": []})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        broker.commit_errors = [LeaseMoved("rebalanced")]
        ack = asyncio.create_task(accept(workers, "a", got))
        await asyncio.sleep(1)
        await workers.draw({"a": [], "b": [], "c": [ORDERS]})
        assert await ack == 1
        assert broker.commits[ORDERS].offset == 1


async def test_an_ack_that_a_killed_owner_never_answered_is_taken_to_its_successor() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b", "c") as workers:
        await workers.assign({"a": [], "b": [ORDERS], "c": []})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        workers.wires.frozen.add("b")
        ack = asyncio.create_task(accept(workers, "a", got))
        await asyncio.sleep(1)
        workers.wires.cut("a", "b")
        for name in ("a", "c"):
            await workers.members[name].revoke()
        await workers.assign({"a": [], "c": [ORDERS]})
        assert await ack == 1


async def test_an_expired_lease_is_refused_wherever_it_is_sent() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b", lease_s=5.0) as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        again = await workers["b"].poll(max_records=1, wait_s=20)
        assert deliveries(again) == [2]
        with pytest.raises(LeaseExpired) as refused:
            await accept(workers, "a", got)
        assert refused.value.extra["refused"] == ["orders:0:0"]
        assert await accept(workers, "a", again) == 1


async def test_a_release_at_another_worker_lets_the_record_go_on() -> None:
    broker = ScriptedBroker()
    broker.append("x")
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        got = await workers["a"].poll(max_records=1, wait_s=20)
        assert got is not None
        await workers["a"].acknowledge(got.lease, accept=None, release="all")
        assert deliveries(await workers["a"].poll(max_records=1, wait_s=20)) == [2]


async def test_a_poll_cancelled_elsewhere_leases_nothing() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        poll = asyncio.create_task(workers["a"].poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        poll.cancel()
        await asyncio.wait([poll])
        broker.append("x")
        await asyncio.sleep(1)
        assert workers["b"].state().leased_records == 0


async def test_a_stream_with_automatic_acks_is_confirmed_at_the_owner() -> None:
    broker = ScriptedBroker()
    broker.append("x", "y")
    async with crew(broker, "a", "b", ack="auto") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        stream = workers["a"].stream(None)
        got = await stream.next(max_records=10, wait_s=5)
        assert got is not None
        for record, _ in got.records:
            stream.event_id(record)
        stream.confirm(got)
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 2
        stream.close()


async def test_a_stream_is_resumed_at_another_worker() -> None:
    broker = ScriptedBroker()
    broker.append("x", "y", "z")
    async with crew(broker, "a", "b", "c", ack="auto") as workers:
        await workers.assign({"a": [], "b": [ORDERS], "c": []})
        stream = workers["a"].stream(None)
        got = await stream.next(max_records=10, wait_s=5)
        assert got is not None
        ids = [stream.event_id(record) for record, _ in got.records[:2]]
        resumed = workers["c"].stream(ids[0])
        assert values(await resumed.next(max_records=10, wait_s=5)) == ["y", "z"]
        assert not stream.is_open
        assert broker.commits[ORDERS].offset == 1
        resumed.close()
        stream.close()


async def test_a_stream_whose_worker_died_is_resumed_from_what_its_client_has_seen() -> None:
    broker = ScriptedBroker()
    broker.append("x", "y")
    async with crew(broker, "a", "b", "c", ack="auto") as workers:
        await workers.assign({"a": [], "b": [ORDERS], "c": []})
        stream = workers["a"].stream(None)
        got = await stream.next(max_records=10, wait_s=5)
        assert got is not None
        seen = stream.event_id(got.records[0].record)
        await asyncio.sleep(0.1)
        workers.wires.cut("a", "b")
        workers.wires.cut("a", "c")
        resumed = workers["c"].stream(seen)
        again = await resumed.next(max_records=10, wait_s=40)
        assert values(again) == ["y"]
        resumed.close()
        stream.close()


async def test_during_a_rebalance_polls_wait_inside_their_wait() -> None:
    broker = ScriptedBroker()
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [], "b": [ORDERS]})
        poll = asyncio.create_task(workers["a"].poll(max_records=1, wait_s=20))
        await asyncio.sleep(1)
        for member in workers.members.values():
            await member.revoke()
        broker.append("x")
        await asyncio.sleep(1)
        await workers.assign({"a": [ORDERS], "b": []})
        assert values(await poll) == ["x"]
