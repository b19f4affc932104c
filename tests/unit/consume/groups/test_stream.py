"""Streams in a group: what a lost connection loses (nothing), and what its client gets when it comes back."""

import asyncio

import pytest

from proxy.consume.claim import Claim
from proxy.consume.groups.stream import Stream
from proxy.consume.token import Kind
from proxy.errors import BadToken, ForeignToken, ForgedToken
from proxy.record import Partition
from proxy.seams.groups import Handout
from tests.unit.consume.fakes import SIGNER, ScriptedBroker, session_on
from tests.unit.consume.records import ORDERS

VIRTUAL_TIME = True
OTHER = Partition("orders", 1)


async def take(stream: Stream, max_records: int = 100, wait_s: float = 1.0) -> Handout:
    handout = await stream.next(max_records=max_records, wait_s=wait_s)
    assert handout is not None
    return handout


def write(stream: Stream, handout: Handout, count: int = 100) -> str:
    """Write the first `count` events; the id of the last."""
    return [stream.event_id(delivery.record) for delivery in handout.records[:count]][-1]


def offsets(handout: Handout) -> list[int]:
    return [delivery.record.offset for delivery in handout.records]


def broker_with(count: int) -> ScriptedBroker:
    broker = ScriptedBroker()
    broker.append(*(str(i) for i in range(count)))
    return broker


async def test_a_stream_goes_on_with_what_comes() -> None:
    broker = broker_with(2)
    async with session_on(broker) as session:
        stream = session.stream(None)
        assert offsets(await take(stream)) == [0, 1]
        assert await stream.next(max_records=9, wait_s=15) is None  # time for a heartbeat
        broker.append("2")
        assert offsets(await take(stream)) == [2]
        assert session.state().streams == 1


async def test_auto_accepts_what_was_confirmed() -> None:
    broker = broker_with(3)
    async with session_on(broker, ack="auto") as session:
        stream = session.stream(None)
        handout = await take(stream)
        write(stream, handout)
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 0
        stream.confirm(handout)
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 3
        stream.close()
        assert session.state().streams == 0


async def test_auto_accepts_what_its_client_saw_and_gives_back_the_rest_at_once() -> None:
    broker = broker_with(5)
    async with session_on(broker, ack="auto") as session:
        stream = session.stream(None)
        handout = await take(stream)
        seen = write(stream, handout, 2)
        write(stream, handout, 4)
        stream.close()
        again = session.stream(seen)
        assert offsets(await take(again, wait_s=0.1)) == [2, 3, 4]
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 2


async def test_auto_keeps_what_was_written_for_its_client_for_a_while() -> None:
    broker = broker_with(5)
    async with session_on(broker, ack="auto", resume_s=5.0) as session:
        stream = session.stream(None)
        write(stream, await take(stream), 3)
        stream.close()
        other = session.stream(None)
        assert offsets(await take(other)) == [3, 4]  # these were never written
        started_s = asyncio.get_running_loop().time()
        assert offsets(await take(other, wait_s=20)) == [0, 1, 2]
        assert asyncio.get_running_loop().time() - started_s == pytest.approx(5)


async def test_auto_over_several_hand_outs_knows_what_was_seen_of_each() -> None:
    broker = broker_with(6)
    async with session_on(broker, ack="auto") as session:
        stream = session.stream(None)
        write(stream, await take(stream, 2))
        seen = write(stream, await take(stream, 2), 1)
        await take(stream, 2)
        stream.close()
        assert offsets(await take(session.stream(seen), wait_s=0.1)) == [3, 4, 5]


async def test_what_comes_again_is_not_taken_for_seen() -> None:
    """Its offset is lower than that of what the client saw: the highest offset would say too much."""
    broker = broker_with(3)
    async with session_on(broker, ack="auto") as session:
        slow = await session.poll(max_records=1, wait_s=20)
        assert slow is not None
        stream = session.stream(None)
        seen = write(stream, await take(stream), 2)
        session.release(slow)
        assert offsets(await take(stream)) == [0]
        stream.close()
        assert offsets(await take(session.stream(seen), wait_s=0.1)) == [0]


async def test_explicit_keeps_what_was_seen_and_gives_back_the_rest() -> None:
    broker = broker_with(6)
    async with session_on(broker) as session:
        stream = session.stream(None)
        first = await take(stream, 2)
        write(stream, first)
        second = await take(stream, 2)
        seen = write(stream, second, 1)
        write(stream, second, 2)
        write(stream, await take(stream, 2))
        again = session.stream(seen)  # the old connection still seems to stand
        assert not stream.is_open
        assert offsets(await take(again, wait_s=0.1)) == [3, 4, 5]
        assert (await session.acknowledge(first.lease, accept="all", release=None)).accepted == 2
        assert (await session.acknowledge(second.lease, accept=["orders:0:2"], release=None)).accepted == 1
        assert broker.commits[ORDERS].offset == 3


async def test_explicit_gives_back_at_a_close_what_was_not_written() -> None:
    broker = broker_with(4)
    async with session_on(broker, lease_s=30.0) as session:
        stream = session.stream(None)
        handout = await take(stream)
        write(stream, handout, 2)
        stream.close()
        stream.close()
        assert offsets(await take(session.stream(None))) == [2, 3]
        assert (await session.acknowledge(handout.lease, accept=["orders:0:1"], release=None)).accepted == 1


async def test_a_resumed_stream_ends_the_wait_of_the_old_one() -> None:
    broker = broker_with(1)
    async with session_on(broker) as session:
        stream = session.stream(None)
        seen = write(stream, await take(stream))
        waiting = asyncio.ensure_future(stream.next(max_records=9, wait_s=60))
        await asyncio.sleep(1)
        started_s = asyncio.get_running_loop().time()
        session.stream(seen)
        assert await waiting is None
        assert asyncio.get_running_loop().time() == started_s
        assert await stream.next(max_records=9, wait_s=60) is None
        stream.close()


async def test_what_a_stream_is_given_while_it_is_resumed_elsewhere_goes_to_its_successor() -> None:
    broker = broker_with(1)
    async with session_on(broker) as session:
        stream = session.stream(None)
        seen = write(stream, await take(stream))
        waiting = asyncio.ensure_future(stream.next(max_records=9, wait_s=60))
        await asyncio.sleep(1)
        broker.append("1")
        while session.state().leased_records < 2:
            await asyncio.sleep(0)
        again = session.stream(seen)
        assert await waiting is None
        assert offsets(await take(again, wait_s=0.1)) == [1]


async def test_an_event_id_names_what_is_not_confirmed_yet() -> None:
    broker = broker_with(4)
    async with session_on(broker, ack="auto") as session:
        stream = session.stream(None)
        first = await take(stream, 2)
        write(stream, first)
        second = await take(stream, 2)
        ids = [write(stream, second, 1)]
        stream.confirm(first)
        ids.append(write(stream, second, 2))
        held = [Claim.open(SIGNER, each, group="pricing", kind=Kind.STREAM).held for each in ids]
        assert held == [{ORDERS: [(0, 3)]}, {ORDERS: [(2, 4)]}]


async def test_resuming_twice_with_the_same_id_is_harmless() -> None:
    broker = broker_with(3)
    async with session_on(broker, ack="auto") as session:
        stream = session.stream(None)
        seen = write(stream, await take(stream), 2)
        stream.close()
        first = session.stream(seen)
        first.close()
        assert offsets(await take(session.stream(seen), wait_s=0.1)) == [2]


@pytest.mark.parametrize("crashes", [False, True])
async def test_auto_resumes_at_a_process_that_never_had_the_stream(crashes: bool) -> None:
    broker = broker_with(4)
    async with session_on(broker, ack="auto", crashes=crashes) as session:
        stream = session.stream(None)
        seen = write(stream, await take(stream), 2)
    async with session_on(broker, ack="auto", lease_s=30.0) as session:
        again = session.stream(seen)
        came: list[int] = []
        while len(came) < 2:
            came += offsets(await take(again, wait_s=60))
        assert came == [2, 3]
        await asyncio.sleep(1)
        assert broker.commits[ORDERS].offset == 2


async def test_a_stream_resumed_during_a_rebalance_is_settled_after_it() -> None:
    broker = broker_with(4)
    async with session_on(broker, ack="auto") as session:
        stream = session.stream(None)
        seen = write(stream, await take(stream), 2)
        await broker.members[0].revoke()
        stream.close()
        again = session.stream(seen)
        waiting = asyncio.ensure_future(take(again, wait_s=20))
        await asyncio.sleep(1)
        await broker.members[0].assign(ORDERS)
        assert offsets(await waiting) == [2, 3]


async def test_a_cancelled_stream_leases_nothing() -> None:
    broker = ScriptedBroker()
    async with session_on(broker) as session:
        stream = session.stream(None)
        waiting = asyncio.ensure_future(stream.next(max_records=9, wait_s=60))
        await asyncio.sleep(1)
        waiting.cancel()
        await asyncio.wait([waiting])
        broker.append("0")
        await asyncio.sleep(1)
        assert session.state().leased_records == 0


async def test_streams_are_forgotten_when_nobody_can_resume_them() -> None:
    broker = broker_with(4)
    async with session_on(broker, lease_s=30.0) as session:
        stream = session.stream(None)
        write(stream, await take(stream))
        stream.close()
        idle = session.stream(None)
        idle.close()
        assert len(session._streams) == 1
        await asyncio.sleep(31)
        assert not session._streams


async def test_closing_the_session_ends_its_streams() -> None:
    async with session_on(ScriptedBroker()) as session:
        stream = session.stream(None)
        waiting = asyncio.ensure_future(stream.next(max_records=9, wait_s=60))
        await asyncio.sleep(1)
        await session.close()
        assert await waiting is None
        assert not stream.is_open


async def test_partitions_of_one_stream_are_kept_apart() -> None:
    broker = ScriptedBroker(ORDERS, OTHER)
    broker.append("a0", "a1", partition=ORDERS)
    broker.append("b0", "b1", partition=OTHER)
    async with session_on(broker, ack="auto") as session:
        await asyncio.sleep(1)
        stream = session.stream(None)
        handout = await take(stream)
        assert [(d.record.partition, d.record.offset) for d in handout.records] == [(0, 0), (0, 1), (1, 0), (1, 1)]
        seen = write(stream, handout, 3)
        stream.close()
        rest = await take(session.stream(seen), wait_s=0.1)
        assert [(d.record.partition, d.record.offset) for d in rest.records] == [(1, 1)]


@pytest.mark.parametrize(
    ("event_id", "error"),
    [
        ("17", BadToken),
        (Claim("pricing", 1, 1, 1, {}).seal(SIGNER, Kind.LEASE), BadToken),
        (Claim("billing", 1, 1, 1, {}).seal(SIGNER, Kind.STREAM), ForeignToken),
        (Claim("pricing", 1, 1, 1, {}).seal(SIGNER, Kind.STREAM)[:-1] + "A", ForgedToken),
    ],
)
async def test_an_event_id_that_is_not_of_this_group_is_refused(event_id: str, error: type[Exception]) -> None:
    async with session_on(ScriptedBroker()) as session:
        with pytest.raises(error):
            session.stream(event_id)
        assert session.state().streams == 0


@pytest.mark.parametrize("streams", [1, 3])
async def test_an_event_id_stays_short_however_many_hand_outs_are_not_confirmed(streams: int) -> None:
    """At some hundred hand-outs a second that is what a second is; with more streams each has every third record."""
    broker = broker_with(0)
    async with session_on(broker, ack="auto") as session:
        every = [session.stream(None) for _ in range(streams)]
        ids = [""] * streams
        for number in range(900):
            broker.append(str(number))
            ids[number % streams] = write(every[number % streams], await take(every[number % streams], 1))
        assert max(map(len, ids)) < (100 if streams == 1 else 1_000)
        assert broker.commits[ORDERS].offset == 0


async def test_auto_knows_what_was_seen_of_more_hand_outs_than_an_id_names() -> None:
    broker = broker_with(0)
    async with session_on(broker, ack="auto") as session:
        one, other = session.stream(None), session.stream(None)
        for number in range(900):
            broker.append(str(number))
            seen = write((one, other)[number % 2], await take((one, other)[number % 2], 1))
        assert len(Claim.open(SIGNER, seen, group="pricing", kind=Kind.STREAM).held[ORDERS]) < 200
        broker.append("unseen")
        write(other, await take(other, 1))
        other.close()
        assert offsets(await take(session.stream(seen), wait_s=0.1)) == [900]
