"""An operator at any worker of a group: sees all of it, moves it, and skips records, wherever the partitions are."""

import asyncio

import pytest

from proxy.consume.groups.control import Control
from proxy.consume.groups.whence import Whence
from proxy.errors import Conflict, FieldInvalid, KafkaAway, LeaseMoved, NotNow, OutcomeUnknown, PeerAway
from proxy.record import Partition
from tests.unit.consume.crew import Crew, crew
from tests.unit.consume.fakes import ScriptedBroker, session_on
from tests.unit.consume.peering.test_sharing import accept, values
from tests.unit.consume.records import ORDERS

VIRTUAL_TIME = True
OTHER = Partition("orders", 1)
BEGIN, END = Whence("begin"), Whence("end")


def now_s() -> float:
    return asyncio.get_running_loop().time()


def filled(*partitions: Partition) -> ScriptedBroker:
    """Five records in each partition."""
    broker = ScriptedBroker(*partitions)
    for partition in partitions:
        broker.append("0", "1", "2", "3", "4", partition=partition)
    return broker


async def shown(control: Control) -> list[tuple[str | None, bool, list[Partition]]]:
    return [(each.address, each.state is not None, list(each.partitions)) for each in await control.seen()]


async def two(workers: Crew) -> None:
    """a has the one partition, b the other."""
    await workers.assign({"a": [ORDERS], "b": [OTHER]})


# ---- looking


async def test_every_worker_shows_the_whole_group() -> None:
    async with crew(filled(ORDERS, OTHER), "a", "b", "c") as workers:
        await workers.assign({"a": [ORDERS], "b": [OTHER], "c": []})
        got = await workers["c"].poll(max_records=2, wait_s=20)
        await asyncio.sleep(1)  # what else was lent to c goes back
        for name in "abc":
            seen = await workers[name].control.seen()
            assert [each.address for each in seen] == ["a", "b", "c"]
            assert [each.address for each in seen if each.is_here] == [name]
            assert [list(each.partitions) for each in seen] == [[ORDERS], [OTHER], []]
            assert sum(each.state.leased_records for each in seen if each.state) == 2
        await accept(workers, "c", got)
        seen = await workers["c"].control.seen()
        committable = {p.partition: p.committable for each in seen if each.state for p in each.state.partitions}
        assert sorted(committable.values(), key=str) == [0, 2]


@pytest.mark.parametrize("trouble", ["cut", "frozen"])
async def test_a_worker_that_does_not_answer_is_shown_so_within_a_second(trouble: str) -> None:
    async with crew(filled(ORDERS, OTHER), "a", "b", "c") as workers:
        await workers.assign({"a": [ORDERS], "b": [OTHER], "c": []})
        if trouble == "cut":
            workers.wires.cut("a", "b")
        else:
            workers.wires.frozen.add("b")
        async with asyncio.timeout(1.01):
            seen = await shown(workers["a"].control)
        assert seen == [("a", True, [ORDERS]), ("b", False, [OTHER]), ("c", True, [])]


async def test_a_bridge_without_peers_shows_itself() -> None:
    async with session_on(filled(ORDERS)) as session:
        await session.poll(max_records=1, wait_s=20)
        assert await shown(session.control) == [(None, True, [ORDERS])]


# ---- seeking


async def test_a_group_goes_back_to_the_beginning_from_any_worker_after_a_commit() -> None:
    broker = filled(ORDERS, OTHER)
    async with crew(broker, "a", "b", "c") as workers:
        await workers.assign({"a": [ORDERS], "b": [OTHER], "c": []})
        for _ in range(2):
            await accept(workers, "a", await workers["a"].poll(max_records=10, wait_s=20))
        assert {p: commit.offset for p, commit in broker.commits.items()} == {ORDERS: 5, OTHER: 5}
        moved = await workers["c"].control.seek(BEGIN)
        assert [(m.partition, m.before, m.after, m.trouble) for m in moved] == [
            (ORDERS, 5, 0, None),
            (OTHER, 5, 0, None),
        ]
        assert {p: commit.offset for p, commit in broker.commits.items()} == {ORDERS: 0, OTHER: 0}
        again = [*values(await workers["c"].poll(max_records=10, wait_s=20))]
        again += values(await workers["c"].poll(max_records=10, wait_s=20))
        assert sorted(again) == sorted("01234" * 2)


async def test_the_end_an_offset_and_a_time_are_found_in_each_partition() -> None:
    broker = filled(ORDERS, OTHER)
    for partition in (ORDERS, OTHER):
        for record in broker.logs[partition]:
            record.timestamp = 1_000 * record.offset + partition.partition
    async with crew(broker, "a", "b") as workers:
        await two(workers)
        control = workers["a"].control

        async def after(whence: Whence) -> list[int]:
            moved = await control.seek(whence)
            assert [broker.commits[each.partition].offset for each in moved] == [each.after for each in moved]
            return [each.after for each in moved]

        assert await after(END) == [5, 5]
        assert await after(Whence("offset", 3)) == [3, 3]
        assert await after(Whence("time", 2_001)) == [3, 2]
        assert await after(Whence("time", 4_001)) == [5, 4]  # the end, where nothing is that late


async def test_one_partition_alone_may_be_moved() -> None:
    broker = filled(ORDERS, OTHER)
    async with crew(broker, "a", "b") as workers:
        await two(workers)
        moved = await workers["a"].control.seek(END, topic="orders", partition=1)
        assert [each.partition for each in moved] == [OTHER]
        assert values(await workers["b"].poll(max_records=10, wait_s=20)) == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize("chosen", [{"topic": "sales"}, {"partition": 7}, {"topic": "orders", "partition": 7}])
async def test_what_the_group_does_not_read_is_refused_with_what_it_does(chosen: dict[str, object]) -> None:
    async with crew(filled(ORDERS, OTHER), "a", "b") as workers:
        await two(workers)
        with pytest.raises(FieldInvalid, match="reads orders"):
            await workers["a"].control.seek(END, **chosen)  # type: ignore[arg-type]


async def test_an_offset_outside_of_one_log_is_refused_with_its_range_and_nothing_is_moved() -> None:
    broker = filled(ORDERS, OTHER)
    broker.append("5", partition=ORDERS)
    async with crew(broker, "a", "b") as workers:
        await two(workers)
        await workers["a"].control.seek(Whence("offset", 2))
        with pytest.raises(FieldInvalid, match=r"orders:1 from 0 to 5") as refused:
            await workers["a"].control.seek(Whence("offset", 6))
        assert refused.value.extra == {"ranges": [{"topic": "orders", "partition": 1, "begins": 0, "ends": 5}]}
        assert {p: commit.offset for p, commit in broker.commits.items()} == {ORDERS: 2, OTHER: 2}


async def test_leases_on_a_partition_that_went_back_no_longer_count() -> None:
    broker = filled(ORDERS)
    async with crew(broker, "a", "b") as workers:
        await workers.assign({"a": [ORDERS], "b": []})
        got = await workers["b"].poll(max_records=3, wait_s=20)
        await workers["b"].control.seek(BEGIN)
        with pytest.raises(Conflict):
            await accept(workers, "b", got)
        again = await workers["a"].poll(max_records=10, wait_s=20)
        assert values(again) == ["0", "1", "2", "3", "4"]
        with pytest.raises(Conflict):
            await accept(workers, "b", got)
        assert broker.commits[ORDERS].offset == 0


async def test_a_full_partition_that_is_moved_is_read_on() -> None:
    broker = ScriptedBroker(ORDERS)
    broker.append(*map(str, range(1_500)))
    async with session_on(broker) as session:
        await session.poll(max_records=1, wait_s=20)
        assert broker.members[0].paused == {ORDERS}
        await session.control.seek(Whence("offset", 1_490))
        got = await session.poll(max_records=100, wait_s=20)
        assert values(got) == [str(number) for number in range(1_490, 1_500)]


async def test_partitions_of_a_worker_that_cannot_be_reached_are_named_and_the_others_moved() -> None:
    broker = filled(ORDERS, OTHER)
    async with crew(broker, "a", "b") as workers:
        await two(workers)
        workers.wires.cut("a", "b")
        here, there = await workers["a"].control.seek(END)
        assert (here.partition, here.before, here.after, here.trouble) == (ORDERS, 0, 5, None)
        assert (there.partition, there.before, there.after) == (OTHER, None, 5)
        assert there.trouble
        assert {p: commit.offset for p, commit in broker.commits.items()} == {ORDERS: 5}


async def test_a_seek_waits_while_partitions_are_moved() -> None:
    broker = filled(ORDERS)
    async with session_on(broker) as session:
        await session.poll(max_records=5, wait_s=20)
        await broker.members[0].revoke()
        seek = asyncio.create_task(session.control.seek(Whence("offset", 2)))
        await asyncio.sleep(2)
        assert not seek.done()
        await broker.members[0].assign(ORDERS)
        [moved] = await seek
        assert (moved.before, moved.after, moved.trouble) == (0, 2, None)
        assert broker.commits[ORDERS].offset == 2


async def test_a_seek_for_which_the_partitions_do_not_come_in_time_has_done_nothing() -> None:
    broker = filled(ORDERS)
    async with session_on(broker) as session:
        await session.poll(max_records=5, wait_s=20)
        await broker.members[0].revoke()
        [moved] = await session.control.seek(END)
        assert moved.trouble is not None
        assert "nothing was done" in moved.trouble
        await broker.members[0].assign(ORDERS)
        await asyncio.sleep(2)
        assert (await session.control.seen())[0].state.partitions[0].committable == 0  # type: ignore[union-attr]


async def test_a_seek_that_is_not_committed_is_not_said_to_be() -> None:
    broker = filled(ORDERS)
    async with session_on(broker) as session:
        await session.poll(max_records=5, wait_s=20)
        broker.commit_errors = [KafkaAway("away")] * 100
        [moved] = await session.control.seek(END)
        assert moved.trouble is not None
        assert "did not confirm" in moved.trouble
        broker.commit_errors = [LeaseMoved("a rebalance")]
        [moved] = await session.control.seek(END)
        assert moved.trouble is not None
        assert "did not confirm" in moved.trouble


# ---- skipping


@pytest.mark.parametrize("asked", ["a", "b"])
async def test_a_leased_record_is_skipped_wherever_it_is_owned(asked: str) -> None:
    broker = filled(ORDERS)
    async with crew(broker, "a", "b", lease_s=30.0) as workers:
        await workers.assign({"a": [ORDERS], "b": []})
        got = await workers["b"].poll(max_records=1, wait_s=20)
        assert await workers[asked].control.skip(ORDERS, 0) is True
        assert broker.commits[ORDERS].offset == 1
        assert await workers[asked].control.skip(ORDERS, 0) is False
        await asyncio.sleep(60)  # its lease is over: it does not come again
        assert values(await workers["b"].poll(max_records=1, wait_s=20)) == ["1"]
        assert got is not None


async def test_a_record_that_the_log_does_not_have_cannot_be_skipped() -> None:
    async with crew(filled(ORDERS, OTHER), "a", "b") as workers:
        await two(workers)
        with pytest.raises(FieldInvalid, match="from 0 to 5"):
            await workers["a"].control.skip(OTHER, 5)
        with pytest.raises(FieldInvalid, match="does not read"):
            await workers["a"].control.skip(Partition("orders", 9), 0)


async def test_a_skip_that_cannot_reach_the_owner_says_so() -> None:
    async with crew(filled(ORDERS, OTHER), "a", "b") as workers:
        await two(workers)
        workers.wires.cut("a", "b")
        with pytest.raises(PeerAway):
            await workers["a"].control.skip(OTHER, 0)
        workers.wires.mend("a", "b")
        workers.wires.frozen.add("b")
        with pytest.raises(PeerAway):
            async with asyncio.timeout(5.0):
                await workers["a"].control.skip(OTHER, 0)


async def test_a_skip_that_is_not_committed_is_unknown() -> None:
    broker = filled(ORDERS)
    async with session_on(broker) as session:
        await session.poll(max_records=5, wait_s=20)
        broker.commit_errors = [KafkaAway("away")] * 100
        with pytest.raises(OutcomeUnknown):
            await session.control.skip(ORDERS, 0)


async def test_before_the_group_has_its_partitions_nothing_is_moved() -> None:
    async with crew(filled(ORDERS), "a") as workers:
        with pytest.raises(NotNow, match="waiting for its partitions"):
            await workers["a"].control.seek(END)


# ---- what may be written


@pytest.mark.parametrize(
    ("text", "whence"),
    [
        ("begin", Whence("begin")),
        ("end", Whence("end")),
        ("0", Whence("offset", 0)),
        ("9223372036854775807", Whence("offset", (1 << 63) - 1)),
        ("2023-11-14T22:13:20Z", Whence("time", 1_700_000_000_000)),
        ("2023-11-14T22:13:20.5", Whence("time", 1_700_000_000_500)),
        ("2023-11-15T00:13:20+02:00", Whence("time", 1_700_000_000_000)),
        ("2023-11-14", Whence("time", 1_699_920_000_000)),
    ],
)
def test_begin_end_an_offset_or_a_time(text: str, whence: Whence) -> None:
    assert Whence.read(text) == whence


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", "yesterday", "1969-01-01", "0001-01-01T00:00:00+14:00", "²", "9" * 20]
)
def test_what_is_neither_is_refused_with_what_would_be_right(text: str) -> None:
    with pytest.raises(FieldInvalid, match="write begin, end, an offset, or a time"):
        Whence.read(text)
