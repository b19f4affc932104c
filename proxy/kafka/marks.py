"""Commits of groups that have no members (`seams.Marks`): small notes of the bridge's own, kept by Kafka.

Anyone may commit for an empty group. Kafka forgets such commits `offsets.retention.minutes` (a week, unless the broker
was told otherwise) after the last one.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any, TypeVar

from aiokafka import errors as kafka
from aiokafka.client import AIOKafkaClient, ConnectionGroup, CoordinationType
from aiokafka.protocol.commit import OffsetCommitRequest, OffsetFetchRequest

from proxy.clock import Deadline
from proxy.errors import KafkaAway, KafkaForbids
from proxy.kafka.connection import KafkaSettings
from proxy.record import Partition
from proxy.seams.groups import Committed

RETRY_S = 0.2
_NO_MEMBER = (OffsetCommitRequest.DEFAULT_GENERATION_ID, "", OffsetCommitRequest.DEFAULT_RETENTION_TIME)
_FORBIDDEN = (kafka.GroupAuthorizationFailedError, kafka.TopicAuthorizationFailedError)

T = TypeVar("T")
Work = Callable[[AIOKafkaClient, int], Coroutine[Any, Any, T]]


class Marks:
    """Connects for each question: they are rare."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    async def read(
        self, group: str, partitions: Iterable[Partition], deadline: Deadline
    ) -> Mapping[Partition, Committed]:
        """See `seams.Marks.read`."""
        request = OffsetFetchRequest(group, _by_topic((partition, partition.partition) for partition in partitions))

        async def ask(client: AIOKafkaClient, coordinator: int) -> dict[Partition, Committed]:
            answer = await client.send(coordinator, request, group=ConnectionGroup.COORDINATION)
            _raise_for(getattr(answer, "error_code", 0))
            found = {}
            for topic, answered in answer.topics:
                for partition, offset, metadata, error_code in answered:
                    _raise_for(error_code)
                    if offset >= 0:
                        found[Partition(topic, partition)] = Committed(offset, metadata)
            return found

        return await self._with_coordinator(group, ask, deadline)

    async def write(self, group: str, commits: Mapping[Partition, Committed], deadline: Deadline) -> None:
        """See `seams.Marks.write`."""
        said = _by_topic((p, (p.partition, commit.offset, commit.metadata)) for p, commit in commits.items())
        request = OffsetCommitRequest(group, *_NO_MEMBER, said)

        async def ask(client: AIOKafkaClient, coordinator: int) -> None:
            answer = await client.send(coordinator, request, group=ConnectionGroup.COORDINATION)
            for _, answered in answer.topics:
                for _, error_code in answered:
                    _raise_for(error_code)

        await self._with_coordinator(group, ask, deadline)

    async def _with_coordinator(self, group: str, work: Work[T], deadline: Deadline) -> T:
        """Do it until it is done. Repeating either of them is harmless."""
        client = self._settings.client()
        try:
            async with asyncio.timeout(deadline.remaining_s()):
                await client.bootstrap()
                while True:
                    try:
                        return await work(client, await client.coordinator_lookup(CoordinationType.GROUP, group))
                    except _FORBIDDEN as exc:
                        raise KafkaForbids(
                            f"Kafka does not let the bridge keep marks for group {group!r}: it lacks READ on the group "
                            "or on the topic."
                        ) from exc
                    except kafka.KafkaError:
                        await asyncio.sleep(RETRY_S)
        except (kafka.KafkaError, OSError, TimeoutError) as exc:
            raise KafkaAway(f"Kafka did not answer in time about group {group!r}. Try again.") from exc
        finally:
            await client.close()


def _by_topic(said: Iterable[tuple[Partition, Any]]) -> list[tuple[str, list[Any]]]:
    topics: defaultdict[str, list[Any]] = defaultdict(list)
    for partition, what in said:
        topics[partition.topic].append(what)
    return list(topics.items())


def _raise_for(error_code: int) -> None:
    error = kafka.for_code(error_code)
    if error is not kafka.NoError:
        raise error()
