"""What a coordinator answers when it does not know (yet) must never pass for "this group has committed nothing"."""

from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition

from proxy.kafka.internals import fetch_committed

A0, A1 = TopicPartition("a", 0), TopicPartition("a", 1)


class Coordinator:
    """A group coordinator that gives one answer."""

    group_id = "g"

    def __init__(self, topics: list[Any], error_code: int) -> None:
        self.is_dead = False
        self._answer = SimpleNamespace(topics=topics, error_code=error_code)

    async def ensure_coordinator_known(self) -> None:
        return

    def coordinator_dead(self) -> None:
        self.is_dead = True

    async def _send_req(self, request: Any) -> Any:
        return self._answer


def consumer(coordinator: Coordinator) -> Any:
    return SimpleNamespace(_coordinator=coordinator)


async def test_commits_come_with_their_metadata_and_those_without_one_are_left_out() -> None:
    coordinator = Coordinator([("a", [(0, 7, "note", 0), (1, -1, "", 0)])], 0)
    found = await fetch_committed(consumer(coordinator), [A0, A1])
    assert {tp: (commit.offset, commit.metadata) for tp, commit in found.items()} == {A0: (7, "note")}


@pytest.mark.parametrize(
    ("topics", "error_code", "error", "asks_again"),
    [
        ([], 14, kafka.GroupLoadInProgressError, False),  # what a broker says that has just started
        ([("a", [(0, -1, "", 0)])], 14, kafka.GroupLoadInProgressError, False),
        ([], 16, kafka.NotCoordinatorForGroupError, True),
        ([("a", [(0, -1, "", 3)])], 0, kafka.UnknownTopicOrPartitionError, False),
        ([], 0, kafka.KafkaError, False),  # an answer that leaves the partition out
    ],
)
async def test_not_knowing_is_an_error_and_not_an_empty_answer(
    topics: list[Any], error_code: int, error: type[Exception], asks_again: bool
) -> None:
    coordinator = Coordinator(topics, error_code)
    with pytest.raises(error):
        await fetch_committed(consumer(coordinator), [A0])
    assert coordinator.is_dead is asks_again
