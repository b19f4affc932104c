"""One route on its way, as this process knows it."""

from collections import Counter
from dataclasses import dataclass, field

from proxy.migrate.account import Account
from proxy.migrate.compare import Comparer
from proxy.migrate.shadow import Shadow
from proxy.migrate.standing import Standing


@dataclass(slots=True)
class RouteOnItsWay:
    """Outlives reloads: what is queued, counted and in force stays. `comparer` is of the file as it is now."""

    name: str
    standing: Standing
    shadow: Shadow
    account: Account
    comparer: Comparer | None = None
    cases: Counter[str] = field(default_factory=Counter)  # of `dual`, by name

    def __post_init__(self) -> None:
        self.standing.on_flush = self.shadow.flush
