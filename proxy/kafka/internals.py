"""All that the bridge knows of aiokafka's private parts (0.14), each with a test that fails when it changes.

Nothing else in the house touches a name of aiokafka's that begins with an underscore.
"""

import asyncio
import contextlib
import inspect
import random
import traceback
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.cluster import ClusterMetadata
from aiokafka.conn import collect_hosts
from aiokafka.consumer.fetcher import OffsetResetStrategy
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import (
    ConsumerStoppedError,
    GroupCoordinatorNotAvailableError,
    IllegalGenerationError,
    KafkaError,
    NoError,
    NotCoordinatorForGroupError,
    ProducerClosed,
    for_code,
)
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.group import HeartbeatRequest, LeaveGroupRequest, SyncGroupRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.structs import BrokerMetadata, OffsetAndMetadata, TopicPartition

from proxy.clock import now_s


def client_of(consumer: AIOKafkaConsumer) -> AIOKafkaClient:
    return consumer._client


def never_create_topics(client: AIOKafkaClient) -> None:
    """Let `client` ask for topics without making them, and find the cluster again when all its brokers have moved.

    aiokafka's own request for metadata by name lets a broker with `auto.create.topics.enable` create the topic, and
    goes only to the brokers it has last heard of. Call before the client is used.
    """
    client.cluster._bootstrap_brokers = {
        f"bootstrap-{i}": BrokerMetadata(f"bootstrap-{i}", host, port, None)
        for i, (host, port, _) in enumerate(collect_hosts(client._bootstrap_servers))
    }
    client._metadata_update = partial(_metadata_update, client)


def replace_password(client: AIOKafkaClient, username: str | None, password: str | None) -> None:
    """The connections that `client` opens from now on show these."""
    client._sasl_plain_username = username
    client._sasl_plain_password = password


async def _metadata_update(client: AIOKafkaClient, cluster: ClusterMetadata, names: Collection[str] | None) -> bool:
    return await ask_metadata(client, cluster, list(names) if names else None) is not None


async def ask_metadata(
    client: AIOKafkaClient, cluster: ClusterMetadata, names: list[str] | None, *, create: bool = False
) -> Any | None:
    """Ask one broker after the other about these topics (None: all) and keep the answer in `cluster`.

    Returns aiokafka's MetadataResponse (version 4 or 5), or None if no broker answered. Raises nothing.
    """
    request = MetadataRequest(names, allow_auto_topic_creation=create)
    for node_id in _nodes(client):
        try:
            answer = await client.send(node_id, request)
        except (KafkaError, OSError, TimeoutError):
            continue
        if answer.brokers:
            cluster.update_metadata(answer)
            return answer
    cluster.failed_update(None)
    return None


def _nodes(client: AIOKafkaClient) -> list[Any]:
    """The brokers last heard of, in any order; then those that the configuration names."""
    known = list(client.cluster._brokers)
    random.shuffle(known)
    return known + list(client.cluster._bootstrap_brokers)


# ---- reading


@dataclass(frozen=True, slots=True)
class Taken:
    """What was fetched, in order per partition, and what went wrong with one partition, or with the group."""

    records: list[Any]
    error: Exception | None = None


async def take(consumer: AIOKafkaConsumer, timeout_s: float, max_records: int, max_bytes: int | None = None) -> Taken:
    """What has been fetched; waits up to `timeout_s` for the first of it. May be cancelled, and raises nothing.

    `max_bytes`: of keys and values, about, and one record at least. None: no bound but that of a fetch.

    aiokafka's own wait goes on through a whole rebalance, a cancelled one leaks its fetch count, and what it had read
    of other partitions is lost when the decoding of one raises.
    """
    with consumer._subscription.fetch_context():
        pass  # a member that never fetches is made to leave after `max_poll_interval_ms`; waiting here is fetching
    taken = await _fetched(consumer, max_records, max_bytes)
    if taken.records or taken.error or timeout_s <= 0 or consumer._closed:
        return taken
    arrival = consumer._fetcher._create_fetch_waiter()
    try:
        await asyncio.wait([arrival], timeout=timeout_s)
        error = arrival.exception() if arrival.done() else None  # trouble in the group is told to those who wait
    finally:
        arrival.cancel()
    return Taken([], error) if error else await _fetched(consumer, max_records, max_bytes)


def _is_working(consumer: AIOKafkaConsumer) -> bool:
    """False when one of the tasks that carry it has died: what waits for it would wait for ever."""
    coordinating = getattr(consumer._coordinator, "_coordination_task", None)  # only in a group
    return not (consumer._fetcher._fetch_task.done() or (coordinating is not None and coordinating.done()))


async def _fetched(consumer: AIOKafkaConsumer, max_records: int, max_bytes: int | None) -> Taken:
    """Does not wait: `getmany` does only without records, and while partitions are being reassigned."""
    if consumer._closed:
        return Taken([])
    if not _is_working(consumer):
        return Taken([], ConsumerStoppedError())
    records: list[Any] = []
    try:
        consumer._coordinator.check_errors()
        for tp in list(consumer._fetcher._records):
            left = max_records - len(records)
            if left <= 0 or consumer._closed or consumer._subscription.reassignment_in_progress:
                break
            if max_bytes is None:
                records += (await consumer.getmany(tp, max_records=left)).get(tp, ())
            else:
                await _take_bounded(consumer, tp, records, max_records, max_bytes)
    except Exception as exc:  # noqa: BLE001 - decoding raises what it likes
        return Taken(records, exc)
    return Taken(records)


async def _take_bounded(
    consumer: AIOKafkaConsumer, tp: TopicPartition, records: list[Any], max_records: int, max_bytes: int
) -> None:
    """More of a partition for `records`, as long as all of them are few and small enough."""
    count = 1  # to learn how large they are
    size_bytes = sum(map(_size_bytes, records))
    while not records or (size_bytes < max_bytes and len(records) < max_records):
        some = (await consumer.getmany(tp, max_records=count)).get(tp, ())
        if not some:
            return
        records += some
        size_bytes += sum(map(_size_bytes, some))
        mean_bytes = size_bytes // len(records) + 1
        count = max(1, min(max_records - len(records), (max_bytes - size_bytes) // mean_bytes))


def _size_bytes(record: Any) -> int:
    return len(record.key or b"") + len(record.value or b"")


@dataclass(frozen=True, slots=True)
class Damage:
    """A batch that cannot be decoded. Everything before `offset` can be; reading may go on at `resume`."""

    partition: TopicPartition
    position: int  # what is before `offset` from here on was decoded, and thrown away with the batch
    offset: int
    resume: int


def find_damage(consumer: AIOKafkaConsumer, error: BaseException) -> Damage | None:
    """Where decoding has just failed with `error`. aiokafka does not say where, and would fetch the batch for ever."""
    for tp, fetched in consumer._fetcher._records.items():
        records: Any = getattr(fetched, "_partition_records", None)
        unpacking = getattr(records, "_records_iterator", None)
        if unpacking is not None and inspect.getgeneratorstate(unpacking) == inspect.GEN_CLOSED:
            position = consumer._subscription.subscription.assignment.state_value(tp).position
            return Damage(tp, position, records.next_fetch_offset, _after_damage(records, error))
    return None


def _after_damage(records: Any, error: BaseException) -> int:
    """Where to go on. The header of a batch that does not fit its checksum is not believed: then one offset further."""
    frames = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)]
    batch = next(
        (names["next_batch"] for names in frames if names.get("self") is records and "next_batch" in names), None
    )
    if batch is not None and batch.validate_crc():
        return int(batch.next_offset)
    return int(records.next_fetch_offset) + 1


def drop_fetched(consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
    """Forget what was fetched of it: it will be fetched again from the position."""
    _let_go(consumer._fetcher._records.pop(partition, None))


def drop_all_fetched(consumer: AIOKafkaConsumer) -> None:
    """Forget what was fetched, before other partitions are assigned."""
    for fetched in consumer._fetcher._records.values():
        _let_go(fetched)
    consumer._fetcher._records.clear()


def _let_go(fetched: Any) -> None:
    """Half-read records and their generator hold each other: without this they wait for the cycle collector."""
    records = getattr(fetched, "_partition_records", None)  # an error has none
    if records is not None and records._records_iterator is not None:
        records._records_iterator.close()
        records._records_iterator = None


def is_assigned(consumer: AIOKafkaConsumer, partition: TopicPartition) -> bool:
    return bool(consumer._subscription.is_assigned(partition))


def known_partitions(consumer: AIOKafkaConsumer) -> set[TopicPartition]:
    """Those of the assigned partitions that the metadata has, which is asked for anew when a fetch fails."""
    leader = consumer._client.cluster.leader_for_partition
    return {tp for tp in consumer.assignment() if leader(tp) is not None}


def position(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """The offset that is read next. It is past what holds no records (transaction markers) at the end of a fetch."""
    if not is_assigned(consumer, partition):
        return None
    at: int | None = consumer._subscription.subscription.assignment.state_value(partition)._position
    return at


def start_over(consumer: AIOKafkaConsumer, partition: TopicPartition) -> None:
    """Let it be read from the first offset the log has, as soon as the broker has said which that is."""
    if is_assigned(consumer, partition):
        consumer._fetcher.request_offset_reset([partition], OffsetResetStrategy.EARLIEST)


def stable_end(consumer: AIOKafkaConsumer, partition: TopicPartition) -> int | None:
    """The last stable offset as of the last fetch (the high watermark for brokers without transactions)."""
    if not is_assigned(consumer, partition):
        return None
    state = consumer._subscription.subscription.assignment.state_value(partition)
    end: int | None = state.lso if state.lso is not None and state.lso >= 0 else state.highwater
    return end


# ---- a group


def watch_session(consumer: AIOKafkaConsumer, alive: Callable[[float], None]) -> None:
    """Call `alive` with the time at which each request was *sent* that the broker took as a sign of life.

    Call between `start` and `subscribe`. aiokafka keeps the time of the last heartbeat to itself.
    """
    coordinator = consumer._coordinator
    send = coordinator._send_req

    async def observed(request: Any) -> Any:
        sent_s = now_s()
        answer = await send(request)
        if isinstance(request, HeartbeatRequest | SyncGroupRequest) and answer.error_code in _TAKES_AS_ALIVE:
            alive(sent_s)
        return answer

    coordinator._send_req = observed


_TAKES_AS_ALIVE = (0, 27)  # 27, a rebalance is going on: the broker still knows this member


async def commit_once(consumer: AIOKafkaConsumer, commits: Mapping[TopicPartition, tuple[int, str]]) -> None:
    """One attempt, in the generation there is now.

    aiokafka's own `commit` repeats what it was given in whatever generation the member has by then. Outside of a group
    (generation -1) a broker would take the commit of anybody as long as the group is empty: that is refused here.
    Raises aiokafka's errors.
    """
    coordinator = consumer._coordinator
    if coordinator.generation < 0:
        raise IllegalGenerationError(coordinator.group_id)
    if coordinator.coordinator_id is None:
        raise GroupCoordinatorNotAvailableError
    offsets = {tp: OffsetAndMetadata(offset, metadata) for tp, (offset, metadata) in commits.items()}
    await coordinator._do_commit_offsets(None, offsets)


async def fetch_committed(
    consumer: AIOKafkaConsumer, partitions: Collection[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """The group's commits with their metadata, which aiokafka's `committed` leaves out. One attempt.

    aiokafka's own reading of the answer passes over the error of the whole group: from a coordinator that has just
    started (or is none any more) it comes with no offsets, and would be taken for a group that never committed.
    Raises aiokafka's errors, also where a partition was left out of the answer.
    """
    coordinator: GroupCoordinator = consumer._coordinator
    await coordinator.ensure_coordinator_known()
    asked: defaultdict[str, list[int]] = defaultdict(list)
    for tp in partitions:
        asked[tp.topic].append(tp.partition)
    answer = await coordinator._send_req(OffsetFetchRequest(coordinator.group_id, list(asked.items())))
    _raise_for(coordinator, getattr(answer, "error_code", 0))
    found: dict[TopicPartition, OffsetAndMetadata | None] = {}
    for topic, answered in answer.topics:
        for partition, offset, metadata, error_code in answered:
            _raise_for(coordinator, error_code)
            found[TopicPartition(topic, partition)] = OffsetAndMetadata(offset, metadata) if offset >= 0 else None
    if missing := set(partitions) - found.keys():
        raise KafkaError(f"the answer leaves out {sorted(missing)}")
    return {tp: commit for tp, commit in found.items() if commit is not None}


def _raise_for(coordinator: GroupCoordinator, error_code: int) -> None:
    error = for_code(error_code)
    if error is NoError:
        return
    if error in (NotCoordinatorForGroupError, GroupCoordinatorNotAvailableError):
        coordinator.coordinator_dead()
    raise error()


# ---- the end


async def end(consumer: AIOKafkaConsumer, *, within_s: float) -> None:
    """Leave the group and close everything, also on a broker that says nothing.

    aiokafka's own `stop` waits for a join in progress, and for answers.
    """
    consumer._closed = True
    coordinator, fetcher, client = consumer._coordinator, consumer._fetcher, consumer._client
    closing = getattr(coordinator, "_closing", None)
    if closing is not None and not closing.done():
        closing.set_result(None)  # who waits for a coordinator to be found waits no more
    await _cancel([*_tasks(coordinator, fetcher), client._sync_task], within_s / 3)
    if fetcher is not None:
        fetcher._closed = True
        for arrival in list(fetcher._fetch_waiters):
            fetcher._notify(arrival)
    if getattr(coordinator, "member_id", ""):
        await _leave(client, coordinator, within_s / 3)
    await _disconnect(client, within_s / 3)


def _tasks(coordinator: Any, fetcher: Any) -> list[asyncio.Task[Any] | None]:
    """NoGroupCoordinator and GroupCoordinator have different ones; before `start` there are none."""
    names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
    tasks = [getattr(coordinator, name, None) for name in names]
    return [*tasks, getattr(fetcher, "_fetch_task", None), *getattr(fetcher, "_pending_tasks", ())]


async def _cancel(tasks: Iterable[asyncio.Task[Any] | None], within_s: float) -> None:
    cancelled = [task for task in tasks if task is not None]
    for task in cancelled:
        task.cancel()
    if cancelled:
        done, _ = await asyncio.wait(cancelled, timeout=within_s)
        for task in done:
            if not task.cancelled():
                task.exception()  # seen: else asyncio reports it when the task is collected


async def _leave(client: AIOKafkaClient, coordinator: GroupCoordinator, within_s: float) -> None:
    """During a join the connection for the group is busy until the join is answered: take the one for fetches."""
    joining = coordinator._performed_join_prepare
    request = LeaveGroupRequest(coordinator.group_id, coordinator.member_id)
    with contextlib.suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(within_s):
            await client.send(
                coordinator.coordinator_id,
                request,
                group=ConnectionGroup.DEFAULT if joining else ConnectionGroup.COORDINATION,
            )


async def _disconnect(client: AIOKafkaClient, within_s: float) -> None:
    """What a frozen broker does not read keeps a connection open for ever: those are aborted."""
    connections = list(client._conns.values())
    transports = [each._writer.transport for each in connections if each._writer is not None]
    closed = [future for each in connections if (future := each.close()) is not None]
    if closed:
        await asyncio.wait(closed, timeout=within_s)
    for transport in transports:
        transport.abort()


# ---- writing


def attempts(producer: AIOKafkaProducer, partition: tuple[str, int]) -> Callable[[], int]:
    """How often the batch that `send_batch` has just taken for this partition was sent, whenever it is asked.

    Ask for it before anything else is awaited: it is the last batch of its partition then.
    """
    batch = producer._message_accumulator._batches[TopicPartition(*partition)][-1]
    return lambda: int(batch.retry_count)


def when_sender_ends(producer: AIOKafkaProducer, tell: Callable[[], None]) -> None:
    """Call `tell` when the task that sends has ended: by a failure of its own, or because the producer was stopped."""
    producer._sender.sender_task.add_done_callback(lambda _: tell())


def fail_pending(producer: AIOKafkaProducer) -> None:
    """Fail every batch it has. aiokafka does so when its sender fails, and not when that was cancelled.

    A batch that was to be tried again is no longer in flight for aiokafka, but takes itself off that list when it ends.
    """
    accumulator = producer._message_accumulator
    for queued in accumulator._batches.values():
        accumulator._pending_batches.update(queued)
    accumulator.fail_all(ProducerClosed())


async def kill(producer: AIOKafkaProducer) -> None:
    """End a producer that does not stop: first what sends, so that nothing it holds is written later."""
    producer._closed = True
    task = producer._sender.sender_task
    if task is not None:
        task.remove_done_callback(producer._sender._fail_all)  # it trips over what is done here by hand
        task.cancel()
    for connection in list(producer.client._conns.values()):
        connection.close()
    fail_pending(producer)
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1.0):
            await producer.client.close()
