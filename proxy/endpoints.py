"""From the configuration to what requests go to: for each route its endpoint, compiled, with its services handed in."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.config.migration import Migrate
from proxy.config.model import Config, Consume, Produce, Route
from proxy.consume.feeds.feed import Feed
from proxy.consume.feeds.sieve import Sieves
from proxy.consume.groups.settings import GroupSettings
from proxy.consume.partition.terms import Order, Terms
from proxy.consume.readers import Readers
from proxy.consume.session import GroupSession
from proxy.http.ack import AckEndpoint
from proxy.http.batch import BatchEndpoint
from proxy.http.bounds import Bounds
from proxy.http.consume import ConsumeEndpoint, answer_closed
from proxy.http.cors import CorsEndpoint, CorsPolicy, Preflight
from proxy.http.deprecated import DeprecatedEndpoint, deprecation_headers
from proxy.http.dispatch import Endpoint, Handler
from proxy.http.doors import Doors
from proxy.http.encoding import MAX_ZSTD_UPLOADS
from proxy.http.feed import FeedPoll, FeedStreaming
from proxy.http.group import GroupPoll, GroupStreaming
from proxy.http.items import ItemWriter
from proxy.http.migrating import MigratingEndpoint
from proxy.http.ndjson import NdjsonEndpoint
from proxy.http.passthrough import PassthroughEndpoint
from proxy.http.produce import ProduceEndpoint
from proxy.http.selection import Selection
from proxy.http.upkeep import Ends, Upkeep
from proxy.http.watched import Watching
from proxy.limits.gate import Gate
from proxy.migrations import Migrations
from proxy.observe.metrics import Metrics, RouteMetrics
from proxy.routes.recipe import RecordRecipe
from proxy.routes.table import RouteTable
from proxy.routes.template import Template
from proxy.routes.traced import TracedRecipe
from proxy.seams.feeds import Start
from proxy.seams.produce import Submitter
from proxy.seams.upstream import Upstream
from proxy.upstream.upstreams import Upstreams

COMMIT_INTERVAL_S = 1.0  # `commit: interval`


@dataclass(frozen=True, slots=True)
class GroupKey:
    """What makes two routes read through one session; a change of it is another session."""

    group: str
    topics: tuple[str, ...]
    ack: Literal["explicit", "auto"]
    lease_ms: int
    start: Start
    order: Order = "none"
    max_in_flight: int | None = None
    max_deliveries: int | None = None
    dead_letter: str | None = None
    commit: Literal["each", "interval"] = "each"

    @classmethod
    def of(cls, consume: Consume) -> "GroupKey":
        """Of a consume section with a group."""
        assert consume.group is not None
        assert consume.ack is not None
        return cls(
            consume.group,
            consume.topics,
            consume.ack,
            consume.lease_ms,
            consume.start,
            consume.order,
            consume.max_in_flight,
            consume.max_deliveries,
            consume.dead_letter,
            consume.commit,
        )

    @property
    def settings(self) -> GroupSettings:
        """What its session is told."""
        buries = self.dead_letter is not None
        return GroupSettings(
            self.group,
            self.topics,
            self.ack,
            self.lease_ms / 1000,
            terms=Terms(self.order, self.max_in_flight, self.max_deliveries, buries=buries),
            dead_letter=self.dead_letter,
            commit_interval_s=COMMIT_INTERVAL_S if self.commit == "interval" else None,
        )


FeedKey = frozenset[str]  # the topics


@dataclass(frozen=True, slots=True)
class Services:
    """What endpoints are made of."""

    metrics: Metrics
    submitter: Submitter
    groups: Readers[GroupKey, GroupSession]
    feeds: Readers[FeedKey, Feed]
    bounds: Bounds
    ends: Ends
    drain: "asyncio.Future[None]"
    watching: Watching
    doors: Doors
    upstreams: Upstreams
    migrations: Migrations
    sieves: Sieves = field(default_factory=Sieves)
    zstd_uploads: Gate = field(default_factory=lambda: Gate(MAX_ZSTD_UPLOADS, 0, "streams of zstd", "zstd_uploads"))

    def table(self, config: Config) -> RouteTable[Endpoint]:
        """Every route of the file. Readers that are new to it are started."""
        self.bounds.follow(config)
        self.ends.follow(config)
        self.watching.follow(config.observe)
        self.doors.follow(config)
        self.upstreams.follow(config.upstreams)
        self.migrations.follow(config)
        entries = [entry for route in config.routes for entry in self._entries(route, config)]
        return RouteTable.build([*entries, *self._preflights(config)])

    def _entries(self, route: Route, config: Config) -> Iterator[tuple[str, str, Endpoint]]:
        """(method, path, endpoint) of the route, and of its acks where it has them."""
        metrics = self.metrics.route(route.name)
        for method, path, handle in self._handlers(route, config, metrics):
            told = DeprecatedEndpoint(handle, deprecation_headers(route.deprecation)) if route.deprecation else handle
            guarded = self.doors.guarded(route, self.bounds.limited(route, told))
            shared = CorsEndpoint(guarded, CorsPolicy.of(route.cors)) if route.cors else guarded
            yield method, path, Endpoint(route.name, self.watching.watched(route, path, shared), metrics)

    def _preflights(self, config: Config) -> Iterator[tuple[str, str, Endpoint]]:
        """OPTIONS on each path that other origins may call: one for all routes that have it."""
        found: dict[tuple[str, ...], tuple[Route, str, dict[str, CorsPolicy]]] = {}
        for route, cors in [(route, route.cors) for route in config.routes if route.cors]:
            for pattern in route.doors:
                _, _, policies = found.setdefault(pattern.shape, (route, pattern.path, {}))
                policies[pattern.method] = CorsPolicy.of(cors, self.doors.header_names(route))
        for route, path, policies in found.values():
            yield "OPTIONS", path, Endpoint(route.name, Preflight(policies), self.metrics.route(route.name))

    def _handlers(self, route: Route, config: Config, metrics: RouteMetrics) -> Iterator[tuple[str, str, Handler]]:
        if route.upstream and not route.produce:
            yield route.method, route.path, self._passthrough(route, self.upstreams[route.upstream], metrics)
        elif route.upstream and route.produce and route.migrate:
            yield route.method, route.path, self._migrating(route, route.produce, route.migrate, config, metrics)
        elif route.produce:
            yield route.method, route.path, self._produce(route, route.produce, config, metrics)
        elif route.consume and route.consume.group:
            session = self.groups.get(GroupKey.of(route.consume))
            yield route.method, route.path, self._group(route, route.consume, session, metrics)
            if route.ack_path:
                yield "POST", route.ack_path, AckEndpoint(session, self.bounds.gate, config.limits.max_body_bytes)
        elif route.consume:
            yield route.method, route.path, self._feed(route, route.consume, metrics)

    def _passthrough(self, route: Route, upstream: Upstream, metrics: RouteMetrics) -> Handler:
        gate = self.bounds.gate_of(route) if route.limits.in_flight else None
        return PassthroughEndpoint(upstream, gate, metrics, route.limits.max_body_bytes, self.drain)

    def _migrating(
        self, route: Route, produce: Produce, migrate: Migrate, config: Config, metrics: RouteMetrics
    ) -> Handler:
        assert route.upstream
        body_right = self.doors.body_right(route)
        return MigratingEndpoint(
            self.migrations.of(route.name),
            self.upstreams[route.upstream],
            (TracedRecipe if self.watching.traces else RecordRecipe).compile(route, body_right),
            self.submitter,
            self.migrations.divergences,
            self.bounds.gate_of(route),
            metrics,
            route.limits.max_body_bytes or config.limits.max_body_bytes,
            produce.timeout_ms / 1000,
            migrate.authority,
            rollout_by=Template.compile(migrate.rollout_by, "rollout_by") if migrate.rollout_by else None,
            caller=Template.compile(migrate.caller, "caller") if migrate.caller else None,
            tells_stage=migrate.stage_header,
            judges_body=body_right is not None,
        )

    def _produce(self, route: Route, produce: Produce, config: Config, metrics: RouteMetrics) -> ProduceEndpoint:
        limits = config.limits
        recipe = (TracedRecipe if self.watching.traces else RecordRecipe).compile(route, self.doors.body_right(route))
        max_body_bytes = route.limits.max_body_bytes or limits.max_body_bytes
        timeout_s = produce.timeout_ms / 1000
        gate = self.bounds.gate_of(route)
        common = (recipe, self.submitter, gate, metrics, max_body_bytes, timeout_s)
        if not produce.batch:
            return ProduceEndpoint(*common)
        many = ItemWriter(recipe, self.submitter, metrics, timeout_s)
        ndjson = NdjsonEndpoint(many, gate, self.bounds.streams, self.zstd_uploads, max_body_bytes, self.drain)
        return BatchEndpoint(*common, many, ndjson)

    def _group(self, route: Route, consume: Consume, session: GroupSession, metrics: RouteMetrics) -> Handler:
        if consume.closed:  # what is leased may still be acknowledged
            return answer_closed
        is_auto, values_only = consume.ack == "auto", consume.shape == "values"
        poll = GroupPoll(session, is_auto, values_only, metrics, self.drain)
        upkeep = Upkeep.of(consume, self.ends.of(route))
        stream = GroupStreaming(session, is_auto, values_only, upkeep, metrics)
        return ConsumeEndpoint(poll, stream, self.bounds.streams, takes_acks=not is_auto)

    def _feed(self, route: Route, consume: Consume, metrics: RouteMetrics) -> Handler:
        if consume.closed:
            return answer_closed
        feed, values_only = self.feeds.get(frozenset(consume.topics)), consume.shape == "values"
        selection = Selection.of(consume, self.sieves)
        poll = FeedPoll(feed, selection, values_only, metrics, self.drain)
        upkeep = Upkeep.of(consume, self.ends.of(route))
        stream = FeedStreaming(feed, selection, values_only, upkeep, metrics)
        return ConsumeEndpoint(poll, stream, self.bounds.streams)


def group_keys(config: Config) -> set[GroupKey]:
    return {GroupKey.of(route.consume) for route in config.routes if route.consume and route.consume.group}


def feed_keys(config: Config) -> set[FeedKey]:
    reading = (route.consume for route in config.routes if route.consume and not route.consume.closed)
    return {frozenset(consume.topics) for consume in reading if not consume.group}


def topics_of(route: Route) -> Sequence[str]:
    """What the route writes to or reads from."""
    return [route.produce.topic] if route.produce else route.consume.topics if route.consume else []


def all_topics(config: Config) -> set[str]:
    """Every topic of the file, those of dead letters included."""
    letters = {route.consume.dead_letter for route in config.routes if route.consume}
    return {topic for route in config.routes for topic in topics_of(route)} | {name for name in letters if name}


def key_hashes(config: Config, hashes: Mapping[str, Callable[[bytes], int]]) -> dict[str, Callable[[bytes], int]]:
    """The key hash of each topic that routes write to, dead letters included."""
    dead = (r.consume.dead_letter for r in config.routes if r.consume and r.consume.dead_letter)
    written = {r.produce.topic: hashes[r.produce.partitioner] for r in config.routes if r.produce}
    own = [config.kafka.internal.divergences] if any(r.migrate for r in config.routes) else []
    return dict.fromkeys([*own, *dead], hashes["murmur2"]) | written
