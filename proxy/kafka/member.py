"""This process's one member of one consumer group (`seams.GroupMember`).

`membership.py` is one consumer's life; a member outlives it. It subscribes only to topics that exist, so that no
subscription makes one, joins again when one that was missing appears, and replaces a consumer whose background tasks
have died, after its partitions were revoked.
"""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from itertools import chain, repeat

from proxy.clock import Deadline, now_s
from proxy.errors import KafkaAway, KafkaForbids, ProxyError, TopicMissing
from proxy.kafka.assignor import Assignor
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.membership import OPEN_S, Membership
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams.feeds import Start
from proxy.seams.groups import Committed, GroupListener, GroupMap
from proxy.seams.topics import Topics

NOTICE_S = 1.0  # between two looks for topics that were missing
REPLACE_S = (0.2, 1.0, 5.0)  # waits before another new consumer
CLOSED_S = 0.1  # so long a fetch takes once it is closed, so that no loop around it spins

log = logger("kafka")


class Member:
    """`start`: where the group begins on a partition that it never committed for.

    `address` is where this process's peers reach it.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Topics,
        group: str,
        names: Sequence[str],
        *,
        start: Start = "earliest",
        address: str | None = None,
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._group = group
        self._names = tuple(names)
        self._start = start
        self._assignor = Assignor(address)
        self._absent: set[str] = set()
        self._noticed_s = 0.0
        self._membership: Membership | None = None
        self._replacing: asyncio.Task[None] | None = None
        self._skipped_before = 0
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{len(self._mine)} partitions" if self._membership else "not joined"
        return f"<Member group={self._group} {state}>"

    @property
    def map(self) -> GroupMap:
        """See `seams.GroupMember.map`."""
        return self._assignor.map

    @property
    def skipped_batches(self) -> int:
        """How many batches could not be decoded since this member was made."""
        return self._skipped_before + (self._membership.skipped_batches if self._membership else 0)

    async def open(self, listener: GroupListener) -> None:
        """See `seams.GroupMember.open`. Raises TopicMissing if none of its topics exists."""
        self._listener = listener
        await self._join(await self._existing(Deadline.after(OPEN_S)))

    async def fetch(self, *, timeout_s: float, max_records: int) -> Sequence[Fetched]:
        """See `seams.GroupMember.fetch`."""
        membership = self._membership
        if self._closed:
            await asyncio.sleep(CLOSED_S)
            return []
        if membership is None or membership.broken is not None:
            await self._replaced(timeout_s)
            return []
        self._notice_topics(membership)
        return await membership.fetch(timeout_s=timeout_s, max_records=max_records)

    def seek(self, partition: Partition, offset: int) -> None:
        if self._membership is not None:
            self._membership.seek(partition, offset)

    def pause(self, partitions: Sequence[Partition]) -> None:
        if self._membership is not None:
            self._membership.pause(partitions)

    def resume(self, partitions: Sequence[Partition]) -> None:
        if self._membership is not None:
            self._membership.resume(partitions)

    async def commit(self, commits: Mapping[Partition, Committed]) -> None:
        """See `seams.GroupMember.commit`."""
        await self._joined().commit(commits)

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """See `seams.GroupMember.committed`. Raises KafkaAway once the member is closed."""
        return await self._joined().committed(partitions)

    def is_fenced(self) -> bool:
        return self._membership is None or self._membership.is_fenced()

    def end_offset(self, partition: Partition) -> int | None:
        return None if self._membership is None else self._membership.end_offset(partition)

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        """See `seams.GroupMember.bounds`."""
        return await self._joined().bounds(partitions, deadline)

    async def first_since(
        self, partitions: Sequence[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        """See `seams.GroupMember.first_since`."""
        return await self._joined().first_since(partitions, time_ms, deadline)

    async def close(self) -> None:
        """See `seams.GroupMember.close`. The listener hears nothing of it."""
        self._closed = True
        if self._replacing is not None:
            self._replacing.cancel()
            await asyncio.wait([self._replacing])
        if self._membership is not None:
            await self._membership.leave()

    # ---- topics

    async def _existing(self, deadline: Deadline) -> list[str]:
        """Those of its topics that exist; the others are looked for later."""
        absent: dict[str, ProxyError] = {}
        for name in self._names:
            try:
                await self._topics.find(name, deadline)
            except (TopicMissing, KafkaForbids) as exc:
                absent[name] = exc
        self._absent = set(absent)
        if len(absent) == len(self._names):
            raise next(iter(absent.values()))
        return [name for name in self._names if name not in absent]

    def _notice_topics(self, membership: Membership) -> None:
        if not self._absent or now_s() - self._noticed_s < NOTICE_S:
            return
        self._noticed_s = now_s()
        for name in tuple(self._absent):
            with contextlib.suppress(ProxyError):
                self._topics.get(name)
                self._absent.discard(name)
                log.info("topic_joined", group=self._group, topic=name)
                membership.subscribe([each for each in self._names if each not in self._absent])

    # ---- consumers

    @property
    def _mine(self) -> frozenset[Partition]:
        return self._membership.mine if self._membership else frozenset()

    def _joined(self) -> Membership:
        if self._membership is None:
            raise KafkaAway(f"Group {self._group!r} is not joined at the moment. Try again.")
        return self._membership

    async def _join(self, names: Sequence[str]) -> None:
        membership = Membership(self._settings, self._group, self._assignor, self._listener, start=self._start)
        await membership.join(names)
        self._membership = membership
        if self._closed:
            await membership.leave()

    async def _replaced(self, timeout_s: float) -> None:
        """Wait for a new consumer, which is made in the background, for as long as a fetch may take."""
        if self._replacing is None or self._replacing.done():
            self._replacing = asyncio.create_task(self._replace(), name=f"rejoin {self._group}")
        await asyncio.wait([self._replacing], timeout=timeout_s)

    async def _replace(self) -> None:
        if self._membership is not None:
            await self._retire(self._membership)
        for wait_s in chain(REPLACE_S, repeat(REPLACE_S[-1])):
            await asyncio.sleep(wait_s)
            try:
                await self._join(await self._existing(Deadline.after(OPEN_S)))
            except ProxyError as exc:
                log.warning("group_not_joined", group=self._group, reason=exc.detail)
            else:
                return

    async def _retire(self, broken: Membership) -> None:
        """The listener may still commit: some of what breaks a consumer leaves its commits working."""
        log.error("consumer_replaced", group=self._group, reason=repr(broken.broken))
        if broken.mine:
            try:
                await self._listener.on_revoked(sorted(broken.mine))
            except Exception as exc:  # noqa: BLE001 - as aiokafka does it: the rebalance goes on
                log.error("revocation_failed", exc=exc, group=self._group)
        await broken.leave()
        self._skipped_before += broken.skipped_batches
        self._membership = None
