"""The way into Kafka: one record in, one receipt out; or many, each with its own outcome.

Nothing that the broker would refuse is queued (`_refuse`): one refused record would fail its whole batch and break
the partition's sequence for everybody behind it.
"""

import contextlib
from asyncio import Future
from collections.abc import Callable, Mapping, Sequence

from proxy.clock import Deadline
from proxy.errors import FieldInvalid, KafkaAway, KafkaForbids, KeyRequired, ProxyError, RecordTooLarge, TopicMissing
from proxy.produce.partition import Partitioner
from proxy.produce.queue import PartitionQueue
from proxy.record import BATCH_HEAD_BYTES, Partition, Receipt, Record, Topic, record_size_bytes
from proxy.seams.produce import Batches
from proxy.seams.topics import Topics


class ProduceQueues:
    """All partition queues of this process (the Submitter of `seams/produce.py`)."""

    def __init__(self, topics: Topics, batches: Batches, hash_of: Mapping[str, Callable[[bytes], int]]) -> None:
        """`hash_of` names each topic's key hash (`kafka/partitioner.py`)."""
        self._topics = topics
        self._batches = batches
        self.hash_of = hash_of
        self._queues: dict[tuple[str, int], PartitionQueue] = {}
        self._partitioners: dict[str, Partitioner] = {}

    def __repr__(self) -> str:
        return (
            f"<ProduceQueues {len(self._queues)} partitions, {sum(q.waiting for q in self._queues.values())} waiting>"
        )

    async def submit(self, record: Record, deadline: Deadline) -> Receipt:
        """See `seams.Submitter.submit`."""
        try:
            topic = self._topics.get(record.topic)
        except (TopicMissing, KafkaAway):  # look once more before saying so
            topic = await self._topics.find(record.topic, deadline)
        return await self._put(record, topic, deadline.at_s)

    async def submit_many(self, records: Sequence[Record], deadline: Deadline) -> Sequence[Receipt | ProxyError]:
        """See `seams.Submitter.submit_many`. No task is made for any of them."""
        for name in {record.topic for record in records}:
            with contextlib.suppress(ProxyError):  # each record says so for itself
                await self._topics.find(name, deadline)
        queued: list[Future[Receipt] | ProxyError] = []
        for record in records:
            try:
                queued.append(self._put(record, self._topics.get(record.topic), deadline.at_s))
            except ProxyError as error:
                queued.append(error)
        try:
            return await _outcomes(queued)
        except BaseException:
            _let_go(queued)
            raise

    async def close(self) -> None:
        """End all sending. Requests are drained before: each waits for its own record, until its own deadline."""
        for queue in self._queues.values():
            await queue.close()

    def by_topic(self) -> Mapping[str, tuple[int, int, int]]:
        """For each topic that was written to: records waiting, their bytes, batches in flight."""
        sums: dict[str, tuple[int, int, int]] = {}
        for (topic, _), queue in self._queues.items():
            records, size_bytes, batches = sums.get(topic, (0, 0, 0))
            sums[topic] = records + queue.waiting, size_bytes + queue.waiting_bytes, batches + (queue.in_flight > 0)
        return sums

    def _put(self, record: Record, topic: Topic, deadline_s: float) -> "Future[Receipt]":
        """Queue a record. Raises what is wrong with it."""
        size_bytes = record_size_bytes(record)
        _refuse(record, topic, size_bytes)
        queue = self._queue(topic, self._choose(record, topic))
        return queue.put(record, size_bytes, deadline_s)

    def _choose(self, record: Record, topic: Topic) -> int:
        if record.partition is not None:
            if not 0 <= record.partition < topic.partitions:
                raise FieldInvalid(
                    f"Topic {topic.name!r} has partitions 0 to {topic.partitions - 1}, not {record.partition}."
                )
            return record.partition
        partitioner = self._partitioners.get(topic.name)
        if partitioner is None:
            partitioner = self._partitioners[topic.name] = Partitioner(self.hash_of[topic.name])
        if record.key is not None:
            return partitioner.of_key(record.key, topic.partitions)
        queue = self._queues.get((topic.name, partitioner.sticky))
        return partitioner.of_none(topic.partitions, stay=queue is not None and queue.waiting > 0)

    def _queue(self, topic: Topic, partition: int) -> PartitionQueue:
        queue = self._queues.get((topic.name, partition))
        if queue is None:
            where = Partition(topic.name, partition)
            queue = self._queues[where] = PartitionQueue(lambda: self._topics.get(topic.name), where, self._batches)
        return queue


def _refuse(record: Record, topic: Topic, size_bytes: int) -> None:
    """Raise what the broker would say, before it can."""
    if not topic.may_write:
        raise KafkaForbids(f"The bridge lacks WRITE on topic {topic.name!r}. Nothing was written.")
    if size_bytes + BATCH_HEAD_BYTES > topic.max_message_bytes:
        raise RecordTooLarge(
            f"The record is {size_bytes + BATCH_HEAD_BYTES} bytes with its key, headers and batch head; "
            f"topic {topic.name!r} takes {topic.max_message_bytes} (max.message.bytes).",
            extra={"limit_bytes": topic.max_message_bytes},
        )
    if record.key is None and topic.compacted:
        raise KeyRequired(
            f"Topic {topic.name!r} is compacted (cleanup.policy): each record needs a key, and this one has none."
        )


async def _outcomes(queued: "Sequence[Future[Receipt] | ProxyError]") -> list[Receipt | ProxyError]:
    """What becomes of each. One error may stand for a whole batch, so it is not raised again for each record."""
    outcomes: list[Receipt | ProxyError] = []
    for each in queued:
        if isinstance(each, ProxyError):
            outcomes.append(each)
            continue
        if not each.done():
            with contextlib.suppress(ProxyError):
                await each
        error = each.exception()
        assert error is None or isinstance(error, ProxyError)
        outcomes.append(error or each.result())
    return outcomes


def _let_go(queued: "Sequence[Future[Receipt] | ProxyError]") -> None:
    """Their caller is gone: what still waits is taken out, and what has failed has been heard of."""
    for each in queued:
        if not isinstance(each, ProxyError) and not each.cancel() and not each.cancelled():
            each.exception()
