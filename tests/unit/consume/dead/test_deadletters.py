"""Dead letters through a session: when they are written, what is answered, what happens while they cannot be."""

import asyncio
from collections.abc import Sequence

import pytest

from proxy.consume.dead.deadletters import letter, notice
from proxy.consume.partition.books import Burial
from proxy.consume.partition.ledger import Ledger, Window
from proxy.consume.partition.progress import Progress
from proxy.consume.partition.terms import Reason, Terms
from proxy.consume.run import Run
from proxy.errors import KafkaAway, KeyRequired, LeaseMoved, OutcomeUnknown, ProxyError, RecordTooLarge
from proxy.record import Record
from proxy.seams.groups import AckOutcome, GroupReader, Handout
from tests.unit.consume.fakes import ScriptedBroker, ScriptedTopic, session_on
from tests.unit.consume.records import ORDERS, Read

VIRTUAL_TIME = True


async def poll(session: GroupReader, max_records: int = 100) -> Handout:
    handout = await session.poll(max_records=max_records, wait_s=60)
    assert handout is not None
    return handout


def values(letters: Sequence[Record]) -> list[str]:
    return [(record.value or b"").decode() for record in letters]


def broker_with(*written: str) -> ScriptedBroker:
    broker = ScriptedBroker()
    broker.append(*written)
    return broker


def burial(record: Read) -> Burial:
    ledger = Ledger(Progress(0), window=Window(10, 10))
    return Burial(ledger, ORDERS, Run.of(record.offset, [record], 3), Reason.REJECTED)


# ---- what a letter says


def test_a_letter_is_the_record_and_where_it_comes_from() -> None:
    own = [("trace", b"\xff"), ("trace", b"")]
    record = letter(burial(Read("orders", 0, 7, 1_700, b"k\x00", None, own)), "pricing", "orders.dead")
    assert (record.topic, record.key, record.value, record.partition) == ("orders.dead", b"k\x00", None, None)
    assert list(record.headers) == [
        *own,
        ("stepbridge-dead-topic", b"orders"),
        ("stepbridge-dead-partition", b"0"),
        ("stepbridge-dead-offset", b"7"),
        ("stepbridge-dead-timestamp", b"1700"),
        ("stepbridge-dead-group", b"pricing"),
        ("stepbridge-dead-deliveries", b"3"),
        ("stepbridge-dead-reason", b"rejected"),
    ]


def test_a_letter_can_be_made_of_any_record() -> None:
    odd: list[tuple[str, bytes]] = [("half \ud800 a pair", b"x"), ("none", None)]  # type: ignore[list-item]
    record = letter(burial(Read("orders", 0, 7, headers=odd)), "pricing", "dead")
    assert list(record.headers[:2]) == [("half ? a pair", b"x"), ("none", b"")]


def test_a_notice_says_where_the_record_is_and_why_it_is_not_there() -> None:
    record = notice(burial(Read("orders", 0, 7, value=b"x" * 100)), "pricing", "dead", RecordTooLarge("too large"))
    assert (record.key, record.value) == (b"orders:0:7", b"")
    assert record.headers[-1] == ("stepbridge-dead-omitted", b"record_too_large")


# ---- when it is written


async def test_a_reject_is_answered_after_its_letter_and_the_commit() -> None:
    broker, dead = broker_with("a", "b"), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        handout = await poll(session)
        dead.gate, broker.commit_gate = asyncio.Event(), asyncio.Event()
        ack = asyncio.ensure_future(session.acknowledge(handout.lease, accept=None, release=None, reject="all"))
        for gate in (dead.gate, broker.commit_gate):
            await asyncio.sleep(1)
            assert not ack.done()
            gate.set()
        assert await ack == AckOutcome(0, 0, 2)
        assert values(dead.letters) == ["a", "b"]
        assert broker.commits[ORDERS].offset == 2


async def test_a_reject_is_not_committed_before_its_letter_is_written() -> None:
    broker, dead = broker_with("a", "b"), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        first, second = await poll(session, 1), await poll(session, 1)
        dead.gate = asyncio.Event()
        ack = asyncio.ensure_future(session.acknowledge(first.lease, accept=None, release=None, reject="all"))
        await session.acknowledge(second.lease, accept="all", release=None)
        assert broker.commits[ORDERS].offset == 0
        dead.gate.set()
        await ack
        assert broker.commits[ORDERS].offset == 2


async def test_letters_that_cannot_be_written_are_tried_again_and_the_ack_is_unknown() -> None:
    broker, dead = broker_with("a", "b"), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        first = await poll(session, 1)
        dead.errors = [KafkaAway("frozen")] * 30
        with pytest.raises(OutcomeUnknown):
            await session.acknowledge(first.lease, accept=None, release=None, reject="all")
        assert session.state().dead == 1
        second = await poll(session, 1)  # others go on
        assert await session.acknowledge(second.lease, accept="all", release=None) == AckOutcome(1, 0)
        assert broker.commits[ORDERS].offset == 0
        await asyncio.sleep(400)
        assert values(dead.letters) == ["a"]
        assert await session.acknowledge(first.lease, accept=None, release=None, reject="all") == AckOutcome(0, 0, 1)
        assert broker.commits[ORDERS].offset == 2


async def test_one_letter_that_cannot_be_written_holds_up_no_other() -> None:
    broker, dead = broker_with(*map(str, range(300))), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        handout = await poll(session, 300)
        dead.errors = [OutcomeUnknown("no answer")]
        outcome = await session.acknowledge(handout.lease, accept=None, release=None, reject="all")
        assert outcome.rejected == 300
        assert sorted(map(int, values(dead.letters))) == list(range(300))


@pytest.mark.parametrize("error", [RecordTooLarge("1 MB"), KeyRequired("compacted")])
async def test_a_record_that_the_topic_does_not_take_blocks_nobody(error: ProxyError) -> None:
    broker, dead = broker_with("a", "b"), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        handout = await poll(session)
        dead.errors = [error]
        await session.acknowledge(handout.lease, accept=None, release=None, reject="all")
        assert {record.key for record in dead.letters} == {None, b"orders:0:0"}
        assert broker.commits[ORDERS].offset == 2


async def test_a_record_delivered_too_often_is_dead_without_a_word_from_its_readers() -> None:
    broker, dead = broker_with("a"), ScriptedTopic()
    async with session_on(broker, dead=dead, terms=Terms(max_deliveries=3), lease_s=20) as session:
        for delivery in (1, 2, 3):
            assert [each.deliveries for each in (await poll(session)).records] == [delivery]
        assert await session.poll(max_records=1, wait_s=60) is None
        assert values(dead.letters) == ["a"]
        assert broker.commits[ORDERS].offset == 1
        assert (session.state().dead_letters, session.state().redeliveries) == (1, 2)


async def test_a_reject_whose_partition_moves_before_the_letter_is_written_is_told_so() -> None:
    broker, dead = broker_with("a"), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        handout = await poll(session)
        dead.gate = asyncio.Event()
        ack = asyncio.ensure_future(session.acknowledge(handout.lease, accept=None, release=None, reject="all"))
        await asyncio.sleep(1)
        await broker.members[0].revoke()
        await broker.members[0].assign()
        with pytest.raises(LeaseMoved):
            await ack
        dead.gate.set()


async def test_a_new_owner_buries_what_the_former_one_could_not() -> None:
    broker, dead = broker_with("a"), ScriptedTopic()
    terms = Terms(max_deliveries=2)
    async with session_on(broker, dead=dead, terms=terms, lease_s=20) as session:
        dead.errors = [KafkaAway("frozen")] * 1_000
        for _ in range(2):
            await poll(session)
        await asyncio.sleep(30)
        assert session.state().dead == 1
    dead.errors = []
    async with session_on(broker, dead=dead, terms=terms, lease_s=20) as session:
        assert await session.poll(max_records=1, wait_s=60) is None
        assert values(dead.letters) == ["a"]
        assert broker.commits[ORDERS].offset == 1


async def test_what_is_rejected_without_a_place_for_it_is_discarded_and_counted() -> None:
    broker = broker_with("a", "b")
    async with session_on(broker) as session:
        handout = await poll(session)
        assert (await session.acknowledge(handout.lease, accept=None, release=None, reject="all")).rejected == 2
        assert broker.commits[ORDERS].offset == 2
        state = session.state()
        assert (state.rejected, state.discarded, state.dead_letters) == (2, 2, 0)


async def test_a_partition_with_very_many_dead_records_hands_out_nothing_new_until_they_are_buried() -> None:
    broker, dead = broker_with(*map(str, range(1_500))), ScriptedTopic()
    async with session_on(broker, dead=dead) as session:
        dead.gate = asyncio.Event()
        for _ in range(2):
            handout = await poll(session, 500)
            with pytest.raises(OutcomeUnknown):
                await session.acknowledge(handout.lease, accept=None, release=None, reject="all")
        assert session.state().dead == 1_000
        assert await session.poll(max_records=1, wait_s=60) is None
        dead.gate.set()
        assert (await poll(session, 1)).records[0].record.offset == 1_000
