"""Fetches from one consumer and steps over what cannot be decoded (members and tails share this)."""

from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import RecordTooLargeError
from aiokafka.structs import TopicPartition

from proxy.kafka.internals import Damage, drop_fetched, find_damage, is_assigned, take
from proxy.observe.logs import logger
from proxy.record import Fetched

log = logger("kafka")


class Fetching:
    """What a consumer delivers, in order per partition.

    A batch that cannot be decoded (damaged on the broker's disk, or in a compression that is not installed) is stepped
    over, logged and counted in `skipped_batches`; all that can be decoded before it is delivered first, one by one.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.skipped_batches = 0
        self._consumer = consumer
        self._careful: set[TopicPartition] = set()  # damage was found further on: deliver one by one up to it
        self._error: Exception | None = None  # came together with records, which go first

    async def next(self, *, timeout_s: float, max_records: int, max_bytes: int | None = None) -> Sequence[Fetched]:
        """Empty after the timeout, and when something was stepped over.

        Raises aiokafka's errors of a partition or of the group, each once, but none of decoding. May be cancelled.
        """
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        self._careful = {tp for tp in self._careful if is_assigned(self._consumer, tp)}
        taken = await take(self._consumer, timeout_s, 1 if self._careful else max_records, max_bytes)
        if taken.error is not None and not self._stepped_over(taken.error):
            if not taken.records:
                raise taken.error
            self._error = taken.error
        return taken.records

    def _stepped_over(self, error: Exception) -> bool:
        """False: the error is not one of decoding."""
        if isinstance(error, RecordTooLargeError):  # aiokafka has moved on by itself
            self._skipped(error)
            return True
        damage = find_damage(self._consumer, error)
        if damage is not None:
            self._step_over(damage, error)
        return damage is not None

    def _step_over(self, damage: Damage, error: Exception) -> None:
        if damage.position < damage.offset:
            self._careful.add(damage.partition)
            drop_fetched(self._consumer, damage.partition)
            return
        self._careful.discard(damage.partition)
        self._consumer.seek(damage.partition, damage.resume)
        topic, partition = damage.partition
        self._skipped(error, topic=topic, partition=partition, offset=damage.offset, resumed_at=damage.resume)

    def _skipped(self, error: Exception, **where: Any) -> None:
        self.skipped_batches += 1
        log.error("batch_skipped", reason=repr(error), **where)
