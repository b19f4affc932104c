"""The bridge, wired once: engines below, services on them, fronts on those. Read this to know what talks to what.

| request | front | service | engine |
|---|---|---|---|
| POST, a record | `http/produce` | `produce/submitter`, `produce/queue` | `kafka/producer` |
| GET for a group, and its acks | `http/group`, `http/ack` | `consume/session` | `kafka/member` |
| a peer's, about a group | `peers/network` | `consume/peering/sharing` | |
| GET without a group | `http/feed` | `consume/feeds/feed` | `kafka/tail` |
| any, on a route with an upstream | `http/passthrough` | | `upstream/service` |
| the same, on its way to Kafka | `http/migrating` | `migrate/standing`, `migrate/shadow`, `produce/submitter` | both |
| a replay to the upstream | `admin/replays` | `replays`, `migrate/replay` | `kafka/tail`, `upstream/service` |

| how ready it is for that | `admin/migration_report` | `migrate/report`, `migrate/account` | |
| a change of its stage | `admin/migrations` | `steering`, `migrate/changing`, `migrate/control` | `kafka/internal` |
| an operator's | `admin/app` | `Bridge`, `status` | `kafka/topics` |
| the same, about a group | `admin/groups` | `groups`, `consume/groups/control`, `consume/dead/graves` | `kafka/marks` |
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from secrets import token_urlsafe

from proxy import status
from proxy.admin.app import admin_app
from proxy.admin.operations import Dependency, GroupState, RouteState, UpstreamState
from proxy.certificates import Certificates
from proxy.config.callers import Issuer
from proxy.config.kafka_rights import needed
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import RESTART_NEEDED, Config, LogLevel, Peer
from proxy.consume.dead.graves import Graves
from proxy.consume.feeds.catchup import CatchUp
from proxy.consume.feeds.feed import Feed
from proxy.consume.readers import Readers
from proxy.consume.session import GroupSession
from proxy.consume.token import Signer
from proxy.endpoints import FeedKey, GroupKey, Services, all_topics, feed_keys, group_keys, key_hashes
from proxy.groups import Desk, group_samples, group_states
from proxy.http.bounds import Bounds
from proxy.http.dispatch import Dispatcher
from proxy.http.doors import Doors
from proxy.http.entrance import Entrance
from proxy.http.protocol import Policy
from proxy.http.upkeep import Ends
from proxy.http.watched import Watching
from proxy.kafka.access import Access
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.marks import Marks
from proxy.kafka.member import Member
from proxy.kafka.partitioner import HASHES
from proxy.kafka.producer import Producer
from proxy.kafka.tail import Tail
from proxy.kafka.topics import Topics
from proxy.migrate.route import RouteOnItsWay
from proxy.migrations import Migrations
from proxy.observe import logs
from proxy.observe.access import Accesses
from proxy.observe.audit import audit
from proxy.observe.loop import watch_loop
from proxy.observe.metrics import Metrics, Sample, Snapshot
from proxy.observe.tracing import Tracers
from proxy.peers.network import Network
from proxy.peers.privacy import Privacy
from proxy.produce.submitter import ProduceQueues
from proxy.replays import Replays
from proxy.routes.table import RouteTable
from proxy.seams.groups import GroupMember
from proxy.steering import Steering
from proxy.tasks import Tasks
from proxy.upstream.jwks import Issuers, Source
from proxy.upstream.tokens import token_source
from proxy.upstream.upstreams import Upstreams

log = logs.logger("app")


class Bridge:
    """The running bridge, and what the admin side asks of it (`Operations`). `async with` opens and closes it.

    Opening waits for nothing: Kafka may come later. `http` and `admin` are ASGI applications.
    """

    def __init__(
        self, config: Config, reread: Callable[[], Config], policy: Policy, *, worker: int = 0, is_private: bool = False
    ) -> None:
        """`reread` reads the file again, for a reload; `policy` is the public listener's; `worker` counts from 0.

        `is_private`: its admin side is reached by its supervisor alone, which knows the operators.
        """
        self.worker = worker
        self.serving = False
        self.metrics = Metrics()
        self.http = Dispatcher(RouteTable.build([]), self.metrics)
        self.admin = admin_app(self, is_private=is_private)
        self._config = config
        self._reread = reread
        self._policy = policy
        self._certificates = Certificates()
        security = config.kafka.security
        self._settings = KafkaSettings(
            config.kafka.bootstrap_servers,
            session_timeout_ms=config.kafka.session_timeout_ms,
            access=Access(security, token_source(security.oauth)),
        )
        self._signer = Signer(secrets_of(config))
        self._worker = worker
        self._stack = AsyncExitStack()
        self._tasks = Tasks()

    async def __aenter__(self) -> "Bridge":
        config, enter = self._config, self._stack.enter_async_context
        self._topics = await enter(
            Topics(self._settings, all_topics(config), create=config.topics.create, needed=needed(config))
        )
        self._producer = await enter(
            Producer(self._settings, on_error=self._note_kafka_error, on_refused=self._topics.recheck)
        )
        self._queues = ProduceQueues(self._topics, self._producer, key_hashes(config, HASHES))
        self._stack.push_async_callback(self._queues.close)
        self._catch_up = await enter(CatchUp(lambda: Tail(self._settings), step_bytes=config.limits.stream_bytes))
        self._network = await enter(network_of(config.peer, self._worker)) if config.peer else None
        self._issuers = await enter(Issuers())
        self._graves = Graves(self._topics, lambda: Tail(self._settings), Marks(self._settings), self._queues)
        self._groups: Readers[GroupKey, GroupSession] = await enter(Readers(self._new_session, GroupSession.close))
        self._feeds: Readers[FeedKey, Feed] = await enter(Readers(self._new_feed, close=None))
        self._watching = Watching(await enter(Tracers()), await enter(Accesses()))
        self.http.on_unmatched = self._watching.unmatched
        self._upstreams = await enter(Upstreams(self.metrics.upstream))
        self._migrations = await enter(
            Migrations(
                config, self._settings, self._topics, lambda: Tail(self._settings), self._queues, worker=self._worker
            )
        )
        self._replays = await enter(
            Replays(
                self._migrations.control,
                self._migrations.accounts,
                self._topics,
                lambda: Tail(self._settings),
                lambda name: self._upstreams[name],
            )
        )
        self._certificates.follow(config)
        self._replays.follow(config)
        self._migrations.control.figures = self._replays
        self._steering = Steering(self._migrations.control, config.kafka.internal.migrations)
        drain: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._services = Services(
            metrics=self.metrics,
            submitter=self._queues,
            groups=self._groups,
            feeds=self._feeds,
            bounds=Bounds(config),
            ends=Ends(drain),
            drain=drain,
            doors=Doors(Entrance(lambda issuer: self._issuers.of(source_of(issuer)))),
            watching=self._watching,
            upstreams=self._upstreams,
            migrations=self._migrations,
        )
        self.http.table = self._services.table(config)
        self.metrics.add_source(self._samples)
        self._tasks.begin(watch_loop(self.metrics.loop_lag), name="watch the loop")
        return self

    async def __aexit__(self, *_: object) -> None:
        self.end_streams()
        await self._tasks.end()
        await self._stack.aclose()

    def _new_session(self, key: GroupKey) -> GroupSession:
        def new_member(group: str, topics: Sequence[str]) -> GroupMember:
            address = self._network.address if self._network else None
            return Member(self._settings, self._topics, group, topics, start=key.start, address=address)

        return GroupSession(key.settings, new_member, self._signer, peers=self._network, submitter=self._queues)

    def _new_feed(self, topics: FeedKey) -> Feed:
        return Feed(sorted(topics), lambda: Tail(self._settings), self._topics, self._signer, self._catch_up)

    def end_streams(self) -> None:
        """End polls and streams cleanly, now and for good: drain has begun."""
        if not self._services.drain.done():
            self._services.drain.set_result(None)

    # ---- reload

    def reload_soon(self) -> None:
        """Reload, from a signal's handler: mistakes are in the log."""

        async def reload() -> None:
            audit("reload_asked", by="signal")
            with contextlib.suppress(ConfigMistakes):
                await self.reload()

        self._tasks.begin(reload(), name="reload")

    async def reload(self) -> Sequence[str]:
        """See `Operations.reload`. Requests in flight finish under the routes they came in under."""
        new = self._reread()
        old, self._config = self._config, new
        self._topics.watch(all_topics(new), needed(new))
        self._queues.hash_of = key_hashes(new, HASHES)
        self._policy.follow(new.limits)
        self._catch_up.step_bytes = new.limits.stream_bytes
        self._settings.access.follow(new.kafka.security, token_source(new.kafka.security.oauth))
        if self._network and new.peer and new.peer.tls:
            self._network.renew(new.peer.tls)
        self._certificates.follow(old.reloaded(new))
        logs.configure(new.observe.log_format, new.observe.log_level)
        self.http.table = self._services.table(new)
        self._replays.follow(new)
        self._issuers.keep([source_of(issuer) for issuer in new.auth.jwt] if new.auth else [])
        self._tasks.begin(self._groups.keep(group_keys(new)), name="end groups")
        self._tasks.begin(self._feeds.keep(feed_keys(new)), name="end feeds")
        changed = list(changes(old, new))
        log.info("reloaded", changes=len(changed))
        return changed

    def log_from(self, level: LogLevel) -> None:
        """See `Operations.log_from`."""
        self._config = self._config.logging_from(level)
        logs.configure(self._config.observe.log_format, level)

    # ---- what the admin side sees (`Operations`)

    def config(self) -> Config:
        return self._config

    def ready(self) -> bool:
        return self.serving

    def dependencies(self) -> Sequence[Dependency]:
        return status.dependencies(self._config, self._topics, self._upstreams, self._issuers)

    def routes(self) -> Mapping[str, RouteState]:
        return status.route_states(self._config, self._topics, self._upstreams, self._steering.stage)

    async def groups(self) -> Sequence[GroupState]:
        return await group_states(self._groups)

    def upstreams(self) -> Sequence[UpstreamState]:
        return status.upstream_states(self._upstreams)

    def group(self, name: str) -> Desk:
        return Desk.of(self._groups, name, self._graves)

    def replays(self) -> Replays:
        return self._replays

    def way(self, route: str) -> RouteOnItsWay:
        return self._migrations.of(route)

    def migrations(self) -> Steering:
        return self._steering

    def snapshot(self) -> Snapshot:
        return self.metrics.snapshot()

    def _samples(self) -> Iterator[Sample]:
        yield Sample("stepbridge_ready", {}, self.serving)
        yield Sample("stepbridge_kafka_up", {}, self._topics.state().reachable)
        yield Sample("stepbridge_producers_replaced_total", {}, self._producer.replaced)
        yield from self._certificates.samples()
        yield from self._services.bounds.samples()
        yield from self._services.doors.samples()
        yield from self._issuers.samples()
        yield from self._upstreams.samples()
        yield from self._watching.samples()
        yield from self._migrations.samples()
        yield from self._replays.samples()
        yield from self._steering.samples()
        yield from status.produce_samples(self._queues)
        yield from group_samples(session.state() for session in self._groups)
        if self._network is not None:
            yield Sample("stepbridge_peers_connected", {}, sum(self._network.links.values()))
            yield Sample("stepbridge_peers_refused_total", {}, self._network.refused)

    def _note_kafka_error(self, operation: str, error: BaseException) -> None:
        self.metrics.kafka_error(operation, type(error).__name__)


def source_of(issuer: Issuer) -> Source:
    """An issuer, as its keys are fetched."""
    return Source(issuer.name, issuer.issuer, issuer.jwks_url, issuer.refresh_ms / 1000, issuer.stale_ms / 1000)


def network_of(peer: Peer, worker: int) -> Network:
    """This worker's place among its peers."""
    host, port = peer.listens_at(worker)
    secrets = [secret.get_secret_value() for secret in peer.secret]
    return Network(host, port, peer.advertised_by(worker), secrets, Privacy(peer.tls) if peer.tls else None)


def secrets_of(config: Config) -> Sequence[str]:
    """The configured secrets, else a random one."""
    if config.secret:
        return [secret.get_secret_value() for secret in config.secret]
    if any(route.consume for route in config.routes):
        log.warning(
            "secret_made_up",
            cost="after a restart, and at another replica, leases and positions handed out here are refused",
            mend="write `secret` into the file; `openssl rand -base64 32` makes one",
        )
    return [token_urlsafe(32)]


def changes(old: Config, new: Config) -> Iterator[str]:
    """What a reload changed, for people; and what it could not change without a restart."""
    before, after = ({route.name: route for route in config.routes} for config in (old, new))
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            yield f"route {name}: {'added' if name not in before else 'removed' if name not in after else 'changed'}"
    for section in ("auth", "limits", "drain", "observe", "upstreams"):
        if getattr(old, section) != getattr(new, section):
            yield f"{section}: changed"
    reloaded = old.reloaded(new)
    for section in RESTART_NEEDED:
        if getattr(old, section) != getattr(reloaded, section):
            yield f"{section}: changed, in force for new connections"
        if getattr(reloaded, section) != getattr(new, section):
            yield f"{section}: changed in the file, in force after a restart"
