"""One consumer's life in a group, from joining to leaving.

The rules that aiokafka alone does not keep:
- Nothing of a new assignment is fetched until the listener's `on_assigned` is over: its partitions are held, paused,
  from the moment they are ours. Nothing of the old one is handed out once `on_revoked` has begun.
- A commit is sent once, in the generation there is now, for partitions that are ours now.
- `from: latest`, or a time, is decided once: a partition without a commit gets one, where the group begins, when it is
  first ours. Without it a rebalance before the first ack would move the start.
- Where the log has passed the group's offset, reading goes on at the first record there is, and a log line says so.
"""

import asyncio
import contextlib
import math
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import ConsumerRebalanceListener
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from proxy.clock import Deadline, now_s
from proxy.errors import KafkaAway, KafkaForbids, LeaseMoved, ProxyError
from proxy.kafka import internals, offsets
from proxy.kafka.assignor import Assignor
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.fetching import Fetching
from proxy.kafka.predecessor import dismiss
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams.feeds import Start
from proxy.seams.groups import Committed, GroupListener

OPEN_S = 10.0
CLOSE_S = 3.0
START_S = 10.0  # for Kafka to say where a group begins
GONE_S = 5.0  # so long a coordinator may not know a topic that there is
RETRY_S = 0.2
FORBIDDEN_S = 1.0  # between two tries of what the cluster forbids

log = logger("kafka")

_COMMIT_ERRORS: dict[type[Exception], tuple[type[ProxyError], str]] = {
    kafka.IllegalGenerationError: (LeaseMoved, "the group has been rebalanced"),
    kafka.UnknownMemberIdError: (LeaseMoved, "the group has given this member up"),
    kafka.RebalanceInProgressError: (LeaseMoved, "the group is being rebalanced"),
    kafka.GroupAuthorizationFailedError: (KafkaForbids, "the principal lacks READ on the group"),
    kafka.TopicAuthorizationFailedError: (KafkaForbids, "the principal lacks READ on the topic"),
}


class Membership(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """`join` first. `broken` is set when the consumer can no longer do its work: `leave`, and make a new one."""

    def __init__(
        self, settings: KafkaSettings, group: str, assignor: Assignor, listener: GroupListener, *, start: Start
    ) -> None:
        self.broken: Exception | None = None
        self.mine: frozenset[Partition] = frozenset()
        self._group = group
        self._listener = listener
        self._start = start
        self._session_timeout_s = settings.session_timeout_ms / 1000
        self._alive_s = -math.inf
        self._held: set[TopicPartition] = set()  # paused by us until `on_assigned` is over
        self._settled = False
        self._left = False
        self._own = assignor.own
        assignor.on_assigned = self._hold
        self._consumer = settings.member(group, assignor)
        self._fetching = Fetching(self._consumer)

    # ---- joining and leaving

    async def join(self, topics: Iterable[str]) -> None:
        """Connect and subscribe to topics that exist. Raises KafkaAway; nothing stays open then."""
        try:
            async with asyncio.timeout(OPEN_S):
                await self._consumer.start()
        except (kafka.KafkaError, OSError, TimeoutError) as exc:
            await self.leave()
            raise KafkaAway(f"Group {self._group!r} could not be joined: Kafka cannot be reached. Try again.") from exc
        except BaseException:
            await self.leave()
            raise
        if self._own.address is not None:
            await dismiss(internals.client_of(self._consumer), self._group, self._own)
        internals.watch_session(self._consumer, self._heard)
        self.subscribe(topics)

    def subscribe(self, topics: Iterable[str]) -> None:
        """Join, or rejoin, for exactly these."""
        self._consumer.subscribe(list(topics), listener=self)

    async def leave(self) -> None:
        """Bounded, repeatable. Without a last word to the listener: whoever leaves has said it himself."""
        if not self._left:
            self._left = True
            self._alive_s = -math.inf
            await internals.end(self._consumer, within_s=CLOSE_S)

    # ---- reading

    @property
    def skipped_batches(self) -> int:
        return self._fetching.skipped_batches

    async def fetch(self, *, timeout_s: float, max_records: int) -> Sequence[Fetched]:
        """See `seams.GroupMember.fetch`. Empty and `broken` when something happened that only a new consumer heals."""
        try:
            return await self._fetching.next(timeout_s=timeout_s, max_records=max_records)
        except kafka.NoOffsetForPartitionError as exc:
            self._start_over(exc.args[0])
        except kafka.OffsetOutOfRangeError as exc:
            for tp, offset in exc.args[0].items():
                log.error("group_offset_gone", group=self._group, topic=tp.topic, partition=tp.partition, offset=offset)
                self._start_over(tp)
        except kafka.TopicAuthorizationFailedError as exc:
            log.error("read_forbidden", group=self._group, topic=str(exc.args[0]), needs="READ on the topic")
            await asyncio.sleep(min(timeout_s, FORBIDDEN_S))
        except Exception as exc:  # noqa: BLE001 - whatever it is, a new consumer is the way out of it
            self.broken = exc
        return []

    def seek(self, partition: Partition, offset: int) -> None:
        if internals.is_assigned(self._consumer, tp := TopicPartition(*partition)):
            self._consumer.seek(tp, offset)

    def pause(self, partitions: Iterable[Partition]) -> None:
        for tp in self._assigned(partitions):
            self._held.discard(tp)
            self._consumer.pause(tp)

    def resume(self, partitions: Iterable[Partition]) -> None:
        for tp in self._assigned(partitions):
            if self._settled:
                self._consumer.resume(tp)
            else:
                self._held.add(tp)

    def is_fenced(self) -> bool:
        return now_s() - self._alive_s > self._session_timeout_s

    def end_offset(self, partition: Partition) -> int | None:
        return internals.stable_end(self._consumer, TopicPartition(*partition))

    async def bounds(self, partitions: Iterable[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        return await offsets.bounds(self._consumer, partitions, deadline)

    async def first_since(
        self, partitions: Iterable[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        return await offsets.first_since(self._consumer, partitions, time_ms, deadline)

    # ---- commits

    async def commit(self, commits: Mapping[Partition, Committed]) -> None:
        """See `seams.GroupMember.commit`."""
        if not commits.keys() <= self.mine:
            raise LeaseMoved("The partition now belongs to another member of the group. Poll again.")
        said = {TopicPartition(*p): (commit.offset, commit.metadata) for p, commit in commits.items()}
        try:
            await internals.commit_once(self._consumer, said)
        except (kafka.KafkaError, OSError, TimeoutError) as exc:
            raises, reason = _COMMIT_ERRORS.get(type(exc), (KafkaAway, "Kafka cannot be reached, or not in time"))
            log.warning("commit_failed", group=self._group, reason=reason, error=repr(exc))
            raise raises(f"Group {self._group!r} did not commit: {reason}. What was not accepted comes again.") from exc

    async def committed(self, partitions: Iterable[Partition]) -> dict[Partition, Committed]:
        """See `seams.GroupMember.committed`. Raises KafkaAway once this has left."""
        wanted = [TopicPartition(*partition) for partition in partitions]
        gone = Deadline.after(GONE_S)
        while wanted and not self._left:
            try:
                found = await internals.fetch_committed(self._consumer, wanted)
            except kafka.UnknownTopicOrPartitionError:
                if not gone.remaining_s():
                    return {}  # deleted, not just unknown to a broker that has started a moment ago
                await asyncio.sleep(RETRY_S)
            except (kafka.KafkaError, OSError, TimeoutError) as exc:
                log.warning("commits_not_read", group=self._group, error=repr(exc))
                await asyncio.sleep(RETRY_S)
            else:
                return {Partition(*tp): Committed(commit.offset, commit.metadata) for tp, commit in found.items()}
        if wanted:
            raise KafkaAway(f"Group {self._group!r} was left before its commits were read.")
        return {}

    # ---- what aiokafka calls, each from within a rebalance

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        partitions = sorted(Partition(*tp) for tp in revoked)
        self._settled = False
        try:
            if partitions:
                await self._listener.on_revoked(partitions)
        finally:
            self.mine = frozenset()

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        partitions = sorted(Partition(*tp) for tp in assigned)
        self.mine = frozenset(partitions)
        log.info("partitions_assigned", group=self._group, count=len(partitions))
        try:
            if self._start != "earliest":
                await self._pin(partitions)
            await self._listener.on_assigned(partitions)
        except Exception as exc:  # noqa: BLE001 - aiokafka would go on as if it had been assigned
            log.error("assignment_failed", exc=exc, group=self._group)
            self.broken = exc
            return
        self._settled = True
        self._consumer.resume(*self._assigned(Partition(*tp) for tp in self._held))
        self._held.clear()

    def _hold(self, partitions: Iterable[Partition]) -> None:
        """Called in the step in which they become ours: nothing can have been fetched, and now nothing will be."""
        self._held = set(self._assigned(partitions))
        self._consumer.pause(*self._held)

    async def _pin(self, partitions: Sequence[Partition]) -> None:
        """Let the group begin at its start in what it has no commit for, and remember that in a commit."""
        known = await self.committed(partitions)
        starts = await self._starts([partition for partition in partitions if partition not in known])
        for partition, offset in starts.items():
            self.seek(partition, offset)
        if starts:
            with contextlib.suppress(ProxyError):  # the position holds as long as the partition is ours
                await self.commit({partition: Committed(offset, "") for partition, offset in starts.items()})

    async def _starts(self, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
        """The first offset of its time in each, else the end. Retries until it knows; empty once this has left."""
        while partitions and not self._left:
            try:
                bounds = await self.bounds(partitions, Deadline.after(START_S))
                found = (
                    await self.first_since(partitions, self._start, Deadline.after(START_S))
                    if isinstance(self._start, int)
                    else {}
                )
                return {partition: found.get(partition, ends) for partition, (_, ends) in bounds.items()}
            except KafkaAway as exc:
                log.warning("start_not_read", group=self._group, error=repr(exc.__cause__))
                await asyncio.sleep(RETRY_S)
        return {}

    # ---- inside

    def _heard(self, at_s: float) -> None:
        self._alive_s = max(self._alive_s, at_s)

    def _start_over(self, tp: TopicPartition) -> None:
        internals.start_over(self._consumer, tp)

    def _assigned(self, partitions: Iterable[Partition]) -> list[TopicPartition]:
        return [tp for p in partitions if internals.is_assigned(self._consumer, tp := TopicPartition(*p))]
