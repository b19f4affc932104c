"""A bridge that is as a test says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.admin.operations import Dependency, GroupState, LetterState, RouteState, UpstreamState
from proxy.admin.problem import NoGroup
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config, LogLevel
from proxy.consume.dead.graves import Replay
from proxy.consume.groups.control import Moved
from proxy.consume.groups.whence import Whence
from proxy.errors import ProxyError
from proxy.migrate.changing import Wish
from proxy.migrate.refusals import NoMigration
from proxy.migrate.route import RouteOnItsWay
from proxy.observe.metrics import Metrics, Snapshot
from proxy.record import Partition


def config(*routes: Mapping[str, Any]) -> Config:
    """A configuration with these routes, or with one that writes and one that reads."""
    default = (
        {"route": "POST /orders", "produce": {"topic": "orders"}},
        {"route": "GET /orders/feed", "consume": {"topics": ["orders"], "group": "shops"}},
    )
    return Config.model_validate(
        {"kafka": {"bootstrap_servers": "localhost:9092"}, "auth": "none", "routes": routes or default}
    )


@dataclass
class ScriptedOperations:
    """`proxy.admin.operations.Operations`."""

    configuration: Config = field(default_factory=config)
    is_ready: bool = True
    needs: Sequence[Dependency] = (Dependency("kafka", up=True),)
    route_states: Mapping[str, RouteState] = field(default_factory=dict)
    group_states: Sequence[GroupState] = ()
    upstream_states: Sequence[UpstreamState] = ()
    controls: "dict[str, ScriptedGroup]" = field(default_factory=lambda: {"shops": ScriptedGroup()})
    control: "ScriptedMigrations" = field(default_factory=lambda: ScriptedMigrations())
    replaying: "ScriptedReplays" = field(default_factory=lambda: ScriptedReplays())
    ways: dict[str, RouteOnItsWay] = field(default_factory=dict)
    metrics: Metrics = field(default_factory=Metrics)
    next_reload: Sequence[str] | ConfigMistakes = ()
    reloads: int = 0

    def config(self) -> Config:
        return self.configuration

    def ready(self) -> bool:
        return self.is_ready

    def dependencies(self) -> Sequence[Dependency]:
        return self.needs

    def routes(self) -> Mapping[str, RouteState]:
        return self.route_states

    async def groups(self) -> Sequence[GroupState]:
        return self.group_states

    def upstreams(self) -> Sequence[UpstreamState]:
        return self.upstream_states

    def group(self, name: str) -> "ScriptedGroup":
        if name not in self.controls:
            raise NoGroup(f"No route reads for a group {name!r}; the groups are: {', '.join(self.controls)}.")
        return self.controls[name]

    def way(self, route: str) -> RouteOnItsWay:
        if route not in self.ways:
            raise NoMigration(f"No route named {route!r} has `migrate`.")
        return self.ways[route]

    def migrations(self) -> "ScriptedMigrations":
        return self.control

    def replays(self) -> "ScriptedReplays":
        return self.replaying

    def snapshot(self) -> Snapshot:
        return self.metrics.snapshot()

    async def reload(self) -> Sequence[str]:
        self.reloads += 1
        if isinstance(self.next_reload, ConfigMistakes):
            raise self.next_reload
        return self.next_reload

    def log_from(self, level: LogLevel) -> None:
        self.configuration = self.configuration.logging_from(level)


@dataclass
class ScriptedGroup:
    """`proxy.admin.operations.GroupControl`: writes down what it was told, and answers what the test says."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    moved: Sequence[Moved] = (Moved(Partition("orders", 0), 9, 5),)
    is_skipped: bool = True
    letters: Sequence[LetterState] = ()
    replays: list[Replay] = field(default_factory=list)
    error: ProxyError | None = None

    async def seek(self, whence: Whence, *, topic: str | None, partition: int | None) -> Sequence[Moved]:
        self._say("seek", whence, topic, partition)
        return self.moved

    async def skip(self, partition: Partition, offset: int) -> bool:
        self._say("skip", partition, offset)
        return self.is_skipped

    async def dead(self, *, most: int, with_values: bool) -> tuple[Sequence[LetterState], bool]:
        self._say("dead", most, with_values)
        return self.letters[:most], len(self.letters) <= most

    async def replay(self, ids: Sequence[str] | None) -> Replay:
        self._say("replay", ids)
        return self.replays.pop(0) if self.replays else Replay()

    def _say(self, *what: Any) -> None:
        if self.error is not None:
            raise self.error
        self.told.append(what)


@dataclass
class ScriptedMigrations:
    """`proxy.admin.operations.MigrationControl`: one route, `orders`."""

    route: Mapping[str, Any] = field(default_factory=lambda: {"name": "orders", "stage": "legacy", "rollout": "100%"})
    wishes: list[Wish] = field(default_factory=list)
    refusal: ProxyError | None = None
    replicas: Sequence[Mapping[str, Any]] = ()
    unconfirmed: Sequence[Mapping[str, str]] = ()
    history: Sequence[Mapping[str, Any]] = ()

    def all(self) -> Mapping[str, Any]:
        return {
            "replica": "shop-1:8080/0-abc",
            "is_fresh": True,
            "known_age_s": 0.2,
            "trouble": None,
            "replicas": self.replicas,
            "routes": [self.route],
        }

    def one(self, name: str) -> Mapping[str, Any]:
        if name != "orders":
            raise NoMigration(f"No route named {name!r} has `migrate`.")
        return {**self.route, "history": self.history}

    async def change(self, wish: Wish) -> Mapping[str, Any]:
        self.wishes.append(wish)
        if self.refusal is not None:
            raise self.refusal
        told = {"route": wish.route, "epoch": 1, "setting": wish.setting.as_json(), "before": {"stage": "legacy"}}
        return {**told, "confirmed": ["shop-1:8080/0-abc"], "unconfirmed": self.unconfirmed}


@dataclass(slots=True)
class ScriptedReplays:
    """`proxy.admin.operations.ReplayControl`: of one route, `orders`. Each look finds it further on."""

    asked: list[tuple[str, bool, bool]] = field(default_factory=list)
    states: list[Mapping[str, Any]] = field(default_factory=list)
    refusal: ProxyError | None = None

    async def state(self, name: str) -> Mapping[str, Any]:
        if name != "orders":
            raise NoMigration(f"No route named {name!r} has `migrate`.")
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]

    async def start(self, name: str, *, follow: bool, skip_refused: bool) -> Mapping[str, Any]:
        if self.refusal is not None:
            raise self.refusal
        self.asked.append((name, follow, skip_refused))
        return {"route": name, "run": "r1", "state": "running", "sent": 0, "refused": 0, "trouble": ""}

    async def stop(self, name: str) -> Mapping[str, Any]:
        self.asked.append((f"stop {name}", False, False))
        return {"route": name, "run": "stop-1", "state": "stopped", "sent": 0, "refused": 0, "trouble": ""}
