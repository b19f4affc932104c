"""A feed over a scripted log: who sees what, from where, and what is said when something is gone."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

import pytest

from proxy.consume.feeds.catchup import STEP_BYTES, CatchUp
from proxy.consume.feeds.cursor import Cursor
from proxy.consume.feeds.feed import Feed
from proxy.consume.feeds.position import Mark
from proxy.consume.token import Signer
from proxy.errors import BadToken, ForeignToken, ForgedToken, Gone, KafkaAway, TopicMissing
from proxy.record import Partition
from proxy.seams.feeds import FeedEvent, Page
from tests.unit.consume.scripted_log import ScriptedLog, until

VIRTUAL_TIME = True

SIGNER = Signer(["secret"])
A0, A1 = Partition("a", 0), Partition("a", 1)


@asynccontextmanager
async def feeding(
    log: ScriptedLog,
    *names: str,
    ring: int = 100,
    readers: int = 2,
    is_stuck: bool = False,
    step_bytes: int = STEP_BYTES,
) -> AsyncIterator[Feed]:
    async with CatchUp(log.tail, readers=readers, step_bytes=step_bytes) as catch_up:
        feed = Feed(names or ("a",), log.tail, log, SIGNER, catch_up, ring_records=ring)
        log.tails[-2].is_stuck = is_stuck  # it reads by that one, and asks by the last
        running = asyncio.create_task(feed.run())
        try:
            yield feed
        finally:
            running.cancel()
            await asyncio.wait([running])
            with contextlib.suppress(asyncio.CancelledError):
                running.result()


async def next_offsets(cursor: Cursor, count: int) -> list[int]:
    return [event.record.offset for event in await next_events(cursor, count)]


async def next_events(cursor: Cursor, count: int) -> Sequence[FeedEvent]:
    found: list[FeedEvent] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += await cursor.next(count - len(found))
    return found


def _has_read(feed: Feed, offset: int, partition: int = 0) -> bool:
    return feed.ring.tip[partition].next_offset == offset


async def is_quiet(cursor: Cursor) -> bool:
    """Nothing more comes, for a while as scripted logs go."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(0.05):
            return not await cursor.next(10)
    return True


@pytest.fixture
def log() -> ScriptedLog:
    return ScriptedLog({"a": 1})


# ---- where clients begin


async def test_a_new_client_from_latest_sees_what_comes_and_not_what_was_there(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")
        assert await is_quiet(cursor)
        log.append(A0, 2)
        assert await next_offsets(cursor, 2) == [5, 6]


async def test_from_latest_means_the_log_s_end_also_while_the_ring_is_still_being_filled(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")  # the ring begins at 0, and has not been filled
        assert [mark.next_offset for mark in feed.ring.tip] == [0]
        log.append(A0)
        assert await next_offsets(cursor, 1) == [5]


async def test_a_new_client_from_earliest_sees_everything_the_log_has(log: ScriptedLog) -> None:
    log.append(A0, 300)
    log.retain(A0, 10)
    async with feeding(log, ring=5) as feed:
        assert await next_offsets(await feed.cursor(None, start="earliest"), 290) == list(range(10, 300))


async def test_a_step_is_bounded_in_bytes_in_the_ring_and_in_the_log(log: ScriptedLog) -> None:
    for record in log.append(A0, 60):
        record.value = b"v" * 10_000
    async with feeding(log, ring=40, step_bytes=105_000) as feed:
        cursor = await feed.cursor(None, start="earliest")
        counts: list[int] = []
        while sum(counts) < 60:
            counts.append(len(await cursor.next(200)))
        assert cursor.is_in_ring
        assert max(counts) <= 11


async def test_a_client_that_has_seen_nothing_yet_has_a_position_to_come_back_with(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        position = (await feed.cursor(None, start="latest")).position
        log.append(A0, 2)
        assert await next_offsets(await feed.cursor(position, start="latest"), 2) == [0, 1]


async def test_a_client_that_comes_back_goes_on_after_the_event_it_has_seen_last(log: ScriptedLog) -> None:
    log.append(A0, 10)
    async with feeding(log) as feed:
        events = await next_events(await feed.cursor(None, start="earliest"), 10)
        for seen in range(10):
            cursor = await feed.cursor(events[seen].position, start="latest")
            assert await next_offsets(cursor, 9 - seen) == list(range(seen + 1, 10))


async def test_a_client_far_behind_reads_the_log_and_hands_over_to_the_ring(log: ScriptedLog) -> None:
    log.append(A0, 50)
    async with feeding(log, ring=5) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 50) == list(range(50))
        log.append(A0, 2)
        assert await next_offsets(cursor, 2) == [50, 51]
        await until(lambda: cursor.is_in_ring)


async def test_the_ring_is_reached_although_the_log_ends_in_offsets_without_records(log: ScriptedLog) -> None:
    log.append(A0, 20)
    log.skip(A0, 10)
    async with feeding(log, ring=4) as feed:  # it begins at 26, where nothing was ever written
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 20) == list(range(20))
        assert await is_quiet(cursor)
        assert cursor.is_in_ring
        log.append(A0)
        assert await next_offsets(cursor, 1) == [30]


async def test_a_client_that_cannot_keep_up_falls_out_of_the_ring_and_misses_nothing(log: ScriptedLog) -> None:
    async with feeding(log, ring=3) as feed:
        cursor = await feed.cursor(None, start="latest")
        for count in range(10):
            log.append(A0, 4)
            await until(partial(_has_read, feed, 4 * count + 4))
        assert await next_offsets(cursor, 40) == list(range(40))


async def test_a_client_that_waits_for_a_reader_goes_on_in_the_ring_once_that_has_come_so_far(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        events = await next_events(await feed.cursor(None, start="earliest"), 5)
    async with feeding(log, readers=1, is_stuck=True) as feed:
        cursor = await feed.cursor(events[2].position, start="latest")
        async with feed._catch_up.borrow("another"):
            following = asyncio.create_task(cursor.next(10))
            await asyncio.sleep(0.1)
            for tail in log.tails:
                tail.is_stuck = False
            assert [event.record.offset for event in await following] == [3, 4]


async def test_a_client_that_falls_out_again_begins_where_it_was_in_the_ring(log: ScriptedLog) -> None:
    log.append(A0, 20)
    async with feeding(log, ring=4) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 20) == list(range(20))
        log.append(A0, 2)
        assert await next_offsets(cursor, 2) == [20, 21]
        await until(lambda: cursor.is_in_ring)
        log.append(A0, 2)
        assert await next_offsets(cursor, 2) == [22, 23]  # from the ring: the reader of the log has not moved
        for end in (28, 32, 36):
            log.append(A0, 4)
            await until(partial(_has_read, feed, end))
        assert await next_offsets(cursor, 12) == list(range(24, 36))


async def test_a_client_at_the_end_of_a_log_that_ends_without_records_needs_no_reader(log: ScriptedLog) -> None:
    log.append(A0, 5)
    log.skip(A0, 3)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")  # at 8, and the last record is at 4
        following = asyncio.create_task(cursor.next(10))
        await asyncio.sleep(1.5)  # longer than it waits for a ring that is behind
        assert len(log.tails) == 2  # the two that every feed has
        log.append(A0)
        assert [event.record.offset for event in await asyncio.wait_for(following, 5)] == [8]


async def test_clients_at_one_place_share_their_events(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        one, other = [await feed.cursor(None, start="latest") for _ in range(2)]
        log.append(A0, 3)
        events = await next_events(one, 3)
        events[1].frames["sse"] = b"rendered once"
        assert [event.frames for event in await next_events(other, 3)] == [{}, {"sse": b"rendered once"}, {}]
        assert one.position == other.position == events[2].position


async def test_clients_that_come_back_after_a_restart_share_their_events(log: ScriptedLog) -> None:
    """The new ring has fetched at once what the one before saw bit by bit."""
    log.append(A0, 9)
    async with feeding(log) as before:
        events = await next_events(await before.cursor(None, start="earliest"), 9)
    async with feeding(log) as feed:
        await until(lambda: feed._ring and _has_read(feed, 9))
        cursors = [await feed.cursor(events[seen].position, start="latest") for seen in (2, 4)]
        one, other = [await next_events(cursor, 8 - seen) for cursor, seen in zip(cursors, (2, 4), strict=True)]
        assert [event.record.offset for event in one] == [3, 4, 5, 6, 7, 8]
        assert one[2:] == other


async def test_a_client_that_saw_another_order_shares_what_comes_once_it_has_caught_up() -> None:
    """It saw all of the second partition and nothing of the first; in the ring they come the other way round."""
    log = ScriptedLog({"a": 2})
    log.append(A0, 3)
    log.append(A1, 3)
    async with feeding(log) as feed:
        await until(lambda: feed._ring and feed.ring.tip[0].next_offset == feed.ring.tip[1].next_offset == 3)
        layout, tip = feed.ring.layout, feed.ring.tip
        cursor = await feed.cursor(layout.token((Mark(0), tip[1])), start="latest")
        fresh = await feed.cursor(None, start="earliest")
        own = await next_events(cursor, 3)
        assert [(event.record.partition, event.record.offset) for event in own] == [(0, 0), (0, 1), (0, 2)]
        await next_events(fresh, 6)
        log.append(A1, 2)
        assert await next_events(cursor, 2) == await next_events(fresh, 2)
        assert cursor.position == fresh.position


async def test_a_step_is_bounded_in_records_and_bytes(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")
        log.append(A0, 10)
        await until(lambda: feed.ring.tip[0].next_offset == 10)
        assert [len(await cursor.next(4)) for _ in range(3)] == [4, 4, 2]


async def test_a_cancelled_wait_loses_nothing(log: ScriptedLog) -> None:
    log.append(A0, 20)
    async with feeding(log, ring=3) as feed:
        cursor = await feed.cursor(None, start="earliest")
        seen: list[int] = []
        for patience in itertools.cycle(range(12)):
            step = asyncio.create_task(cursor.next(3))
            for _ in range(patience):  # as many turns of the loop, then it is cancelled wherever it is
                await asyncio.sleep(0)
            step.cancel()
            await asyncio.wait([step])
            if not step.cancelled():
                seen += [event.record.offset for event in step.result()]
            if len(seen) == 20:
                break
        assert seen == list(range(20))


# ---- reading page by page


async def test_pages_follow_one_another(log: ScriptedLog) -> None:
    log.append(A0, 25)
    async with feeding(log, ring=10) as feed:
        seen: list[int] = []
        position = None
        while len(seen) < 25:
            page = await feed.read(position, start="earliest", max_records=4, wait_s=1)
            seen += [event.record.offset for event in page.events]
            position = page.next
        assert seen == list(range(25))


async def test_an_empty_page_comes_after_the_wait_with_a_position_that_misses_nothing(log: ScriptedLog) -> None:
    log.append(A0, 3)
    async with feeding(log) as feed:
        page = await feed.read(None, start="latest", max_records=10, wait_s=0.01)
        assert page.events == ()
        log.append(A0, 2)
        page = await feed.read(page.next, start="latest", max_records=10, wait_s=5)
        assert [event.record.offset for event in page.events] == [3, 4]


async def test_a_page_comes_as_soon_as_there_is_something(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        reading = asyncio.create_task(feed.read(None, start="latest", max_records=10, wait_s=60))
        await until(lambda: feed._ring and feed.ring.layout)
        await asyncio.sleep(0.01)
        log.append(A0)
        page = await asyncio.wait_for(reading, 5)
        assert len(page.events) == 1


# ---- what is gone


def _lost(gone: Gone) -> list[tuple[object, ...]]:
    return [
        (part["topic"], part["partition"], part["position"], part["begins"], part["ends"])
        for part in gone.extra["lost"]
    ]


async def test_a_position_that_retention_has_passed_is_gone_once_and_reading_goes_on_behind_the_gap(
    log: ScriptedLog,
) -> None:
    log.append(A0, 20)
    async with feeding(log, ring=5) as feed:
        old = (await next_events(await feed.cursor(None, start="earliest"), 3))[2].position
        log.retain(A0, 8)
        cursor = await feed.cursor(old, start="latest")
        with pytest.raises(Gone) as gone:
            await cursor.next(10)
        assert _lost(gone.value) == [("a", 0, 3, 8, 20)]
        assert gone.value.extra["next"] == cursor.position
        assert await next_offsets(cursor, 12) == list(range(8, 20))
        with pytest.raises(Gone):
            await feed.read(old, start="latest", max_records=10, wait_s=1)
        page = await feed.read(gone.value.extra["next"], start="latest", max_records=1, wait_s=1)
        assert page.events[0].record.offset == 8


async def test_what_retention_takes_while_a_client_is_catching_up_is_said(log: ScriptedLog) -> None:
    log.append(A0, 20)
    async with feeding(log, ring=5) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 3) == [0, 1, 2]
        log.retain(A0, 8)
        with pytest.raises(Gone) as gone:
            await next_offsets(cursor, 10)
        assert _lost(gone.value) == [("a", 0, 3, 8, 20)]
        assert await next_offsets(cursor, 12) == list(range(8, 20))


async def test_the_first_offset_there_is_is_not_gone_though_the_record_before_it_is(log: ScriptedLog) -> None:
    log.append(A0, 20)
    async with feeding(log, ring=5) as feed:
        position = (await next_events(await feed.cursor(None, start="earliest"), 8))[7].position
        log.retain(A0, 8)
        assert await next_offsets(await feed.cursor(position, start="latest"), 12) == list(range(8, 20))


async def test_a_topic_made_anew_is_noticed_by_the_record_before_the_position(log: ScriptedLog) -> None:
    """The new log has that offset, too: only the timestamp tells."""
    log.append(A0, 20)
    async with feeding(log, ring=5) as feed:
        events = await next_events(await feed.cursor(None, start="earliest"), 20)
        in_log, in_ring = events[4].position, events[18].position
    log.make_anew("a", 1)
    log.append(A0, 30)
    async with feeding(log, ring=12) as feed:
        for position, at in ((in_log, 5), (in_ring, 19)):
            cursor = await feed.cursor(position, start="latest")
            await until(partial(_has_read, feed, 30))
            with pytest.raises(Gone) as gone:
                await cursor.next(10)
            assert _lost(gone.value) == [("a", 0, at, 0, 30)]
            assert await next_offsets(cursor, 30) == list(range(30))


async def test_a_position_ahead_of_the_log_is_gone(log: ScriptedLog) -> None:
    log.append(A0, 20)
    async with feeding(log) as feed:
        position = (await next_events(await feed.cursor(None, start="earliest"), 20))[19].position
    log.make_anew("a", 1)
    log.append(A0, 3)
    async with feeding(log) as feed:
        cursor = await feed.cursor(position, start="latest")
        with pytest.raises(Gone) as gone:
            await cursor.next(10)
        assert _lost(gone.value) == [("a", 0, 20, 0, 3)]
        assert await next_offsets(cursor, 3) == [0, 1, 2]


@pytest.mark.parametrize("records", [2, 30])  # fewer than were read, and more
async def test_a_topic_made_anew_while_it_is_read_is_told_to_all_who_read_it(log: ScriptedLog, records: int) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        cursors = [await feed.cursor(None, start="latest") for _ in range(2)]
        waiting = [asyncio.create_task(cursor.next(10)) for cursor in cursors]
        await until(lambda: feed.ring.tip[0].next_offset == 5)
        log.make_anew("a", 1)
        log.append(A0, records)
        for cursor, wait in zip(cursors, waiting, strict=True):
            with pytest.raises(Gone) as gone:
                await asyncio.wait_for(wait, 10)
            assert _lost(gone.value) == [("a", 0, 5, 0, records)]
            assert await next_offsets(cursor, records) == list(range(records))


async def test_a_reader_of_the_log_that_was_made_anew_behind_its_back_does_not_go_on_in_the_new_one(
    log: ScriptedLog,
) -> None:
    """Its client did not read meanwhile, so nothing was fetched that could have told it."""
    log.append(A0, 50)
    async with feeding(log, ring=5) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 3) == [0, 1, 2]
        log.tails[-1].is_blind = True
        log.make_anew("a", 1)
        log.append(A0, 60)
        await until(lambda: _has_read(feed, 60))
        with pytest.raises(Gone):
            await cursor.next(10)
        assert await next_offsets(cursor, 60) == list(range(60))


async def test_from_latest_means_the_end_of_the_log_made_anew_and_not_of_the_one_before(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        await feed.cursor(None, start="latest")
        await until(partial(_has_read, feed, 5))
        log.make_anew("a", 1)
        log.append(A0, 2)
        await until(partial(_has_read, feed, 2))
        cursor = await feed.cursor(None, start="latest")
        log.append(A0)
        assert await next_offsets(cursor, 1) == [2]


async def test_what_was_read_of_a_log_before_it_was_made_anew_says_nothing_of_where_the_ring_begins(
    log: ScriptedLog,
) -> None:
    log.append(A0)
    log.skip(A0, 4)
    async with feeding(log, ring=2) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 1) == [0]  # and nothing up to 5, while the ring begins at 3
        generation = feed.ring.generation
        log.make_anew("a", 1)
        log.append(A0, 5)
        await until(lambda: feed.ring.generation > generation)
        with pytest.raises(Gone):
            await next_offsets(cursor, 1)
        assert await next_offsets(cursor, 5) == [0, 1, 2, 3, 4]


async def test_a_partition_made_anew_is_told_of_although_another_brings_a_client_to_the_ring_first() -> None:
    old = ScriptedLog({"a": 2})
    old.append(A1)
    async with feeding(old) as feed:
        position = (await next_events(await feed.cursor(None, start="earliest"), 1))[0].position
    log = ScriptedLog({"a": 2})
    log.append(A0, 10)
    log.append(A1)
    log.parts[A1].records[0].timestamp += 1_000
    async with feeding(log, ring=2) as feed:
        cursor = await feed.cursor(position, start="latest")
        assert await next_offsets(cursor, 10) == list(range(10))  # of the first partition
        with pytest.raises(Gone) as gone:
            await next_offsets(cursor, 1)
        assert _lost(gone.value) == [("a", 1, 1, 0, 1)]
        assert await next_offsets(cursor, 1) == [0]


async def test_nothing_is_waited_for_of_a_log_made_anew_before_the_ring_was_filled(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log, is_stuck=True) as feed:
        position = (await feed.cursor(None, start="earliest")).position
        log.make_anew("a", 1)
        log.tails[0].is_stuck = False
        await until(lambda: len(log.tails[0].opened) > 1)  # it has tried again
        async with asyncio.timeout(1):
            await feed.cursor(position, start="latest")


async def test_a_client_from_latest_learns_the_record_before_it_from_those_that_it_skips(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log, is_stuck=True) as feed:
        cursor = await feed.cursor(None, start="latest")
        following = asyncio.create_task(cursor.next(10))  # at the end of a ring that has nothing yet
        await asyncio.sleep(0)
        log.tails[0].is_stuck = False
        await until(partial(_has_read, feed, 5))
        log.make_anew("a", 1)
        log.append(A0, 9)
        with pytest.raises(Gone):
            await asyncio.wait_for(following, 10)
        assert await next_offsets(cursor, 9) == list(range(9))


async def test_a_topic_made_anew_with_fewer_partitions_says_which_are_no_more() -> None:
    log = ScriptedLog({"a": 2})
    log.append(A1, 3)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 3) == [0, 1, 2]
        log.make_anew("a", 1)
        with pytest.raises(Gone) as gone:
            await asyncio.wait_for(cursor.next(10), 10)
        assert ("a", 1, 3, None, None) in _lost(gone.value)
        log.append(A0)
        assert await next_offsets(cursor, 1) == [0]


async def test_a_partition_of_which_nothing_was_read_yet_was_made_anew_with_those_that_show_it() -> None:
    log = ScriptedLog({"a": 2})
    log.append(A0, 3)
    log.append(A1)
    log.retain(A1, 1)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 3) == [0, 1, 2]  # and of the other there is nothing behind 1
        log.make_anew("a", 2)
        log.append(A1, 2)
        with pytest.raises(Gone) as gone:
            await asyncio.wait_for(cursor.next(10), 10)
        assert _lost(gone.value) == [("a", 0, 3, 0, 0), ("a", 1, 1, 0, 2)]
        assert await next_offsets(cursor, 2) == [0, 1]


async def test_a_partition_that_is_no_more_takes_along_those_of_which_nothing_was_read_yet() -> None:
    log = ScriptedLog({"a": 2})
    log.append(A0)
    log.retain(A0, 1)
    log.append(A1, 3)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="earliest")
        events = await next_events(cursor, 3)
        log.make_anew("a", 1)
        log.append(A0, 2)
        with pytest.raises(Gone):
            await asyncio.wait_for(cursor.next(10), 10)
        assert await next_offsets(cursor, 2) == [0, 1]
        cursor = await feed.cursor(events[-1].position, start="latest")
        with pytest.raises(Gone):
            await cursor.next(10)
        assert await next_offsets(cursor, 2) == [0, 1]


async def test_where_the_ring_of_a_new_replica_begins_the_log_is_asked_for_the_record_before(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        events = await next_events(await feed.cursor(None, start="earliest"), 5)
    log.make_anew("a", 1)
    log.append(A0, 9)
    async with feeding(log, ring=4) as feed:
        cursor = await feed.cursor(events[-1].position, start="latest")  # 5, where the ring begins
        await until(partial(_has_read, feed, 9))
        with pytest.raises(Gone) as gone:
            await cursor.next(10)
        assert _lost(gone.value) == [("a", 0, 5, 0, 9)]


async def test_what_the_log_lost_while_kafka_was_away_is_said(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")
        await until(lambda: feed.ring.tip[0].next_offset == 5)
        assert await is_quiet(cursor)
        log.is_away = True
        log.append(A0, 20)
        log.retain(A0, 15)
        log.is_away = False
        with pytest.raises(Gone) as gone:
            await next_offsets(cursor, 1)
        assert _lost(gone.value) == [("a", 0, 5, 15, 25)]
        assert await next_offsets(cursor, 10) == list(range(15, 25))


# ---- positions of others


async def test_positions_that_are_none_of_this_route_s_are_refused(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        position = (await feed.cursor(None, start="latest")).position
        with pytest.raises(BadToken):
            await feed.cursor("no position", start="latest")
        with pytest.raises(ForgedToken):
            await feed.cursor(position[:-2] + ("AA" if position[-2:] != "AA" else "BB"), start="latest")
    both = ScriptedLog({"a": 1, "b": 1})
    async with feeding(both, "a", "b") as feed:
        with pytest.raises(ForeignToken, match="is for a, and this route reads a, b"):
            await feed.cursor(position, start="latest")


async def test_a_position_of_another_cluster_is_gone_and_reading_goes_on_from_the_beginning(log: ScriptedLog) -> None:
    log.append(A0, 3)
    async with feeding(log) as feed:
        position = (await feed.cursor(None, start="latest")).position
    log.cluster = "cluster-2"
    async with feeding(log) as feed:
        cursor = await feed.cursor(position, start="latest")
        with pytest.raises(Gone, match="another Kafka cluster"):
            await cursor.next(10)
        assert await next_offsets(cursor, 3) == [0, 1, 2]


async def test_a_position_of_a_quicker_replica_is_taken_without_a_gap_or_a_repeat(log: ScriptedLog) -> None:
    log.append(A0, 10)
    async with feeding(log) as quick, feeding(log) as slow:
        events = await next_events(await quick.cursor(None, start="earliest"), 10)
        await until(lambda: slow._ring and slow.ring.tip[0].next_offset == 10)
        log.tails[2].is_stuck = True  # the reader of `slow`
        log.append(A0, 5)
        later = await next_events(await quick.cursor(events[9].position, start="latest"), 3)
        cursor = await slow.cursor(later[2].position, start="latest")
        assert [event.record.offset for event in await cursor.next(2)] == [13]  # from the log, after the one before it
        assert cursor.is_in_ring  # ahead of it, and known to continue it
        log.tails[2].is_stuck = False
        assert await next_offsets(cursor, 1) == [14]
        assert await is_quiet(cursor)


async def _ahead_of_a_stuck_replica(log: ScriptedLog, slow: Feed) -> Cursor:
    """A client that has seen 0 to 2, at a replica whose reader has seen none of them."""
    await until(lambda: slow._ring is not None)
    async with feeding(log) as quick:
        events = await next_events(await quick.cursor(None, start="earliest"), 3)
    cursor = await slow.cursor(events[2].position, start="latest")
    assert await is_quiet(cursor)
    assert cursor.is_in_ring
    return cursor


async def test_a_client_ahead_of_the_ring_is_told_when_the_log_gets_shorter(log: ScriptedLog) -> None:
    log.append(A0, 3)
    async with feeding(log, is_stuck=True) as slow:
        cursor = await _ahead_of_a_stuck_replica(log, slow)
        log.make_anew("a", 1)
        log.append(A0)
        with pytest.raises(Gone) as gone:
            await asyncio.wait_for(cursor.next(10), 10)
        assert _lost(gone.value) == [("a", 0, 3, 0, 1)]


async def test_a_client_ahead_of_the_ring_is_told_when_other_records_come_to_where_it_is(log: ScriptedLog) -> None:
    log.append(A0, 3)
    async with feeding(log, is_stuck=True) as slow:
        cursor = await _ahead_of_a_stuck_replica(log, slow)
        log.make_anew("a", 1)
        log.append(A0, 5)
        log.tails[0].is_stuck = False
        with pytest.raises(Gone) as gone:
            await asyncio.wait_for(cursor.next(10), 10)
        assert _lost(gone.value) == [("a", 0, 3, 0, 5)]
        assert await next_offsets(cursor, 5) == list(range(5))


# ---- topics and partitions that come and go


async def test_a_partition_that_appears_is_read_from_its_beginning_by_all(log: ScriptedLog) -> None:
    log.append(A0, 3)
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")
        before = cursor.position
        await until(lambda: feed.ring.tip[0].next_offset == 3)
        added = log.add_partition("a")
        log.append(added, 2)
        assert [(e.record.partition, e.record.offset) for e in await next_events(cursor, 2)] == [(1, 0), (1, 1)]
        again = await feed.cursor(before, start="latest")
        assert [(e.record.partition, e.record.offset) for e in await next_events(again, 2)] == [(1, 0), (1, 1)]
        assert cursor.position == again.position != before


async def test_a_client_in_the_log_gets_a_partition_that_appears_as_well(log: ScriptedLog) -> None:
    log.append(A0, 20)
    async with feeding(log, ring=3) as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 2) == [0, 1]
        added = log.add_partition("a")
        await until(lambda: len(feed.ring.tip) == 2)
        for number in range(10):  # one by one, so that the ring does not keep the first
            log.append(added)
            await until(partial(_has_read, feed, number + 1, 1))
        found = await next_events(cursor, 28)
        assert sorted((e.record.partition, e.record.offset) for e in found) == sorted(
            [(0, n) for n in range(2, 20)] + [(1, n) for n in range(10)]
        )


async def test_a_topic_that_is_missing_is_said_to_be_at_once_and_read_when_it_is_there(log: ScriptedLog) -> None:
    log.missing.add("a")
    async with feeding(log) as feed:
        with pytest.raises(TopicMissing):
            await asyncio.wait_for(feed.cursor(None, start="latest", wait_s=60), 5)
        log.missing.clear()
        log.append(A0, 2)
        await until(lambda: feed._ring is not None)
        assert await next_offsets(await feed.cursor(None, start="earliest"), 2) == [0, 1]


async def test_of_two_topics_the_one_that_is_there_is_read() -> None:
    log = ScriptedLog({"a": 1, "b": 1})
    log.missing.add("b")
    log.append(A0, 2)
    async with feeding(log, "a", "b") as feed:
        cursor = await feed.cursor(None, start="earliest")
        assert await next_offsets(cursor, 2) == [0, 1]
        log.missing.clear()
        log.append(Partition("b", 0))
        assert [(e.record.topic, e.record.offset) for e in await next_events(cursor, 1)] == [("b", 0)]


# ---- Kafka away


async def test_kafka_away_from_the_start_is_said_after_the_wait(log: ScriptedLog) -> None:
    log.is_away = True
    async with feeding(log) as feed:
        with pytest.raises(KafkaAway):
            await feed.read(None, start="latest", max_records=1, wait_s=0.05)
        log.is_away = False
        log.append(A0)
        page = await feed.read(None, start="earliest", max_records=1, wait_s=5)
        assert len(page.events) == 1


async def test_kafka_away_later_is_waited_for(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        cursor = await feed.cursor(None, start="latest")
        log.is_away = True
        await until(lambda: feed._trouble)
        page = await feed.read(cursor.position, start="latest", max_records=1, wait_s=0.01)
        assert (page.events, page.next) == ((), cursor.position)
        log.is_away = False
        log.append(A0, 3)
        assert await next_offsets(cursor, 3) == [0, 1, 2]


async def test_a_feed_ends_by_closing_its_reader(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        await next_events(await feed.cursor(None, start="earliest"), 0)
    assert all(tail.is_closed for tail in log.tails)


# ---- pages of what passes


async def _page(feed: Feed, position: str | None, *, max_records: int = 3, wait_s: float = 5, every: int = 3) -> Page:
    """Of records whose offset is divisible by `every`."""
    return await feed.read(
        position,
        start="earliest",
        max_records=max_records,
        wait_s=wait_s,
        passes=lambda event: event.record.offset % every == 0,
    )


@pytest.mark.parametrize("ring", [4, 1_000])
@pytest.mark.parametrize("max_records", [1, 3, 100])
async def test_pages_of_what_passes_miss_nothing_and_repeat_nothing(
    log: ScriptedLog, ring: int, max_records: int
) -> None:
    log.append(A0, 100)
    async with feeding(log, ring=ring) as feed:
        seen: list[int] = []
        position = None
        while len(seen) < 34:
            page = await _page(feed, position, max_records=max_records)
            assert len(page.events) <= max_records
            seen += [event.record.offset for event in page.events]
            position = page.next
        assert seen == list(range(0, 100, 3))
        assert not (await _page(feed, position, wait_s=0)).events


async def test_a_page_is_full_where_enough_passes(log: ScriptedLog) -> None:
    log.append(A0, 99)
    async with feeding(log) as feed:
        await feed.cursor(None, start="latest")
        await until(lambda: _has_read(feed, 99))
        assert [event.record.offset for event in (await _page(feed, None)).events] == [0, 3, 6]
        assert len((await _page(feed, None, max_records=100)).events) == 33


async def test_what_does_not_pass_is_gone_past_in_no_time(log: ScriptedLog) -> None:
    log.append(A0, 99)
    async with feeding(log) as feed:
        await feed.cursor(None, start="latest")
        await until(lambda: _has_read(feed, 99))
        began_s = asyncio.get_running_loop().time()
        page = await _page(feed, None, wait_s=0, every=1_000)
        assert [event.record.offset for event in page.events] == [0]
        nothing = await _page(feed, page.next, wait_s=0, every=1_000)
        assert not nothing.events
        assert asyncio.get_running_loop().time() - began_s < 0.1
        log.append(A0, 1)
        (event,) = (await _page(feed, nothing.next, wait_s=0.5, every=1)).events
        assert event.record.offset == 99


async def test_a_page_waits_for_the_first_that_passes_and_no_longer_than_it_may(log: ScriptedLog) -> None:
    async with feeding(log) as feed:
        start = (await _page(feed, None, wait_s=0.01)).next
        log.append(A0, 1)
        waiting = asyncio.create_task(_page(feed, (await _page(feed, start)).next, wait_s=20))
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        log.append(A0, 2)
        await until(lambda: _has_read(feed, 3))
        assert not waiting.done()
        log.append(A0, 1)
        page = await waiting
        assert [event.record.offset for event in page.events] == [3]
        assert loop.time() - began_s < 2
        began_s = loop.time()
        assert not (await _page(feed, page.next, wait_s=1)).events
        assert 0.9 < loop.time() - began_s < 1.5


async def test_what_passes_is_not_lost_when_something_after_it_is_gone(log: ScriptedLog) -> None:
    """The page ends before the gap; the next one tells of it."""
    log.append(A0, 40)
    async with feeding(log, ring=4) as feed:
        cursor = await feed.cursor(None, start="earliest")
        passed = 0

        def passes(event: FeedEvent) -> bool:
            nonlocal passed
            passed += 1
            if passed == 10:
                log.retain(A0, 30)
            return event.record.offset == 5

        page = await feed.read(cursor.position, start="earliest", max_records=10, wait_s=1, passes=passes)
        assert [event.record.offset for event in page.events] == [5]
        with pytest.raises(Gone) as gone:
            await _page(feed, page.next)
        (lost,) = gone.value.extra["lost"]
        assert (lost["position"], lost["begins"]) == (10, 30)


# ---- where a time is


async def test_a_client_from_a_time_begins_with_the_first_record_of_that_time_in_each_partition() -> None:
    log = ScriptedLog({"a": 2})
    log.append(A0, 3)  # at 1001, 1002, 1003
    log.append(A1, 2)  # at 1004, 1005
    log.append(A0, 1)  # at 1006
    async with feeding(log) as feed:
        for time_ms, expected in ((1_003, [(0, 2), (0, 3), (1, 0), (1, 1)]), (1_005, [(0, 3), (1, 1)]), (0, None)):
            events = await next_events(await feed.cursor(None, start=time_ms), len(expected or range(6)))
            found = sorted((event.record.partition, event.record.offset) for event in events)
            assert expected is None or found == expected
        late = await feed.cursor(None, start=9_999)
        assert await is_quiet(late)
        log.append(A1)
        assert await next_offsets(late, 1) == [2]


async def test_a_position_beats_a_time(log: ScriptedLog) -> None:
    log.append(A0, 5)
    async with feeding(log) as feed:
        position = (await next_events(await feed.cursor(None, start="earliest"), 3))[-1].position
        assert await next_offsets(await feed.cursor(position, start=0), 2) == [3, 4]
