"""aiokafka's private parts that the bridge leans on, one by one: a new version that moves one fails here, by name.

What they do is tried on a real broker (tests/kafka_engines/); here is that they are there, and what of it needs no
broker.
"""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection
from aiokafka.consumer import fetcher, group_coordinator, subscription_state
from aiokafka.errors import GroupCoordinatorNotAvailableError, IllegalGenerationError, NodeNotReadyError
from aiokafka.protocol.commit import OffsetCommitRequest
from aiokafka.protocol.group import HeartbeatRequest, JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest, MetadataResponse_v5
from aiokafka.structs import TopicPartition

from proxy.kafka import internals
from proxy.kafka.connection import KafkaSettings

NOWHERE = "127.0.0.1:1"
TP = TopicPartition("t", 0)
SETTINGS = KafkaSettings(NOWHERE, request_timeout_ms=500)


@pytest.fixture
async def consumer() -> AsyncIterator[AIOKafkaConsumer]:
    """One that was never started: it has what its constructor gives it."""
    consumer = SETTINGS.consumer()
    yield consumer
    await consumer.stop()


@pytest.mark.parametrize(
    ("owner", "names"),
    [
        (AIOKafkaClient, ["_bootstrap_servers", "_conns", "_sync_task"]),
        (AIOKafkaClient, ["_sasl_plain_username", "_sasl_plain_password"]),
        (AIOKafkaConnection, ["_writer"]),
        (
            fetcher.Fetcher,
            ["_records", "_fetch_task", "_fetch_waiters", "_pending_tasks", "_closed"],
        ),
        (fetcher.FetchResult, ["_partition_records"]),
        (fetcher.PartitionRecords, ["_records_iterator", "next_fetch_offset"]),
        (subscription_state.TopicPartitionState, ["_position", "lso", "highwater"]),
        (
            group_coordinator.GroupCoordinator,
            ["_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_performed_join_prepare", "_closing"],
        ),
        (group_coordinator.NoGroupCoordinator, ["_reset_committed_task"]),
        (AIOKafkaConsumer, ["_client", "_fetcher", "_coordinator", "_subscription"]),
    ],
)
def test_objects_have_the_attributes_that_are_read(owner: Any, names: list[str]) -> None:
    source = inspect.getsource(owner.__init__)
    assert [name for name in names if f"self.{name} =" not in source and f"self.{name}:" not in source] == []


@pytest.mark.parametrize(
    ("function", "parameters"),
    [
        (AIOKafkaClient._metadata_update, ["self", "cluster_metadata", "topics"]),
        (AIOKafkaClient.send, ["self", "node_id", "request", "group"]),
        (fetcher.Fetcher._create_fetch_waiter, ["self"]),
        (fetcher.Fetcher._notify, ["self", "future"]),
        (fetcher.Fetcher.request_offset_reset, ["self", "tps", "strategy"]),
        (group_coordinator.GroupCoordinator._send_req, ["self", "request"]),
        (group_coordinator.GroupCoordinator._do_commit_offsets, ["self", "assignment", "offsets"]),
        (group_coordinator.GroupCoordinator.ensure_coordinator_known, ["self"]),
        (subscription_state.SubscriptionState.is_assigned, ["self", "tp"]),
    ],
)
def test_functions_take_what_they_are_given(function: Callable[..., Any], parameters: list[str]) -> None:
    assert list(inspect.signature(function).parameters) == parameters


def test_a_commit_does_not_look_at_the_assignment_it_is_given() -> None:
    """`commit_once` has none to give: it has checked the partitions itself."""
    source = inspect.getsource(group_coordinator.GroupCoordinator._do_commit_offsets)
    assert source.count("assignment") == 1


def test_a_batch_is_unpacked_by_a_generator_that_calls_it_next_batch() -> None:
    assert inspect.isgeneratorfunction(fetcher.PartitionRecords._unpack_records)
    assert "next_batch = records.next_batch()" in inspect.getsource(fetcher.PartitionRecords._unpack_records)


def test_the_assignor_is_told_of_an_assignment_in_the_step_in_which_it_becomes_ours() -> None:
    """Nothing can be fetched in between: so `_hold` comes in time."""
    source = inspect.getsource(group_coordinator.GroupCoordinator._on_join_complete)
    between = source.split("assign_from_subscribed", 1)[1].split("assignor.on_assignment", 1)[0]
    assert "await " not in between.replace("# The await", "")


class Broker:
    """Answers what a client sends, and writes it down; `silent` nodes do not answer."""

    def __init__(self, *, silent: tuple[Any, ...] = ()) -> None:
        self.asked: list[tuple[Any, Any]] = []
        self._silent = silent

    async def send(self, node_id: Any, request: MetadataRequest, *, group: Any = None) -> Any:
        built = request.prepare({MetadataRequest.API_KEY: (0, 5)})
        self.asked.append((node_id, built.to_object()))
        if node_id in self._silent:
            raise NodeNotReadyError
        partition: tuple[Any, ...] = (0, 0, 7, [7, 8], [7], [])
        return MetadataResponse_v5(0, [(7, "h", 1, None)], "cluster", 7, [(0, "t", False, [partition])])


async def test_metadata_is_asked_for_without_making_a_topic() -> None:
    client, broker = SETTINGS.client(), Broker()
    client.send = broker.send
    assert await client._metadata_update(client.cluster, {"t"})
    assert await client._metadata_update(client.cluster, set())
    assert [asked["topics"] for _, asked in broker.asked] == [["t"], None]
    assert not any(asked["allow_auto_topic_creation"] for _, asked in broker.asked)
    assert client.cluster.partitions_for_topic("t") == {0}


async def test_the_brokers_of_the_configuration_are_asked_when_the_known_ones_are_gone() -> None:
    client, broker = SETTINGS.client(), Broker()
    client.send = broker.send
    assert await internals.ask_metadata(client, client.cluster, ["t"]) is not None
    client.send = (moved := Broker(silent=(7,))).send
    assert await internals.ask_metadata(client, client.cluster, ["t"]) is not None
    assert [node for node, _ in moved.asked] == [7, "bootstrap-0"]
    client.send = Broker(silent=(7, "bootstrap-0")).send
    assert await internals.ask_metadata(client, client.cluster, ["t"]) is None


async def test_a_consumer_that_reads_nothing_has_nothing_of_a_partition(consumer: AIOKafkaConsumer) -> None:
    assert not internals.is_assigned(consumer, TP)
    assert internals.position(consumer, TP) is None
    assert internals.stable_end(consumer, TP) is None
    assert internals.known_partitions(consumer) == set()


async def test_a_position_is_the_one_that_was_sought(consumer: AIOKafkaConsumer) -> None:
    consumer.assign([TP])
    assert internals.position(consumer, TP) is None
    consumer._subscription.seek(TP, 7)
    assert internals.position(consumer, TP) == 7
    state = consumer._subscription.subscription.assignment.state_value(TP)
    state.highwater, state.lso = 20, 15
    assert internals.stable_end(consumer, TP) == 15
    state.lso = -1  # a broker that knows no transactions
    assert internals.stable_end(consumer, TP) == 20


class Coordinator:
    """As much of a GroupCoordinator as commits and signs of life need."""

    group_id = "g"

    def __init__(self, generation: int, coordinator_id: int | None, error_code: int = 0) -> None:
        self.generation, self.coordinator_id = generation, coordinator_id
        self.committed: list[Any] = []
        self._error_code = error_code

    async def _do_commit_offsets(self, assignment: None, offsets: Any) -> None:
        self.committed.append(offsets)

    async def _send_req(self, request: Any) -> Any:
        class Answer:
            error_code = self._error_code

        return Answer


class Holder:
    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator


async def test_a_commit_is_sent_once_and_only_from_within_a_group() -> None:
    member = Coordinator(generation=3, coordinator_id=1)
    await internals.commit_once(Holder(member), {TP: (5, "metadata")})
    assert member.committed == [{TP: (5, "metadata")}]
    outside = Coordinator(generation=OffsetCommitRequest.DEFAULT_GENERATION_ID, coordinator_id=1)
    with pytest.raises(IllegalGenerationError):
        await internals.commit_once(Holder(outside), {TP: (5, "")})
    lost = Coordinator(generation=3, coordinator_id=None)
    with pytest.raises(GroupCoordinatorNotAvailableError):
        await internals.commit_once(Holder(lost), {TP: (5, "")})
    assert outside.committed == lost.committed == []


@pytest.mark.parametrize(
    ("request_", "error_code", "is_alive"),
    [
        (HeartbeatRequest("g", 1, "m"), 0, True),
        (HeartbeatRequest("g", 1, "m"), 27, True),  # a rebalance: the broker still knows this member
        (HeartbeatRequest("g", 1, "m"), 25, False),  # it does not
        (SyncGroupRequest("g", 1, "m", None, []), 0, True),
        (JoinGroupRequest("g", 1, 1, "m", None, "consumer", []), 0, False),  # its answer may come much later
    ],
)
async def test_what_the_broker_answers_is_a_sign_of_life_from_when_it_was_asked(
    request_: Any, error_code: int, is_alive: bool
) -> None:
    coordinator = Coordinator(1, 1, error_code)
    heard: list[float] = []
    internals.watch_session(Holder(coordinator), heard.append)
    await coordinator._send_req(request_)
    assert bool(heard) == is_alive


async def test_a_consumer_that_never_started_ends_without_a_word() -> None:
    consumer = SETTINGS.consumer()
    before = asyncio.all_tasks()
    with pytest.raises(Exception, match="Unable to bootstrap"):
        await consumer.start()
    await internals.end(consumer, within_s=1)
    await internals.end(consumer, within_s=1)
    assert asyncio.all_tasks() == before
