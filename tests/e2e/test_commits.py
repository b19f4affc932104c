"""What Kafka knows of a group right after an ack, and that a reset with Kafka's own tools holds."""

import asyncio

from proxy.consume.partition.progress import MAX_CHARS, decode
from tests.bridge import StartBridge
from tests.e2e.configuration import config, consume
from tests.e2e.conftest import StartWork
from tests.e2e.reader import Reader
from tests.e2e.records import Put, committed, numbered, write
from tests.kafka import jars
from tests.kafka.cluster import Kafka


async def test_an_ack_is_answered_after_the_commit_that_contains_it(work: StartWork) -> None:
    one = await work(*numbered(30), lease_ms=60_000)
    polled = await one.reader.poll()
    assert len(polled.ids) == 30
    for number, record_id in enumerate(polled.ids, start=1):
        await one.reader.accept(polled.lease, [record_id])
        commit = await one.committed()
        assert commit is not None
        assert commit.offset == number


async def test_what_is_accepted_above_an_open_record_stands_in_the_commits_metadata(work: StartWork) -> None:
    one = await work(*numbered(30), lease_ms=60_000)
    polled = await one.reader.poll()
    await one.reader.accept(polled.lease, [f"{one.topic}:0:{offset}" for offset in (0, 3, 4, 5, 10, 29)])
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 1
    assert len(commit.metadata) <= MAX_CHARS
    assert list(decode(commit.offset, commit.metadata).accepted) == [(3, 6), (10, 11), (29, 30)]


async def test_acks_that_come_at_once_are_all_committed_when_they_are_answered(work: StartWork) -> None:
    one = await work(*(Put(b"%d" % n, partition=n % 2) for n in range(60)), partitions=2, lease_ms=60_000)
    polled = [await one.reader.poll(most=6) for _ in range(10)]
    answers = await asyncio.gather(*(one.reader.ack(each.lease, accept="all") for each in polled))
    assert [answer.json()["accepted"] for answer in answers] == [6] * 10
    commits = [await one.committed(partition) for partition in (0, 1)]
    assert [commit and commit.offset for commit in commits] == [30, 30]


async def test_a_hundred_holes_are_remembered(work: StartWork) -> None:
    one = await work(*numbered(200), lease_ms=60_000)
    polled = await one.reader.poll(most=200)
    assert len(polled.records) == 200
    await one.reader.accept(polled.lease, polled.ids[1::2])
    commit = await one.committed()
    assert commit is not None
    assert commit.offset == 0
    assert len(list(decode(0, commit.metadata).accepted)) == 100


async def test_a_group_reset_with_kafkas_own_tool_begins_where_it_was_put(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    """Also when records above the new place had been accepted one by one."""
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(10))
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=500))
    running = await bridge(text)
    async with Reader(running.base_url, "/r") as reader:
        polled = await reader.poll()
        await reader.accept(polled.lease, [polled.ids[n] for n in (0, 1, 2, 5, 7)])
    assert await running.stop() == 0
    before = await committed(kafka, name, name)
    assert before is not None
    assert before.offset == 3

    await reset_offsets(kafka, name, "--to-offset", "2")
    async with Reader((await bridge(text)).base_url, "/r") as reader:
        assert await reader.take(8) == list(range(2, 10))


async def reset_offsets(kafka: Kafka, group: str, *where: str) -> None:
    """`kafka-consumer-groups --reset-offsets`, as an operator types it."""
    tool = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand"
    wanted = ["--group", group, "--all-topics", "--reset-offsets", *where, "--execute"]
    process = await asyncio.create_subprocess_exec(
        *("java", "-XX:TieredStopAtLevel=1", "-cp", f"{jars.ensure()}/*", tool),
        *("--bootstrap-server", kafka.bootstrap, *wanted),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
