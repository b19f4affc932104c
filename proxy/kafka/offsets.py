"""Where partitions begin and end, and which offset belongs to a time: what brokers answer to ListOffsets.

Any consumer may ask, also about partitions that it does not read.
"""

import asyncio
from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from proxy.clock import Deadline
from proxy.errors import KafkaAway
from proxy.record import Partition


async def bounds(
    consumer: AIOKafkaConsumer, partitions: Iterable[Partition], deadline: Deadline
) -> dict[Partition, tuple[int, int]]:
    """For each partition (first offset in the log, end offset). Raises KafkaAway."""
    asked = [TopicPartition(*partition) for partition in partitions]
    try:
        async with asyncio.timeout(deadline.remaining_s()):
            begins = await consumer.beginning_offsets(asked)
            ends = await consumer.end_offsets(asked)
    except (kafka.KafkaError, OSError, TimeoutError) as exc:
        raise KafkaAway("Kafka did not say where the topic begins and ends. Try again.") from exc
    return {Partition(*tp): (begins[tp], ends[tp]) for tp in asked}


async def first_since(
    consumer: AIOKafkaConsumer, partitions: Iterable[Partition], time_ms: int, deadline: Deadline
) -> Mapping[Partition, int]:
    """For each partition the first offset whose timestamp is `time_ms` or later; left out where there is none.

    Raises KafkaAway.
    """
    asked = {TopicPartition(*partition): time_ms for partition in partitions}
    try:
        async with asyncio.timeout(deadline.remaining_s()):
            found = await consumer.offsets_for_times(asked)
    except (kafka.KafkaError, OSError, TimeoutError) as exc:
        raise KafkaAway("Kafka did not say which offsets belong to that time. Try again.") from exc
    return {Partition(*tp): each.offset for tp, each in found.items() if each is not None}
