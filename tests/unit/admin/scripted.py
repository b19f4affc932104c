"""A bridge that is as a test says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from proxy.admin.operations import Dependency, GroupState, RouteState
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config
from proxy.observe.metrics import Metrics, Snapshot


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

    def groups(self) -> Sequence[GroupState]:
        return self.group_states

    def snapshot(self) -> Snapshot:
        return self.metrics.snapshot()

    async def reload(self) -> Sequence[str]:
        self.reloads += 1
        if isinstance(self.next_reload, ConfigMistakes):
            raise self.next_reload
        return self.next_reload
