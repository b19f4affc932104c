"""Routes on their way from an upstream to Kafka, in this process: what each has, and what they share.

The control topic is read as soon as there is such a route, and from then on: others may change its stage.
"""

import asyncio
import contextlib
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from functools import partial
from secrets import token_hex

from proxy.clock import now_s, wall_ms
from proxy.config.model import Config, Route
from proxy.config.share import parse_share
from proxy.errors import ProxyError
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.internal import COMPACTED, KEPT_LONG, make_internal
from proxy.migrate import report
from proxy.migrate.account import Accounts
from proxy.migrate.chronicle import Replica
from proxy.migrate.compare import Comparer
from proxy.migrate.control import Control, Terms
from proxy.migrate.controllog import TopicLog
from proxy.migrate.divergence import Divergences
from proxy.migrate.refusals import NoMigration
from proxy.migrate.route import RouteOnItsWay
from proxy.migrate.shadow import Shadow
from proxy.migrate.stages import Setting
from proxy.observe.logs import logger
from proxy.observe.metrics import Sample
from proxy.seams.feeds import NewTail
from proxy.seams.produce import Submitter
from proxy.seams.topics import Topics
from proxy.tasks import Tasks

SHADOW_BYTES = 64 * 1024 * 1024  # of one route's queue
DIVERGENCE_PARTITIONS = 4
RETRY_S = 5.0
CLOSING_S = 5.0

log = logger("migrate")


class Migrations:
    """`async with` takes part, and leaves. `follow` is told of each configuration."""

    def __init__(
        self,
        config: Config,
        settings: KafkaSettings,
        topics: Topics,
        new_tail: NewTail,
        submitter: Submitter,
        *,
        worker: int,
    ) -> None:
        """`worker` counts from 0: each is a replica for itself."""
        self.accounts = Accounts()
        keys = (config.auth.key_header.lower().encode(),) if config.auth else ()
        self.divergences = Divergences(submitter, config.kafka.internal.divergences, secret=keys)
        self._internal = config.kafka.internal
        self._settings = settings
        self._submitter = submitter
        self._routes: dict[str, RouteOnItsWay] = {}
        self._tasks = Tasks()
        self._stack = AsyncExitStack()
        name = self._internal.migrations
        topic = TopicLog(name, topics, new_tail, submitter, partial(self._make, name, COMPACTED, 1))
        self.control = Control(topic, this_replica(config.server.port, worker))
        self.control.held = self._held
        self._takes_part = False

    def __repr__(self) -> str:
        return f"<Migrations of {', '.join(self._routes) or 'nothing'}, {self.control!r}>"

    async def __aenter__(self) -> "Migrations":
        return self

    async def __aexit__(self, *_: object) -> None:
        """What is queued is written if Kafka takes it soon; what of a shadow it does not is lost, and listed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_S):
                await asyncio.gather(*(way.shadow.flush() for way in self._routes.values()), self.divergences.flush())
        for way in self._routes.values():
            way.shadow.stop()
        await self._tasks.end()
        await self._stack.aclose()

    def follow(self, config: Config) -> None:
        """Put this configuration in force. Queues, counts, and the stages that are in force stay."""
        migrating = [route for route in config.routes if route.migrate]
        self.control.follow({route.name: terms_of(route) for route in migrating})
        for route in migrating:
            self._follow(route)
        if migrating and not self._takes_part:
            self._takes_part = True
            self._tasks.begin(self._stack.enter_async_context(self.control), name="take part")
            self._tasks.begin(self.divergences.run(), name="divergences")
            self._tasks.begin(self._make_divergences(), name="make the divergence topic")

    def of(self, route: str) -> RouteOnItsWay:
        """Of a route that has `migrate`, or had when it was last followed. Raises NoMigration."""
        if route not in self._routes:
            raise NoMigration(f"No route named {route!r} has `migrate`.")
        return self._routes[route]

    def __iter__(self) -> Iterator[RouteOnItsWay]:
        return iter(self._routes.values())

    def samples(self) -> Iterator[Sample]:
        for way in self._routes.values():
            labels = {"route": way.name}
            yield Sample("stepbridge_shadow_queued", labels, way.shadow.depth)
            yield Sample("stepbridge_shadow_queue_limit", labels, way.shadow.bound)
            yield Sample("stepbridge_shadow_unknown", labels, self.control.chronicle.vanished(way.name, now_s()))
            for case, count in way.cases.items():
                yield Sample("stepbridge_dual_writes_total", {**labels, "case": case}, count)
            yield from report.samples(way.account)
        if self._takes_part:
            yield Sample("stepbridge_divergences_waiting", {}, self.divergences.waiting)
            yield Sample("stepbridge_divergences_lost_total", {}, self.divergences.unwritten)

    def _held(self) -> Mapping[str, int]:
        """By route what a sign of life says of its shadow."""
        return {name: held for name, way in self._routes.items() if (held := way.shadow.held())}

    def _follow(self, route: Route) -> None:
        assert route.migrate
        assert route.produce
        account = self.accounts.of(route)
        comparer = Comparer(route.migrate.compare) if route.migrate.compare else None
        way = self._routes.get(route.name)
        if way is None:
            shadow = Shadow(
                self._submitter,
                bound=route.migrate.queue,
                bound_bytes=SHADOW_BYTES,
                patience_s=route.produce.timeout_ms / 1000,
                on_lost=account.lost,
            )
            way = RouteOnItsWay(route.name, self.control.standing(route.name), shadow, account)
            self._routes[route.name] = way
            self._tasks.begin(shadow.run(), name=f"shadow {route.name}")
        way.comparer = comparer

    async def _make(self, name: str, content: Mapping[str, str], partitions: int) -> None:
        internal = self._internal
        await make_internal(
            self._settings,
            name,
            content,
            partitions=partitions,
            replication=internal.replication,
            create=internal.create,
        )

    async def _make_divergences(self) -> None:
        while True:
            try:
                return await self._make(self.divergences.topic, KEPT_LONG, DIVERGENCE_PARTITIONS)
            except ProxyError as error:
                log.warning("divergence_topic_missing", topic=self.divergences.topic, reason=error.detail)
            await asyncio.sleep(RETRY_S)


def terms_of(route: Route) -> Terms:
    """What the file says of a route on its way."""
    assert route.migrate
    migrate = route.migrate
    rollout = None if migrate.stage == "legacy" else migrate.rollout
    return Terms(Setting.read(migrate.stage, rollout), parse_share(migrate.max_violations))


def this_replica(port: int, worker: int) -> Replica:
    """This process: its name is its place, and people know it by that; its id is of this one life."""
    name = f"{socket.gethostname()}:{port or os.getpid()}/{worker}"
    return Replica(f"{name}-{token_hex(4)}", name, os.getpid(), wall_ms())
