"""What the bridge asks Kafka for operators, on a real broker: offsets by time, and marks of groups without members."""

import uuid

import pytest
from aiokafka.errors import KafkaError

from proxy.clock import Deadline
from proxy.consume.partition.progress import MAX_CHARS
from proxy.errors import KafkaAway
from proxy.kafka.marks import Marks
from proxy.kafka.member import Member
from proxy.record import Partition
from proxy.seams.groups import Committed
from tests.e2e.records import Put, write
from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port
from tests.kafka_engines.readers import Session, knowing, settings, until

NOON_MS = 1_700_000_000_000


@pytest.fixture
def group() -> str:
    return f"g-{uuid.uuid4().hex[:8]}"


def soon() -> Deadline:
    return Deadline.after(10)


async def test_a_member_knows_where_partitions_begin_and_end_and_what_belongs_to_a_time(
    kafka: Kafka, topic: str, group: str
) -> None:
    zero, one = Partition(topic, 0), Partition(topic, 1)
    await write(kafka, topic, *(Put(b"x", timestamp_ms=NOON_MS + 1_000 * second) for second in range(5)))
    async with knowing(kafka, topic) as topics:
        member = Member(settings(kafka), topics, group, [topic])
        async with Session(member) as session:
            await until(lambda: len(session.mine) == 2)
            assert await member.bounds([zero, one], soon()) == {zero: (0, 5), one: (0, 0)}
            assert await member.first_since([zero, one], NOON_MS + 1_500, soon()) == {zero: 2}
            assert await member.first_since([zero], NOON_MS, soon()) == {zero: 0}
            assert await member.first_since([zero], NOON_MS + 60_000, soon()) == {}


async def test_marks_are_kept_with_all_their_metadata_and_partitions_without_one_are_left_out(
    kafka: Kafka, topic: str, group: str
) -> None:
    zero, one = Partition(topic, 0), Partition(topic, 1)
    marks = Marks(settings(kafka))
    assert await marks.read(group, [zero, one], soon()) == {}
    await marks.write(group, {one: Committed(7, "m" * MAX_CHARS)}, soon())
    await marks.write(group, {one: Committed(8, "m" * MAX_CHARS)}, soon())
    assert await Marks(settings(kafka)).read(group, [zero, one], soon()) == {one: Committed(8, "m" * MAX_CHARS)}


async def test_marks_of_a_cluster_that_is_away_are_said_to_be_so_in_time() -> None:
    marks = Marks(settings(Kafka.at(f"127.0.0.1:{free_port()}")))
    with pytest.raises(KafkaAway) as refused:
        await marks.read("g", [Partition("t", 0)], Deadline.after(1))
    assert isinstance(refused.value.__cause__, KafkaError | TimeoutError)
