"""Reading without a group: every client sees everything, at its own position.

One feed a set of topics and process: one reader for all its clients, a ring of the newest records, and for clients
that are further behind the log itself (`cursor.py`). At the start the reader begins behind the end, so that clients
that come back find themselves in the ring. A client costs no task and no polling: what arrives wakes all that wait.
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence

from proxy.clock import Deadline, now_s
from proxy.consume.feeds.catchup import CatchUp
from proxy.consume.feeds.cursor import Cursor
from proxy.consume.feeds.overlap import Bounds, MadeAnew, Overlap
from proxy.consume.feeds.position import Layout, Mark, read_token
from proxy.consume.feeds.ring import FeedEvent, Ring
from proxy.consume.token import Signer
from proxy.errors import Gone, KafkaAway, ProxyError, TopicMissing
from proxy.observe.logs import logger
from proxy.record import Partition
from proxy.seams.feeds import FeedEvent as AnyEvent
from proxy.seams.feeds import NewTail, Page, Start
from proxy.seams.topics import Topics

RING_RECORDS = 10_000
RING_BYTES = 8 * 1024 * 1024
FETCH_RECORDS = 1_000
FETCH_S = 1.0
LOOK_S = 1.0  # between two looks for partitions that have appeared
ASK_S = 5.0  # for what Kafka should answer at once
CATCH_UP_S = 2.0  # a read that has to go to the log gets at least so long
FILL_S = 5.0
RETRY_S = (0.2, 0.5, 1.0, 2.0)
PARKED = 64  # cursors that wait for the next page of their client

log = logger("feed")

ANYWHERE = (0, 1 << 63)  # the bounds of a partition whose topic is missing now: nothing can be said against a position


class Feed:
    """See `seams.FeedReader`. `run` does the reading, in a task of its owner; until it has begun clients wait."""

    def __init__(
        self,
        names: Sequence[str],
        new_tail: NewTail,
        topics: Topics,
        signer: Signer,
        catch_up: CatchUp,
        *,
        ring_records: int = RING_RECORDS,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        self.names = tuple(sorted(set(names)))
        self._tail = new_tail()
        self._asks = new_tail()  # questions on a connection of their own, where no fetch is before them
        self._topics = topics
        self._signer = signer
        self._catch_up = catch_up
        self._ring_records = ring_records
        self._ring_bytes = ring_bytes
        self._ring: Ring | None = None
        self._ends: dict[Partition, int] = {}  # of the log, when the ring began there: what is before is not news
        self._is_filled = False  # the ring has come up to there
        self._trouble: ProxyError | None = None
        self._news = asyncio.Event()  # set and cleared at once: wakes all that wait now
        self._looked_s = 0.0
        self._parked: dict[str, Cursor] = {}  # by the position they stand at, longest parked first

    def __repr__(self) -> str:
        return f"<Feed of {', '.join(self.names)}: {self._ring or self._trouble or 'not begun'}>"

    # ---- what clients ask for

    async def read(
        self,
        position: str | None,
        *,
        start: Start,
        max_records: int,
        wait_s: float,
        passes: Callable[[AnyEvent], bool] | None = None,
    ) -> Page:
        """See `seams.FeedReader.read`."""
        deadline = Deadline.after(wait_s)
        parked = self._parked.pop(position, None) if position is not None else None
        cursor = parked or await self.cursor(position, start=start, wait_s=wait_s)
        try:
            if passes is not None:
                return await _passing(cursor, max_records, deadline, passes)
            return Page(await _step(cursor, max_records, deadline.remaining_s()) or (), cursor.position)
        finally:
            self._park(cursor)

    def _park(self, cursor: Cursor) -> None:
        """Keep the cursor of a page that came from the log: the next page begins where its reader stands."""
        if cursor.is_in_ring:
            cursor.close()
            return
        self._parked[cursor.position] = cursor
        if len(self._parked) > PARKED:
            self._parked.pop(next(iter(self._parked))).close()

    async def cursor(self, position: str | None, *, start: Start, wait_s: float = ASK_S) -> Cursor:
        """See `seams.FeedReader.cursor`."""
        await self._begun(wait_s)
        layout = self.ring.layout
        if position is not None:
            await self._filled()
            return await self._resumed(position, layout)
        return Cursor(self, self._catch_up, await self._first(start, layout), trusted=True)

    async def _begun(self, wait_s: float) -> None:
        """Wait until the ring is there. Raises TopicMissing and its kin as soon as that is known, else KafkaAway."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self._ring is None and not (self._trouble and not isinstance(self._trouble, KafkaAway)):
                    await self._news.wait()
        if self._ring is None:
            raise self._trouble or KafkaAway("Kafka has not been reached since the bridge started. Try again.")

    async def _filled(self) -> None:
        """Wait, at the start, until the ring has what the log had then: else all that come back would go to the log."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FILL_S):
                while not self._is_filled:
                    await self._news.wait()

    async def _resumed(self, position: str, layout: Layout) -> Cursor:
        try:
            marks = read_token(position, self._signer, layout.cluster_id, self.names)
        except Gone as exc:  # of another cluster: told by `next`, as any other loss is
            cursor = Cursor(self, self._catch_up, await self._earliest(layout), trusted=True)
            cursor.lose(Gone(exc.detail, extra={"lost": [], "next": cursor.position}))
            return cursor
        return Cursor(self, self._catch_up, marks, trusted=False)

    async def _first(self, start: Start, layout: Layout) -> dict[Partition, Mark]:
        if start == "latest":
            return self._latest()
        return await (self._earliest(layout) if start == "earliest" else self._since(start, layout))

    def _latest(self) -> dict[Partition, Mark]:
        """The end as of now; at the start, while the ring is filled with what was there, the end as it was then."""
        tip = self.ring.layout.by_partition(self.ring.tip)
        return {p: mark if mark.next_offset >= self._ends.get(p, 0) else Mark(self._ends[p]) for p, mark in tip.items()}

    async def _earliest(self, layout: Layout) -> dict[Partition, Mark]:
        return {p: Mark(begins) for p, (begins, _) in (await self.bounds(layout.partitions)).items()}

    async def _since(self, time_ms: int, layout: Layout) -> dict[Partition, Mark]:
        """The first record of that time or later; the end, where there is none."""
        bounds = await self.bounds(layout.partitions)
        known = [p for p, limits in bounds.items() if limits is not ANYWHERE]
        found = await self._asks.first_since(known, time_ms, Deadline.after(ASK_S)) if known else {}
        return {p: Mark(found.get(p, ends if p in known else begins)) for p, (begins, ends) in bounds.items()}

    # ---- what cursors ask for

    @property
    def ring(self) -> Ring:
        assert self._ring is not None, "a cursor is made once there is a ring"
        return self._ring

    async def arrival(self) -> None:
        await self._news.wait()

    async def bounds(self, partitions: Sequence[Partition]) -> Bounds:
        present = [p for p in partitions if p.partition < self._count(p.topic)]
        known = await self._asks.bounds(present, Deadline.after(ASK_S)) if present else {}
        return {partition: known.get(partition, ANYWHERE) for partition in partitions}

    # ---- reading

    async def run(self) -> None:
        """Read, for ever. Ends when it is cancelled, and closes its reader then."""
        failures = 0
        try:
            while True:
                try:
                    await self._follow()
                    failures = 0
                except ProxyError as exc:
                    failures = self._failed(exc, failures)
                except Exception as exc:  # noqa: BLE001 - a feed that has ended would be silent for ever
                    log.error("feed_failed", exc=exc, topics=",".join(self.names))
                    failures = self._failed(KafkaAway("The feed's reader has failed. Try again."), failures)
                if failures:
                    await asyncio.sleep(RETRY_S[min(failures, len(RETRY_S)) - 1])
        finally:
            await self._tail.close()
            await self._asks.close()

    def _failed(self, trouble: ProxyError, failures: int) -> int:
        if type(trouble) is not type(self._trouble):
            log.warning("feed_interrupted", topics=",".join(self.names), reason=trouble.detail)
        self._trouble = trouble
        self._wake()
        return failures + 1

    def _wake(self) -> None:
        self._news.set()
        self._news.clear()

    async def _follow(self) -> None:
        """Read on from the ring's tip until something needs a new beginning. Raises KafkaAway, TopicMissing."""
        for name in self.names:
            with contextlib.suppress(TopicMissing):
                await self._topics.find(name, Deadline.after(ASK_S))
        if not any(map(self._count, self.names)):
            self._topics.get(self.names[0])
        ring = await self._fitted()
        at = {p: mark for p, mark in ring.layout.by_partition(ring.tip).items() if p.partition < self._count(p.topic)}
        try:
            overlap = Overlap(at, await self.bounds(list(at)))
            if overlap.is_blind:  # a client may know better
                ring.clear(ring.layout, ring.tip)
            await self._tail.open(overlap.starts)
            self._trouble = None
            self._wake()
            while not self._has_changed():
                records = overlap.admit(await self._tail.fetch(timeout_s=FETCH_S, max_records=FETCH_RECORDS))
                if records:
                    ring.append(records)
                ring.scan({partition: self._tail.position(partition) or 0 for partition in at})
                if records or not self._is_filled:
                    self._is_filled = self._is_filled or self._has_reached(self._ends)
                    self._wake()
        except MadeAnew as exc:
            await self._jump(ring, {exc.partition})
        except Gone:
            await self._jump(ring, set())

    def _has_reached(self, ends: Mapping[Partition, int]) -> bool:
        """Whether all before these offsets was read. Nothing is waited for of a partition that is not read."""
        positions = {partition: self._tail.position(partition) for partition in ends}
        return all(position is None or position >= ends[partition] for partition, position in positions.items())

    async def _fitted(self) -> Ring:
        """The ring, made or fitted to the partitions that there are now, with a tip that the log has."""
        old = self._ring.layout if self._ring else None
        counts = {name: self._count(name) or (old.counts[name] if old else 0) for name in self.names}
        layout = Layout(self._topics.cluster_id(), counts, self._signer)
        layout.refuse_too_wide()
        if self._ring is None or old is None:
            self._ring = await self._new_ring(layout)
        elif counts != old.counts or layout.cluster_id != old.cluster_id:
            log.info("feed_partitions_changed", topics=",".join(self.names), partitions=len(layout.partitions))
            if layout.index.keys() >= old.index.keys() and layout.cluster_id == old.cluster_id:
                self._ring.grow(layout)
            else:
                self._ring.clear(layout, layout.marks(old.by_partition(self._ring.tip)))
        await self._jump(self._ring, set())
        return self._ring

    async def _new_ring(self, layout: Layout) -> Ring:
        bounds = await self.bounds(layout.partitions)
        share = max(1, self._ring_records // max(1, len(layout.partitions)))  # one at least: to know it again
        known = {p: limits for p, limits in bounds.items() if limits is not ANYWHERE}
        self._ends = {p: end for p, (_, end) in known.items()}
        start = layout.marks({p: Mark(max(begin, end - share)) for p, (begin, end) in known.items()})
        return Ring(layout, start, max_records=self._ring_records, max_bytes=self._ring_bytes)

    async def _jump(self, ring: Ring, made_anew: set[Partition]) -> None:
        """Where the log does not have the tip (any more), go on at its beginning; each client is told what it lost."""
        tip = ring.layout.by_partition(ring.tip)
        bounds = await self.bounds(ring.layout.partitions)
        moved = made_anew | {p for p, mark in tip.items() if not bounds[p][0] <= mark.next_offset <= bounds[p][1]}
        for p in sorted(moved):
            log.warning("feed_gap", topic=p.topic, partition=p.partition, at=tip[p].next_offset, begins=bounds[p][0])
            tip[p] = Mark(bounds[p][0])
        present = {p: end for p, (_, end) in bounds.items() if bounds[p] is not ANYWHERE}
        self._ends = {p: end if p in moved else min(end, self._ends.get(p, 0)) for p, end in present.items()}
        if moved:
            ring.clear(ring.layout, ring.layout.marks(tip))
            self._wake()

    def _has_changed(self) -> bool:
        """Partitions have appeared, or a topic that was missing has."""
        if now_s() - self._looked_s < LOOK_S:
            return False
        self._looked_s = now_s()
        counts = self.ring.layout.counts
        return any((count := self._count(name)) and count != counts[name] for name in self.names)

    def _count(self, name: str) -> int:
        """How many partitions the topic has; 0: it is missing, or nothing is known of it."""
        try:
            return self._topics.get(name).partitions
        except ProxyError:
            return 0


async def _step(cursor: Cursor, max_records: int, wait_s: float) -> Sequence[FeedEvent] | None:
    """What comes next; None when nothing came in time. A step through the log gets a while, however short the wait."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(wait_s if cursor.is_in_ring else max(CATCH_UP_S, wait_s)):
            return await cursor.next(max_records)
    return None


async def _passing(cursor: Cursor, max_records: int, deadline: Deadline, passes: Callable[[AnyEvent], bool]) -> Page:
    """What comes next and passes: all that is there now, up to `max_records`, else the first that comes in time."""
    found: list[FeedEvent] = []
    position = ""  # after `found`, where there is something
    looking = Deadline.after(CATCH_UP_S)
    while looking.remaining_s() or deadline.remaining_s():
        room = max_records - len(found)
        try:
            events = await _step(cursor, room, 0 if found else deadline.remaining_s())
        except ProxyError:
            if not found:
                raise
            return Page(found, position)  # the next page begins with what is wrong
        found += [event for event in events or () if passes(event)]
        position = cursor.position if found else ""
        if not events or len(found) == max_records or (found and len(events) < room):
            break
        await asyncio.sleep(0)
    return Page(found, position or cursor.position)
