"""What the admin side needs of the running bridge. `app.py` implements it; tests script it.

The states are plain data: orjson writes them as they are, so their fields are the JSON's fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.config.model import Config
from proxy.observe.metrics import Snapshot


@dataclass(frozen=True, slots=True)
class Dependency:
    """Something the bridge needs from outside, and whether it is there. `detail` says what is wrong and what to do."""

    name: str  # "kafka", "topic retail.sales", …
    up: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RouteState:
    """How one route is doing: `serving`, or the code its clients get now (`topic_missing`, `kafka_unavailable`, …)."""

    state: str = "serving"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition owned here. An offset or lag that is not known yet is None."""

    topic: str
    partition: int
    committable: int | None  # the lowest offset that is not settled
    end: int | None
    lag: int | None


@dataclass(frozen=True, slots=True)
class GroupState:
    """This process's member of one consumer group."""

    group: str
    partitions: Sequence[PartitionState]
    leases_out: int
    oldest_lease_s: float | None  # age of the longest-running lease
    waiting: int  # polls and streams that wait for records
    redeliveries: int
    is_joined: bool = True  # False before the first assignment, and while partitions are being moved
    is_fenced: bool = False  # no heartbeat for a session timeout: nothing is handed out
    trouble: str | None = None  # why the group could not be joined
    rejected: int = 0  # records, so far; and so the next three
    discarded: int = 0
    dead_letters: int = 0
    renewed: int = 0
    dead_waiting: int = 0  # records whose dead letters are not written yet


class Operations(Protocol):
    """The running bridge, as an operator sees it. Nothing here waits for Kafka but `reload`."""

    def config(self) -> Config:
        """The configuration in force."""
        ...

    def ready(self) -> bool:
        """True from the moment the listeners serve until drain begins."""
        ...

    def dependencies(self) -> Sequence[Dependency]: ...

    def routes(self) -> Mapping[str, RouteState]:
        """By the route's name; a route left out is serving."""
        ...

    def groups(self) -> Sequence[GroupState]: ...

    def snapshot(self) -> Snapshot:
        """All metrics (`Metrics.snapshot`)."""
        ...

    async def reload(self) -> Sequence[str]:
        """Read the file again, put it in force, and say for people what changed ("route orders: added"), a line each.

        Raises ConfigMistakes, and then everything stays as it is.
        """
        ...
