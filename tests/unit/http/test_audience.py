"""Who keeps up is written to as one; who does not, leaves, and neither misses an event nor sees one twice."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from proxy.consume.feeds.position import Layout, Mark
from proxy.consume.feeds.ring import Chunk, Ring
from proxy.consume.token import Signer
from proxy.http.audience import Audience
from proxy.http.exchange import Connection, Piece
from proxy.observe.metrics import RouteMetrics
from proxy.record import Partition
from proxy.seams.feeds import FeedChunk, FeedCursor, FeedEvent, FeedReader
from tests.unit.consume.scripted_log import Logged
from tests.unit.wait import until

LAYOUT = Layout("cluster", {"t": 1}, Signer(["s"]))


class ScriptedFeed:
    """A ring that the test appends to."""

    def __init__(self, *, max_records: int = 1_000) -> None:
        self.ring = Ring(LAYOUT, LAYOUT.marks({Partition("t", 0): Mark(0)}), max_records=max_records, max_bytes=1 << 20)
        self.offset = 0
        self.news = asyncio.Event()

    def append(self, *values: bytes | None) -> None:
        self.ring.append([Logged("t", 0, self.offset + n, 1, value) for n, value in enumerate(values)])
        self.offset += len(values)
        self.news.set()
        self.news.clear()

    async def arrival(self) -> None:
        await self.news.wait()

    @property
    def newest(self) -> Chunk:
        return self.ring._chunks[-1]


class ScriptedCursor:
    """A client that has all there was when it was made."""

    def __init__(self, feed: ScriptedFeed) -> None:
        self.chunk: FeedChunk | None = feed.newest

    def went_to(self, chunk: FeedChunk) -> None:
        self.chunk = chunk


class ScriptedConnection:
    """Takes what it is given, until it is full."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.full_after = 1_000

    def push(self, piece: Piece) -> bool:
        assert piece.data, "an empty chunk would end the answer"
        if len(self.got) >= self.full_after:
            return False
        self.got.append(piece.data)
        return True


class Stream:
    """One that follows."""

    def __init__(self, audience: Audience, feed: ScriptedFeed) -> None:
        self.connection = ScriptedConnection()
        self.cursor = ScriptedCursor(feed)
        follow = audience.follow(cast("Connection", self.connection), cast("FeedCursor", self.cursor))
        self.task = asyncio.create_task(follow)

    @property
    def text(self) -> bytes:
        return b"".join(self.connection.got)


class House:
    def __init__(
        self, feed: ScriptedFeed, heartbeat_s: float = 60.0, passes: Callable[[FeedEvent], bool] | None = None
    ) -> None:
        self.feed = feed
        self.framed: list[bytes] = []
        self.metrics = RouteMetrics()
        self.audience = Audience(
            cast("FeedReader", feed),
            self._frame,
            lambda at: b"%b:\n" % (at or "").encode(),
            heartbeat_s,
            self.metrics,
            passes,
        )

    def _frame(self, event: FeedEvent) -> bytes:
        assert event.record.value is not None
        self.framed.append(event.record.value)
        return event.record.value + b";"

    async def streams(self, count: int) -> Sequence[Stream]:
        made = [Stream(self.audience, self.feed) for _ in range(count)]
        await until(lambda: len(self.audience) >= count)
        return made


async def test_everyone_gets_everything_and_it_is_framed_once() -> None:
    house = House(ScriptedFeed())
    streams = await house.streams(500)  # more than are written to at once
    house.feed.append(b"a", b"b")
    house.feed.append(b"c")
    await until(lambda: all(stream.text == b"a;b;c;" for stream in streams))
    assert house.framed == [b"a", b"b", b"c"]
    await _leave(streams)


async def test_who_comes_later_gets_what_comes_then() -> None:
    house = House(ScriptedFeed())
    (early,) = await house.streams(1)
    house.feed.append(b"a")
    await until(lambda: early.text == b"a;")
    late = Stream(house.audience, house.feed)
    await until(lambda: len(house.audience) == 2)
    house.feed.append(b"b")
    await until(lambda: early.text == b"a;b;" and late.text == b"b;")
    await _leave([early, late])


async def test_who_has_not_all_there_is_is_not_let_in() -> None:
    feed = ScriptedFeed()
    house = House(feed)
    stream = Stream(house.audience, feed)
    stream.cursor.chunk = feed.newest
    feed.append(b"a")  # before it is in
    assert await stream.task is False


@pytest.mark.parametrize("full_after", [0, 1, 2])
async def test_who_is_full_leaves_and_stands_behind_what_it_was_given(full_after: int) -> None:
    house = House(ScriptedFeed())
    slow, fast = await house.streams(2)
    slow.connection.full_after = full_after
    for value in (b"a", b"b", b"c"):
        house.feed.append(value)
        await until(lambda value=value: fast.text.endswith(value + b";"))  # type: ignore[misc]
    assert await slow.task is True
    assert len(house.audience) == 1
    given: list[bytes] = []
    chunk = slow.cursor.chunk
    while chunk is not None and chunk.next is not None:
        chunk = chunk.next
        given += [event.record.value or b"" for event in chunk.events]
    assert slow.text + b"".join(value + b";" for value in given) == b"a;b;c;"
    await _leave([fast])


async def test_who_goes_away_leaves_at_once() -> None:
    house = House(ScriptedFeed())
    goes, stays = await house.streams(2)
    goes.task.cancel()
    await asyncio.wait([goes.task])
    assert len(house.audience) == 1
    house.feed.append(b"a")
    await until(lambda: stays.text == b"a;")
    assert goes.text == b""
    await _leave([stays])


async def test_a_ring_that_goes_on_without_it_sends_everyone_to_the_log() -> None:
    house = House(ScriptedFeed())
    streams = await house.streams(3)
    house.feed.ring.clear(LAYOUT, LAYOUT.marks({Partition("t", 0): Mark(9)}))
    house.feed.news.set()
    assert all([await stream.task for stream in streams])
    assert all(stream.cursor.chunk is not None and stream.cursor.chunk.is_evicted for stream in streams)


async def test_an_overrun_ring_loses_nobody_anything() -> None:
    """More comes between two turns of the audience than the ring holds: whoever missed some of it leaves."""
    feed = ScriptedFeed(max_records=2)
    house = House(feed)
    streams = await house.streams(2)
    for number in range(6):
        feed.append(b"%d" % number)
    assert all([await stream.task for stream in streams])
    assert [stream.text for stream in streams] == [b"", b""]


async def test_a_chunk_without_events_is_passed_over() -> None:
    feed = ScriptedFeed()
    house = House(feed)
    (stream,) = await house.streams(1)
    feed.ring.grow(Layout("cluster", {"t": 2}, Signer(["s"])))
    feed.append(b"a")
    await until(lambda: stream.text == b"a;")
    await _leave([stream])


async def test_silence_is_broken_by_a_heartbeat() -> None:
    house = House(ScriptedFeed(), heartbeat_s=0.02)
    (stream,) = await house.streams(1)
    await until(lambda: len(stream.connection.got) >= 2)
    assert set(stream.connection.got) == {b":\n"}
    await _leave([stream])


async def test_an_audience_with_a_filter_gets_what_passes() -> None:
    house = House(ScriptedFeed(), passes=lambda event: event.record.value in (b"b", b"d"))
    streams = await house.streams(3)
    for value in (b"a", b"b", b"c", b"d"):
        house.feed.append(value)
    await until(lambda: all(stream.text == b"b;d;" for stream in streams))
    assert house.framed == [b"b", b"d"]
    await _leave(streams)


async def test_where_nothing_passes_the_heartbeat_comes_all_the_same_and_says_how_far_it_is() -> None:
    house = House(ScriptedFeed(), heartbeat_s=0.05, passes=lambda _: False)
    (stream,) = await house.streams(1)
    positions = [house.feed.newest.position.encode() + b":\n"]
    async with asyncio.timeout(3):
        while len(set(stream.connection.got)) < 3:  # never silent for as long as a heartbeat
            house.feed.append(b"a")
            positions.append(house.feed.newest.position.encode() + b":\n")
            await asyncio.sleep(0.005)
    got = stream.connection.got
    assert [positions.index(each) for each in got] == sorted(positions.index(each) for each in got)
    await _leave([stream])


async def test_a_heartbeat_never_says_more_than_its_stream_was_given() -> None:
    """Somebody new stands behind a chunk that the others have not been given yet."""
    feed = ScriptedFeed()
    house = House(feed, heartbeat_s=60.0, passes=lambda _: True)
    (early,) = await house.streams(1)
    before = feed.newest.position.encode()
    feed.ring.append([Logged("t", 0, 0, 1, b"a")])  # and the news has not gone round
    late = Stream(house.audience, feed)
    await until(lambda: len(house.audience) == 2)
    await house.audience._beat()
    assert early.connection.got == [before + b":\n"]
    assert late.connection.got == [feed.newest.position.encode() + b":\n"]
    await _leave([early, late])


async def test_what_was_written_is_counted() -> None:
    house = House(ScriptedFeed())
    streams = await house.streams(4)
    house.feed.append(b"four")
    await until(lambda: all(stream.text for stream in streams))
    assert (house.metrics._delivered.records, house.metrics._delivered.size_bytes) == (4, 16)
    await _leave(streams)


async def test_when_it_fails_everyone_leaves_and_it_is_told() -> None:
    """Each goes on at its own pace then: nobody sits in silence, without even a heartbeat."""
    house, told = House(ScriptedFeed()), list[Any]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context["exception"]))
    streams = await house.streams(2)
    before = house.feed.newest
    house.feed.append(None)  # which this house cannot frame
    async with asyncio.timeout(5):
        assert await asyncio.gather(*(stream.task for stream in streams)) == [True, True]
    assert [stream.cursor.chunk for stream in streams] == [before, before]
    assert [type(each) for each in told] == [AssertionError]


async def test_an_empty_audience_has_no_task() -> None:
    house = House(ScriptedFeed())
    streams = await house.streams(2)
    await _leave(streams)
    house.feed.append(b"a")
    await until(lambda: not _showing())


def _showing() -> Sequence[asyncio.Task[Any]]:
    return [task for task in asyncio.all_tasks() if task.get_name() == "show a feed"]


async def _leave(streams: Sequence[Stream]) -> None:
    for stream in streams:
        stream.task.cancel()
    await asyncio.wait([stream.task for stream in streams])
