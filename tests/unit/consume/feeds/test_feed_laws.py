"""The law of a feed, for any interleaving: each client, per partition, sees every record once and in order.

Clients come and go, read pages or stay, resume by the position of any event they have seen, on either of two
replicas; records and offsets without records are appended; readers get stuck; the ring is overrun. Retention takes
records away, and a topic is made anew: then, and only then, a client is told Gone, with the range that it lost.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.consume.feeds.cursor import Cursor
from proxy.consume.feeds.feed import Feed
from proxy.consume.feeds.position import Mark, read_token
from proxy.errors import Gone, Overloaded
from proxy.record import Partition
from proxy.seams.feeds import FeedEvent
from tests.unit.consume.feeds.test_feed import SIGNER, feeding
from tests.unit.consume.scripted_log import Part, ScriptedLog, until

VIRTUAL_TIME = True

PARTITIONS = (Partition("a", 0), Partition("a", 1), Partition("b", 0))
CLIENTS = 3

partitions = st.sampled_from(PARTITIONS)
clients = st.integers(0, CLIENTS - 1)
actions = st.one_of(
    st.tuples(st.just("append"), partitions, st.integers(1, 6)),
    st.tuples(st.just("append"), partitions, st.integers(1, 6)),
    st.tuples(st.just("skip"), partitions, st.integers(1, 3)),
    st.tuples(st.just("turn"), st.integers(1, 12), st.none()),
    st.tuples(st.just("next"), clients, st.integers(1, 5)),
    st.tuples(st.just("next"), clients, st.integers(1, 5)),
    st.tuples(st.just("page"), clients, st.integers(1, 5)),
    st.tuples(st.just("resume"), clients, st.integers(0, 8)),
    st.tuples(st.just("stick"), st.integers(0, 1), st.booleans()),
)
losses = st.one_of(
    st.tuples(st.just("retain"), partitions, st.integers(1, 10)),
    st.tuples(st.just("anew"), st.sampled_from(["a", "b"]), st.none()),
)


@dataclass
class Client:
    """What one client has seen, and what it was told."""

    name: int
    cursor: Cursor | None = None
    position: str | None = None  # from where it goes on
    start: str | None = None  # before the first of `events`
    events: list[FeedEvent] = field(default_factory=list)  # those that it may go back to
    seen: dict[Partition, list[tuple[int, int]]] = field(default_factory=dict)
    lost: dict[Partition, list[tuple[int, int]]] = field(default_factory=dict)  # (position, where the log begins)
    fresh: dict[Partition, int] = field(default_factory=dict)  # how many were seen when it was told of a log made anew
    doubted: dict[Partition, int] = field(default_factory=dict)  # up to there, nothing shows that the log is another

    def positions(self) -> Iterator[Mapping[Partition, Mark]]:
        """Where it is, and where it may go back to."""
        here = self.cursor.position if self.cursor else self.position
        for token in {here, self.start, *(event.position for event in self.events)}:
            if token is not None:
                yield read_token(token, SIGNER, "cluster-1", ["a", "b"])

    def begin(self, log: ScriptedLog) -> None:
        """What the log had lost before the client first came was never the client's to lose."""
        if self.position is None:
            self.lost = {partition: [(0, part.begins)] for partition, part in log.parts.items() if part.begins}

    def take(self, events: Sequence[FeedEvent]) -> None:
        for event in events:
            partition = Partition(event.record.topic, event.record.partition)
            seen = self.seen.setdefault(partition, [])
            record = (event.record.offset, event.record.timestamp)
            assert record not in seen[self.fresh.get(partition, 0) :], (self, record)
            seen.append(record)
        self.events += events

    def forget_after(self, back: int) -> str | None:
        """Go back to an earlier event, as a client whose last answers were lost."""
        kept = len(self.events) - back
        if not self.events or kept < 0 or self.cursor is None:
            return None
        for event in self.events[kept:]:
            self.seen[Partition(event.record.topic, event.record.partition)].pop()
        del self.events[kept:]
        return self.events[-1].position if self.events else self.start

    def stand(self, position: str) -> None:
        """It goes on here, and never goes back behind this."""
        self.position = self.start = position
        self.events.clear()


class Play:
    def __init__(self, log: ScriptedLog, replicas: Sequence[Feed]) -> None:
        self.log = log
        self.replicas = replicas
        self.clients = [Client(n) for n in range(CLIENTS)]
        self.turns = 0
        self.anew: set[str] = set()
        self.written: dict[Partition, set[int]] = {p: {r.offset for r in part.records} for p, part in log.parts.items()}

    @property
    def feed(self) -> Feed:
        """Any replica serves any client."""
        self.turns += 1
        return self.replicas[self.turns % len(self.replicas)]

    async def cursor(self, client: Client) -> Cursor:
        if client.cursor is None:
            client.begin(self.log)
            client.cursor = await self.feed.cursor(client.position, start="earliest")
            client.start = client.start or client.cursor.position
        return client.cursor

    async def step(self, client: Client, count: int, within_s: float = 0.02) -> bool:
        """False: nothing came."""
        cursor = await self.cursor(client)
        try:
            async with asyncio.timeout(within_s):
                client.take(await cursor.next(count))
        except (TimeoutError, Overloaded):
            return False
        except Gone as gone:
            self.lose(client, gone)
        return True

    def lose(self, client: Client, gone: Gone) -> None:
        """After a Gone nothing that was seen before can be gone back to. Of a log made anew, all before `begins` is."""
        for part in gone.extra["lost"]:
            partition = Partition(part["topic"], part["partition"])
            since = part["position"]
            if partition.topic in self.anew:
                since, client.fresh[partition] = 0, len(client.seen.get(partition, []))
            client.lost.setdefault(partition, []).append((since, part["begins"]))
        client.stand(gone.extra["next"])

    async def play(self, action: tuple[str, Any, Any]) -> None:
        name, subject, amount = action
        await getattr(self, f"do_{name}")(subject, amount)

    async def do_append(self, partition: Partition, count: int) -> None:
        self.written[partition].update(record.offset for record in self.log.append(partition, count))

    async def do_skip(self, partition: Partition, count: int) -> None:
        if partition.topic not in self.anew:  # where a new log has no record before a position, nothing can tell
            self.log.skip(partition, count)

    async def do_turn(self, turns: int, _: None) -> None:
        for _turn in range(turns):
            await asyncio.sleep(0)

    async def do_next(self, who: int, count: int) -> None:
        await self.step(self.clients[who], count)

    async def do_page(self, who: int, count: int) -> None:
        await self.page(self.clients[who], count)

    async def do_resume(self, who: int, back: int) -> None:
        self.resume(self.clients[who], back)

    async def do_stick(self, which: int, is_stuck: bool) -> None:
        self.replicas[which]._tail.is_stuck = is_stuck  # type: ignore[attr-defined]

    async def do_retain(self, partition: Partition, count: int) -> None:
        part = self.log.parts[partition]
        if partition.topic in self.anew:
            self.doubt(partition.topic, although_known=True)
        self.log.retain(partition, min(part.ends, part.begins + count))

    async def do_anew(self, topic: str, _: None) -> None:
        self.doubt(topic, although_known=False)
        self.log.make_anew(topic, sum(p.topic == topic for p in PARTITIONS))
        self.anew.add(topic)
        self.written |= {p: set() for p in PARTITIONS if p.topic == topic}

    def doubt(self, topic: str, *, although_known: bool) -> None:
        """A topic made anew shows by a record before a position: not where none was read, or where it is gone again.

        A client that has read nothing may still be let into a ring that has read nothing either, further on.
        """
        begun = [feed.ring for feed in self.replicas if feed._ring]
        rings = [ring.layout.by_partition(ring.tip) for ring in begun]
        for client in self.clients:
            for position in client.positions():
                marks = {partition: mark for partition, mark in position.items() if partition.topic == topic}
                unknown = {partition: mark for partition, mark in marks.items() if mark.timestamp_ms is None}
                if although_known or marks == unknown:
                    for partition, mark in unknown.items():
                        marks_of_nothing = [m for ring in rings if (m := ring[partition]).timestamp_ms is None]
                        doubted = max(m.next_offset for m in (mark, *marks_of_nothing))
                        client.doubted[partition] = max(doubted, client.doubted.get(partition, 0))

    def resume(self, client: Client, back: int) -> None:
        position = client.forget_after(back)
        if position is not None and client.cursor is not None:
            client.cursor.close()
            client.cursor, client.position = None, position

    async def page(self, client: Client, count: int) -> None:
        """The client reads a page at whichever replica, and goes on behind it."""
        self.resume(client, 0)
        if client.cursor is not None:
            return
        client.begin(self.log)
        with contextlib.suppress(Overloaded):
            try:
                page = await self.feed.read(client.position, start="earliest", max_records=count, wait_s=0.01)
            except Gone as gone:
                self.lose(client, gone)
            else:
                client.take(page.events)
                client.stand(page.next)

    async def drain(self) -> None:
        """Unstick everything, and read until all clients have what there is."""
        for feed in self.replicas:
            feed._tail.is_stuck = False  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            for client in self.clients:
                await self.settle()
                while await self.step(client, 10, within_s=0.05) or not (await self.cursor(client)).is_in_ring:
                    pass

    async def settle(self) -> None:
        """Until the readers have everything.

        A log made anew just as a reader begins, at what is its end now, shows only once something is written to it.
        """
        try:
            async with asyncio.timeout(5):
                await until(lambda: all(map(self.has_read, self.replicas)))
        except TimeoutError:
            for partition in self.log.parts:
                if partition.topic in self.anew:
                    await self.do_append(partition, 1)
            await until(lambda: all(map(self.has_read, self.replicas)))

    def has_read(self, feed: Feed) -> bool:
        """A reader that was interrupted knows nothing of the log until it has tried again."""
        if feed._ring is None or not feed._tail.has_read_all:  # type: ignore[attr-defined]
            return False
        tips = feed.ring.layout.by_partition(feed.ring.tip)
        return all(_is_at_the_end(tips[p], part) for p, part in self.log.parts.items())


def _is_at_the_end(tip: Mark, part: Part) -> bool:
    """Of this log, and not of one that was there before it."""
    last = part.records[-1] if part.records else None
    is_its_own = last is None or tip.timestamp_ms in (None, last.timestamp)
    return is_its_own and (last.offset if last else -1) < tip.next_offset <= part.ends


@pytest.mark.timeout(300)
@given(st.lists(actions, max_size=40), st.integers(2, 12), st.integers(1, 2))
async def test_every_client_sees_every_record_once_and_in_order(
    script: list[tuple[str, Any, Any]], ring: int, readers: int
) -> None:
    log = ScriptedLog({"a": 2, "b": 1})
    log.append(PARTITIONS[0], 3)
    bounds = {"ring": ring, "readers": readers}
    async with feeding(log, "a", "b", **bounds) as one, feeding(log, "a", "b", **bounds) as other:  # type: ignore[arg-type]
        play = Play(log, [one, other])
        for action in script:
            await play.play(action)
        await play.drain()
        for client in play.clients:
            assert not client.lost
            for partition, part in log.parts.items():
                assert [offset for offset, _ in client.seen.get(partition, [])] == [r.offset for r in part.records]


@pytest.mark.timeout(300)
@given(st.lists(st.one_of(actions, actions, losses), max_size=40), st.integers(2, 12))
@example(  # what was written while the readers were interrupted is gone again when they go on
    script=[
        ("anew", "a", None),
        ("next", 0, 1),
        ("anew", "a", None),
        ("append", PARTITIONS[0], 1),
        ("turn", 1, None),
        ("retain", PARTITIONS[0], 1),
    ],
    ring=2,
)
@example(  # a partition of which the client knows no record, made anew with one of which it does
    script=[
        ("append", PARTITIONS[1], 1),
        ("retain", PARTITIONS[1], 1),
        ("next", 0, 1),
        ("anew", "a", None),
        ("append", PARTITIONS[1], 1),
    ],
    ring=2,
)
@example(  # a client that knows a record which the ring, that goes on after it, does not
    script=[
        ("append", PARTITIONS[2], 2),
        ("stick", 0, True),
        ("next", 0, 1),
        ("next", 1, 4),
        ("anew", "b", None),
        ("append", PARTITIONS[2], 1),
    ],
    ring=2,
)
@example(  # made anew, and what was written to it gone again before a client comes: it was at an offset beyond
    script=[
        ("skip", PARTITIONS[1], 1),
        ("append", PARTITIONS[1], 1),
        ("next", 0, 4),
        ("anew", "a", None),
        ("append", PARTITIONS[1], 1),
        ("retain", PARTITIONS[1], 1),
    ],
    ring=2,
)
@example(  # made anew after a client has read past what held no records, up to where the ring begins
    script=[("skip", PARTITIONS[2], 2), ("next", 0, 3), ("anew", "b", None), ("append", PARTITIONS[2], 1)],
    ring=2,
)
@example(
    script=[("skip", PARTITIONS[2], 2), ("next", 0, 3), ("anew", "b", None), ("append", PARTITIONS[2], 4)],
    ring=2,
)
@example(  # made anew with a record where the ring, which does not know it yet, has seen that there is none
    script=[
        ("skip", PARTITIONS[2], 1),
        ("next", 0, 1),
        ("anew", "b", None),
        ("append", PARTITIONS[2], 1),
        ("page", 0, 4),
        ("next", 0, 1),
    ],
    ring=2,
)
@example(  # made anew just as a reader begins, which stands at the end of the new log then, and sees nothing wrong
    script=[
        ("next", 0, 4),
        ("skip", PARTITIONS[2], 2),
        ("retain", PARTITIONS[2], 1),
        ("append", PARTITIONS[0], 2),
        ("stick", 1, False),
        ("skip", PARTITIONS[0], 2),
        ("next", 0, 3),
        ("anew", "a", None),
        ("append", PARTITIONS[0], 2),
        ("retain", PARTITIONS[0], 9),
    ],
    ring=6,
)
async def test_what_a_client_does_not_see_it_was_told_to_be_lost(script: list[tuple[str, Any, Any]], ring: int) -> None:
    """What is in the log at the end it has seen, in order, in one piece behind the last loss; no record twice.

    A replica that does not yet know of a log made anew shows those of the old one again, to whom another told of it.
    """
    log = ScriptedLog({"a": 2, "b": 1})
    log.append(PARTITIONS[0], 3)
    async with feeding(log, "a", "b", ring=ring) as one, feeding(log, "a", "b", ring=ring) as other:
        play = Play(log, [one, other])
        for action in script:
            await play.play(action)
        await play.drain()
        for client in play.clients:
            for partition, part in log.parts.items():
                seen = client.seen.get(partition, [])
                doubted = client.doubted.get(partition, 0)
                there = [(record.offset, record.timestamp) for record in part.records if record.offset >= doubted]
                assert seen[len(seen) - len(there) :] == there, (client, partition)
                told = {n for at, begins in client.lost.get(partition, []) for n in range(at, begins)}
                missed = play.written[partition] - {offset for offset, _ in seen} - set(range(doubted))
                assert missed <= told, (client, partition)
