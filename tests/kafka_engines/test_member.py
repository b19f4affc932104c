"""Members of a group on a real broker: who has what, what is committed, what is never read twice or too early."""

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.protocol.group import LeaveGroupRequest

from proxy.errors import LeaseMoved, TopicMissing
from proxy.kafka.member import Member
from proxy.kafka.topics import Topics
from proxy.record import Partition
from proxy.seams.groups import Committed
from tests.kafka.cluster import Kafka
from tests.kafka_engines.readers import Session, knowing, owners, settings, until, write

NOON_MS = 1_795_348_800_000
METADATA = "m" * 4_000  # of the 4,096 that the broker takes


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:8]}"


def _member(kafka: Kafka, topics: Topics, group: str, *names: str, **more: str | int) -> Member:
    return Member(settings(kafka), topics, group, names, **more)  # type: ignore[arg-type]


def _everything(topic: str, partitions: int) -> dict[Partition, int]:
    return {Partition(topic, n): 1 for n in range(partitions)}


# ---- who has what


async def test_two_members_agree_on_who_has_what_and_each_partition_has_one(kafka: Kafka, group: str) -> None:
    topic = f"t-{group}"
    await kafka.create_topic(topic, 5)
    async with knowing(kafka, topic) as topics:
        a = Session(_member(kafka, topics, group, topic, address="host-a:1"))
        b = Session(_member(kafka, topics, group, topic, address="host-b:1"))
        async with a, b:
            await until(lambda: a.mine and b.mine and owners(a, b) == _everything(topic, 5))
            assert a.member.map.owners == b.member.map.owners
            assert {p for p, who in a.member.map.owners.items() if who == "host-a:1"} == a.mine
            assert sorted((len(a.mine), len(b.mine))) == [2, 3]


async def test_a_member_that_leaves_hands_over_within_two_seconds(kafka: Kafka, topic: str, group: str) -> None:
    async with knowing(kafka, topic) as topics:
        a, b = (Session(_member(kafka, topics, group, topic)) for _ in range(2))
        async with a, b:
            await until(lambda: a.mine and b.mine and owners(a, b) == _everything(topic, 2))
            await a.leave()
            assert await until(lambda: len(b.mine) == 2) < 2


async def test_a_member_that_leaves_in_the_middle_of_a_rebalance_hands_over_at_once(
    kafka: Kafka, topic: str, group: str
) -> None:
    async with knowing(kafka, topic) as topics:
        a, b, c = (Session(_member(kafka, topics, group, topic)) for _ in range(3))
        async with a, b:
            await until(lambda: a.mine and b.mine and owners(a, b) == _everything(topic, 2))
            stuck = asyncio.Event()
            b.on_revoked = lambda _: stuck.wait()  # type: ignore[assignment,method-assign,return-value]
            async with c:
                await until(lambda: a.told[-1][0] == "revoked")  # a waits in its join for b, which is stuck
                await asyncio.wait_for(a.leave(), 0.9)  # behind its join it would wait for a second
                stuck.set()
                assert await until(lambda: owners(b, c) == _everything(topic, 2) and c.mine) < 2


async def test_nothing_is_fetched_before_the_listener_has_taken_the_assignment(
    kafka: Kafka, topic: str, group: str
) -> None:
    class Slow(Session):
        async def on_assigned(self, partitions: Sequence[Partition]) -> None:
            await asyncio.sleep(1)  # the fetching task asserts that a record is ours
            self.member.pause([Partition(topic, 1)])
            await super().on_assigned(partitions)

    await write(kafka, topic, b"1", b"2")
    await write(kafka, topic, b"3", partition=1)
    async with knowing(kafka, topic) as topics, Slow(_member(kafka, topics, group, topic)) as session:
        await until(lambda: session.values == [b"1", b"2"])
        session.member.resume([Partition(topic, 1)])  # paused by the listener: so it stayed
        await until(lambda: session.values == [b"1", b"2", b"3"])


async def test_a_fetch_returns_empty_and_in_time_while_the_group_rebalances(
    kafka: Kafka, topic: str, group: str
) -> None:
    stuck, assigned = asyncio.Event(), asyncio.Event()

    class Stuck:
        async def on_assigned(self, partitions: Sequence[Partition]) -> None:
            assigned.set()

        async def on_revoked(self, partitions: Sequence[Partition]) -> None:
            assigned.clear()
            await stuck.wait()

    await write(kafka, topic, b"1")
    async with knowing(kafka, topic) as topics:
        member, other = (_member(kafka, topics, group, topic) for _ in range(2))
        await member.open(Stuck())
        await assigned.wait()
        fetcher = member._membership._consumer._fetcher  # type: ignore[union-attr]
        await until(lambda: fetcher._records)  # one is there to be had, of what is about to be revoked
        await other.open(Stuck())
        try:
            await until(lambda: not assigned.is_set())
            assert await asyncio.wait_for(member.fetch(timeout_s=0.3, max_records=10), 2) == []
        finally:
            stuck.set()
            await asyncio.gather(member.close(), other.close())


async def test_a_member_whose_topics_are_quiet_stays_in_the_group(kafka: Kafka, topic: str, group: str) -> None:
    async with knowing(kafka, topic) as topics:
        async with Session(_member(kafka, topics, group, topic)) as session:
            await until(lambda: len(session.mine) == 2)
            await session.member.commit({partition: Committed(0, "") for partition in session.mine})
        async with Session(_member(kafka, topics, group, topic)) as session:
            await until(lambda: session.mine)
            session.member._membership._consumer._coordinator._max_poll_interval = 1.0  # type: ignore[union-attr]
            await asyncio.sleep(2.5)
            assert len(session.told) == 1, "it was assigned its partitions, and nothing has happened since"


async def test_an_ordinary_client_cannot_join_the_group(kafka: Kafka, topic: str, group: str) -> None:
    async with knowing(kafka, topic) as topics, Session(_member(kafka, topics, group, topic)) as session:
        await until(lambda: session.mine)
        stranger = AIOKafkaConsumer(bootstrap_servers=kafka.bootstrap, group_id=group)
        await stranger.start()
        try:
            stranger.subscribe([topic])
            with pytest.raises(Exception, match="InconsistentGroupProtocol"):
                await asyncio.wait_for(stranger.getmany(timeout_ms=5_000), 10)
        finally:
            await stranger.stop()
        assert session.mine == {Partition(topic, 0), Partition(topic, 1)}


# ---- topics that come and grow


async def test_a_topic_is_not_made_by_subscribing_and_joined_when_it_appears(kafka: Kafka, topic: str) -> None:
    group, later = f"g-{topic}", f"{topic}-later"
    async with knowing(kafka, topic) as topics, Session(_member(kafka, topics, group, topic, later)) as session:
        await until(lambda: session.mine)
        assert later not in await kafka.list_topics()
        await kafka.create_topic(later, 1)
        await until(lambda: Partition(later, 0) in session.mine)
        await write(kafka, later, b"1")
        await until(lambda: session.values == [b"1"])


async def test_a_group_of_topics_that_all_are_missing_is_not_joined(kafka: Kafka, group: str) -> None:
    async with knowing(kafka) as topics:
        member = _member(kafka, topics, group, f"nowhere-{group}")
        with pytest.raises(TopicMissing, match="nowhere"):
            await member.open(Session(member))
        await member.close()
        assert f"nowhere-{group}" not in await kafka.list_topics()


async def test_a_topic_that_is_deleted_while_it_is_read_is_not_made_again(kafka: Kafka, topic: str) -> None:
    async with knowing(kafka, topic) as topics:
        hurried = settings(kafka).__class__(kafka.bootstrap, session_timeout_ms=6_000, metadata_max_age_ms=300)
        async with Session(Member(hurried, topics, f"g-{topic}", [topic])) as session:
            await until(lambda: session.mine)
            await kafka.delete_topic(topic)
            await until(lambda: not session.mine)
            await asyncio.sleep(1)  # three times its metadata was asked for
            assert topic not in await kafka.list_topics()


# ---- commits


async def test_a_commit_comes_back_with_its_metadata(kafka: Kafka, topic: str, group: str) -> None:
    zero, one = Partition(topic, 0), Partition(topic, 1)
    async with knowing(kafka, topic) as topics:
        async with Session(_member(kafka, topics, group, topic)) as session:
            await until(lambda: len(session.mine) == 2)
            assert await session.member.committed([zero, one]) == {}
            await session.member.commit({zero: Committed(7, METADATA)})
        async with Session(_member(kafka, topics, group, topic)) as session:
            await until(lambda: len(session.mine) == 2)
            assert await session.member.committed([zero, one]) == {zero: Committed(7, METADATA)}


async def test_a_commit_for_a_partition_that_moved_is_refused(kafka: Kafka, topic: str, group: str) -> None:
    async with knowing(kafka, topic) as topics:
        a, b = (Session(_member(kafka, topics, group, topic)) for _ in range(2))
        async with a:
            await until(lambda: len(a.mine) == 2)
            async with b:
                await until(lambda: a.mine and b.mine and owners(a, b) == _everything(topic, 2))
                [moved] = b.mine
                with pytest.raises(LeaseMoved):
                    await a.member.commit({moved: Committed(1, "")})
                assert await b.member.committed([moved]) == {}


async def test_a_commit_of_a_member_that_the_group_gave_up_is_refused(kafka: Kafka, topic: str, group: str) -> None:
    """Also when the group is empty, where a broker would take a commit from anybody."""
    async with knowing(kafka, topic) as topics, Session(_member(kafka, topics, group, topic)) as session:
        await until(lambda: len(session.mine) == 2)
        zero = Partition(topic, 0)
        coordinator = session.member._membership._consumer._coordinator  # type: ignore[union-attr]
        await coordinator._send_req(LeaveGroupRequest(group, coordinator.member_id))
        with pytest.raises(LeaseMoved):
            await session.member.commit({zero: Committed(1, "")})
        with pytest.raises(LeaseMoved):
            await session.member.commit({zero: Committed(1, "")})
        await until(lambda: session.told[-1][0] == "assigned" and len(session.told) >= 3)
        await session.member.commit({zero: Committed(1, "")})


async def test_a_last_commit_is_taken_within_the_revocation(kafka: Kafka, topic: str, group: str) -> None:
    await write(kafka, topic, b"1")
    await write(kafka, topic, b"2", partition=1)
    async with knowing(kafka, topic) as topics:
        a, b = (Session(_member(kafka, topics, group, topic), commits=True) for _ in range(2))
        async with a:
            await until(lambda: len(a.values) == 2)
            async with b:
                await until(lambda: a.mine and b.mine and owners(a, b) == _everything(topic, 2))
                await write(kafka, topic, b"3")
                await write(kafka, topic, b"4", partition=1)
                await until(lambda: len(a.values) + len(b.values) == 4)
        assert sorted(value or b"" for value in a.values + b.values) == [b"1", b"2", b"3", b"4"]


# ---- where reading begins


async def test_a_group_from_latest_begins_when_it_is_first_seen_and_not_at_every_rebalance(
    kafka: Kafka, topic: str, group: str
) -> None:
    await write(kafka, topic, b"before")
    async with knowing(kafka, topic) as topics:
        async with Session(_member(kafka, topics, group, topic, start="latest")) as session:
            await until(lambda: len(session.mine) == 2)
        await write(kafka, topic, b"while nobody read")
        async with Session(_member(kafka, topics, group, topic, start="latest")) as session:
            await until(lambda: session.values == [b"while nobody read"])


async def test_a_group_from_a_time_begins_with_the_first_record_of_that_time_or_later(
    kafka: Kafka, topic: str, group: str
) -> None:
    times = {b"early": NOON_MS - 1, b"noon": NOON_MS, b"late": NOON_MS + 1}
    async with AIOKafkaProducer(bootstrap_servers=kafka.bootstrap) as producer:
        for value, at_ms in times.items():
            await producer.send_and_wait(topic, value, partition=0, timestamp_ms=at_ms)
        await producer.send_and_wait(topic, b"too early", partition=1, timestamp_ms=NOON_MS - 1)
    async with knowing(kafka, topic) as topics:
        async with Session(_member(kafka, topics, group, topic, start=NOON_MS)) as session:
            await until(lambda: session.values == [b"noon", b"late"])
            assert await session.member.committed(list(session.mine)) == {
                Partition(topic, 0): Committed(1, ""),
                Partition(topic, 1): Committed(1, ""),
            }
        await write(kafka, topic, b"after", partition=1)
        async with Session(_member(kafka, topics, group, topic, start=NOON_MS + 60_000)) as session:
            await until(lambda: set(session.values) == {b"after", b"late", b"noon"})  # the group has begun


async def test_a_group_whose_offset_the_log_has_passed_goes_on_at_the_first_record_there_is(
    kafka: Kafka, topic: str, group: str
) -> None:
    await write(kafka, topic, *(b"%d" % n for n in range(10)))
    async with kafka.admin() as admin:
        await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(6)})
    async with knowing(kafka, topic) as topics:

        class Behind(Session):
            async def on_assigned(self, partitions: Sequence[Partition]) -> None:
                self.member.seek(Partition(topic, 0), 2)
                self.mine.update(partitions)

        async with Behind(_member(kafka, topics, group, topic, start="latest")) as session:
            await until(lambda: session.values == [b"6", b"7", b"8", b"9"])


# ---- what is read


async def test_an_aborted_transaction_is_not_seen_and_the_end_is_known(kafka: Kafka, topic: str, group: str) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=kafka.bootstrap, transactional_id=f"tx-{topic}")
    await producer.start()
    try:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted", partition=0)
        await producer.abort_transaction()
        async with producer.transaction():
            await producer.send_and_wait(topic, b"committed", partition=0)
    finally:
        await producer.stop()
    async with knowing(kafka, topic) as topics, Session(_member(kafka, topics, group, topic)) as session:
        await until(lambda: session.values == [b"committed"])
        assert session.member.end_offset(Partition(topic, 0)) == 4  # two records, two markers
        assert session.member.end_offset(Partition("elsewhere", 0)) is None
