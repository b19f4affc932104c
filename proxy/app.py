"""The bridge, wired once: engines below, services on them, fronts on those. Read this to know what talks to what.

http/   ->  produce/  ->  kafka/producer          a POST becomes a record
http/   ->  consume/  ->  kafka/member, tail      records become answers and streams
admin/  ->  Bridge (`admin/operations.py`)        what an operator sees and does
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from secrets import token_urlsafe
from typing import Literal

from proxy.admin.app import admin_app
from proxy.admin.operations import Dependency, GroupState, PartitionState, RouteState
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config, Consume, Route
from proxy.consume import handout as consume_states
from proxy.consume.group import GroupSession, GroupSettings
from proxy.consume.readers import Readers
from proxy.consume.token import Signer
from proxy.http.ack import AckEndpoint
from proxy.http.consume import ConsumeEndpoint
from proxy.http.dispatch import Dispatcher, Endpoint
from proxy.http.group import GroupPoll, GroupStreaming
from proxy.http.produce import ProduceEndpoint
from proxy.http.protocol import Policy
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.member import Member
from proxy.kafka.partitioner import HASHES
from proxy.kafka.producer import Producer
from proxy.kafka.topics import Topics
from proxy.limits.gate import Gate, Streams
from proxy.observe.logs import logger
from proxy.observe.loop import watch_loop
from proxy.observe.metrics import Metrics, RouteMetrics, Sample, Snapshot
from proxy.produce.submitter import ProduceQueues
from proxy.routes.recipe import RecordRecipe
from proxy.routes.table import RouteTable
from proxy.seams import GroupMember

log = logger("app")


class Bridge:
    """The running bridge, and what the admin side asks of it (`Operations`). `async with` opens and closes it.

    Opening waits for nothing: Kafka may come later. `http` and `admin` are ASGI applications.
    """

    def __init__(self, config: Config, reread: Callable[[], Config], policy: Policy) -> None:
        """`reread` reads the file again, for a reload; `policy` is the public listener's."""
        self.serving = False
        self.metrics = Metrics()
        self.http = Dispatcher(RouteTable.build([]), self.metrics)
        self.admin = admin_app(self)
        self._config = config
        self._reread = reread
        self._policy = policy
        self._stack = AsyncExitStack()
        self._gate = Gate(config.limits.in_flight, config.limits.in_flight_bytes)
        self._streams = Streams(config.limits.streams)
        self._signer = Signer(secrets_of(config))
        self._tasks: set[asyncio.Task[object]] = set()

    async def __aenter__(self) -> "Bridge":
        config = self._config
        settings = KafkaSettings(config.kafka.bootstrap_servers, session_timeout_ms=config.kafka.session_timeout_ms)
        enter = self._stack.enter_async_context
        self._settings = settings
        self._drain: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._topics = await enter(Topics(settings, topics_of(config), create=config.topics.create))
        self._producer = await enter(Producer(settings, self._note_kafka_error))
        self._queues = ProduceQueues(self._topics, self._producer, hashes_of(config))
        self._stack.push_async_callback(self._queues.close)
        self._groups = await enter(Readers(self._new_session))
        self.http.table = self._table(config)
        self.metrics.add_source(self._samples)
        self._keep(watch_loop(self.metrics.loop_lag))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stack.aclose()

    # ---- what requests go to

    def _table(self, config: Config) -> RouteTable[Endpoint]:
        return RouteTable.build(entry for route in config.routes for entry in self._endpoints(route, config))

    def _endpoints(self, route: Route, config: Config) -> Iterator[tuple[str, str, Endpoint]]:
        """(method, path, endpoint) for the route, and for its acks where it has them."""
        metrics = self.metrics.route(route.name)
        own_limit = route.limits.max_body_bytes or config.limits.max_body_bytes
        if route.produce:
            own = Gate(route.limits.in_flight or config.limits.in_flight, config.limits.in_flight_bytes, route.name)
            handle = ProduceEndpoint(
                recipe=RecordRecipe.compile(route),
                submitter=self._queues,
                gates=(self._gate, own),
                metrics=metrics,
                max_body_bytes=own_limit,
                timeout_s=route.produce.timeout_ms / 1000,
            )
            yield route.method, route.path, Endpoint(route.name, handle, metrics)
        elif route.consume and route.consume.group:
            session = self._groups.get(GroupKey.of(route.consume))
            yield (
                route.method,
                route.path,
                Endpoint(route.name, self._group_endpoint(route.consume, session, metrics), metrics),
            )
            if route.ack_path:
                ack = AckEndpoint(session, self._gate, config.limits.max_body_bytes)
                yield "POST", route.ack_path, Endpoint(route.name, ack, metrics)

    def _group_endpoint(self, consume: Consume, session: GroupSession, metrics: RouteMetrics) -> ConsumeEndpoint:
        is_auto, values_only = consume.ack == "auto", consume.shape == "values"
        poll = GroupPoll(session, is_auto, values_only, metrics, self._drain)
        stream = GroupStreaming(session, is_auto, values_only, consume.heartbeat_ms / 1000, metrics, self._drain)
        return ConsumeEndpoint(poll, stream, self._streams)

    def _new_session(self, key: "GroupKey") -> GroupSession:
        def new_member(group: str, topics: Sequence[str]) -> GroupMember:
            return Member(self._settings, self._topics, group, topics, start=key.start)

        return GroupSession(
            GroupSettings(key.group, key.topics, key.ack, key.lease_ms / 1000), new_member, self._signer
        )

    # ---- reload

    def reload_soon(self) -> None:
        """Reload, from a signal's handler: mistakes are in the log."""

        async def reload() -> None:
            with contextlib.suppress(ConfigMistakes):
                await self.reload()

        self._keep(reload())

    async def reload(self) -> Sequence[str]:
        """See `Operations.reload`. Requests in flight finish under the routes they came in under."""
        try:
            new = self._reread()
        except ConfigMistakes as exc:
            log.warning("reload_refused", mistakes=[str(mistake) for mistake in exc.mistakes])
            raise
        old, self._config = self._config, new
        self._topics.watch(topics_of(new))
        self._queues.hash_of = hashes_of(new)
        self._gate.limit, self._gate.limit_bytes = new.limits.in_flight, new.limits.in_flight_bytes
        self._streams.limit = new.limits.streams
        self._policy.max_head_bytes = new.limits.max_header_bytes
        self._policy.head_timeout_s = new.limits.header_timeout_ms / 1000
        self.http.table = self._table(new)
        self._keep(self._groups.keep({GroupKey.of(r.consume) for r in new.routes if r.consume and r.consume.group}))
        changed = list(changes(old, new))
        log.info("reloaded", changes=len(changed))
        return changed

    # ---- drain

    def end_streams(self) -> None:
        """End polls and streams: they are answered with what they have."""
        if not self._drain.done():
            self._drain.set_result(None)

    # ---- what the admin side sees (`Operations`)

    def config(self) -> Config:
        return self._config

    def ready(self) -> bool:
        return self.serving

    def dependencies(self) -> Sequence[Dependency]:
        state = self._topics.state()
        kafka = Dependency("kafka", state.reachable, "" if state.reachable else "No broker answers.")
        topics = [
            Dependency(f"topic {name}", name not in state.missing, "" if name not in state.missing else "Create it.")
            for name in sorted(topics_of(self._config))
        ]
        return [kafka, *topics]

    def routes(self) -> Mapping[str, RouteState]:
        state = self._topics.state()
        states = {}
        for route in self._config.routes:
            missing = sorted(set(topics_of_route(route)) & set(state.missing))
            if not state.reachable:
                states[route.name] = RouteState("kafka_unavailable", "No broker answers.")
            elif missing:
                states[route.name] = RouteState("topic_missing", f"Kafka has no {', '.join(missing)}.")
        return states

    def groups(self) -> Sequence[GroupState]:
        return [_group_state(session.state()) for session in self._groups]

    def snapshot(self) -> Snapshot:
        return self.metrics.snapshot()

    def _samples(self) -> Iterator[Sample]:
        yield Sample("stepbridge_ready", {}, self.serving)
        yield Sample("stepbridge_kafka_up", {}, self._topics.state().reachable)
        for topic, (records, size_bytes, batches) in self._queues.by_topic().items():
            yield Sample("stepbridge_produce_queue_records", {"topic": topic}, records)
            yield Sample("stepbridge_produce_queue_bytes", {"topic": topic}, size_bytes)
            yield Sample("stepbridge_batches_in_flight", {"topic": topic}, batches)
        for state in self.groups():
            group = {"group": state.group}
            yield Sample("stepbridge_group_leases_out", group, state.leases_out)
            yield Sample("stepbridge_group_waiting", group, state.waiting)
            yield Sample("stepbridge_group_redeliveries_total", group, state.redeliveries)
            for each in state.partitions:
                if each.lag is not None:
                    labels = {**group, "topic": each.topic, "partition": str(each.partition)}
                    yield Sample("stepbridge_group_lag_records", labels, each.lag)

    def _note_kafka_error(self, operation: str, error: BaseException) -> None:
        self.metrics.kafka_error(operation, type(error).__name__)

    def _keep(self, work: Coroutine[None, None, object]) -> None:
        """Run beside everything else until it ends or the bridge closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What makes two routes read through one session; a change of it is another session."""

    group: str
    topics: tuple[str, ...]
    ack: Literal["explicit", "auto"]
    lease_ms: int
    start: Literal["earliest", "latest"]

    @classmethod
    def of(cls, consume: Consume) -> "GroupKey":
        assert consume.group is not None
        assert consume.ack is not None
        return cls(consume.group, consume.topics, consume.ack, consume.lease_ms, consume.from_)


def secrets_of(config: Config) -> Sequence[str]:
    """The configured secrets, else a random one."""
    if config.secret:
        return [secret.get_secret_value() for secret in config.secret]
    if any(route.consume for route in config.routes):
        log.warning(
            "secret_made_up",
            cost="a restart or another replica refuses the leases and positions handed out here",
            mend="write `secret` in the file: openssl rand -base64 32 makes one",
        )
    return [token_urlsafe(32)]


def _group_state(state: consume_states.GroupState) -> GroupState:
    """As the admin side shows it."""
    return GroupState(
        group=state.group,
        partitions=[
            PartitionState(p.partition.topic, p.partition.partition, p.committable, p.end, p.lag)
            for p in state.partitions
        ],
        leases_out=state.leased_records,
        oldest_lease_s=state.oldest_lease_s,
        waiting=state.waiting,
        redeliveries=state.redeliveries,
    )


def topics_of(config: Config) -> set[str]:
    return {topic for route in config.routes for topic in topics_of_route(route)}


def topics_of_route(route: Route) -> Iterable[str]:
    return [route.produce.topic] if route.produce else route.consume.topics if route.consume else ()


def hashes_of(config: Config) -> dict[str, Callable[[bytes], int]]:
    """The key hash of each topic that routes write to."""
    return {r.produce.topic: HASHES[r.produce.partitioner] for r in config.routes if r.produce}


def changes(old: Config, new: Config) -> Iterator[str]:
    """What a reload changed, for people; and what it could not change without a restart."""
    before, after = ({route.name: route for route in config.routes} for config in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"route {name}: {'added' if name not in before else 'removed' if name not in after else 'changed'}"
    for section in ("limits", "topics", "drain", "observe"):
        if getattr(old, section) != getattr(new, section):
            yield f"{section}: changed"
    for section in ("kafka", "server", "admin", "secret"):
        if getattr(old, section) != getattr(new, section):
            yield f"{section}: changed in the file, in force after a restart"
