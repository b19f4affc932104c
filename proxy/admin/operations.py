"""What the admin side needs of the running bridge. `app.py` implements it; tests script it.

The states are plain data: orjson writes them as they are, so their fields are the JSON's fields.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from proxy.config.model import Config, LogLevel
from proxy.consume.dead.graves import Replay
from proxy.consume.groups.control import Moved
from proxy.consume.groups.whence import Whence
from proxy.migrate.changing import Wish
from proxy.migrate.route import RouteOnItsWay
from proxy.observe.metrics import Snapshot
from proxy.record import Partition


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
    migration: Mapping[str, Any] | None = None  # stage, rollout, and who says so, where the route is on its way


@dataclass(frozen=True, slots=True)
class AddressState:
    """One address of an upstream, as one worker sees it."""

    url: str
    up: bool  # it gets requests
    healthy: bool  # as its checks say; true without any
    breaker: str  # closed, open, half_open
    failed_in_a_row: int
    in_use: int
    trouble: str  # what failed last


@dataclass(frozen=True, slots=True)
class UpstreamState:
    """One upstream, as one worker sees it."""

    name: str
    in_use: int
    waiting: int
    addresses: Sequence[AddressState]


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition of a group. What its owner does not tell, or does not know yet, is None."""

    topic: str
    partition: int
    committable: int | None = None  # the lowest offset that is not settled
    end: int | None = None
    lag: int | None = None
    owner: str | None = None  # the worker that has it, by the address where its peers reach it; None: it has no address
    leases_out: int | None = None
    oldest_lease_s: float | None = None
    holes: int | None = None  # ranges accepted above the committable offset
    open_records: int | None = None  # in its owner's memory
    dead_waiting: int | None = None


@dataclass(frozen=True, slots=True)
class MemberState:
    """One worker of a group. Of one that cannot be reached only the address and the partitions are known."""

    address: str | None  # where its peers reach it; None: it has none
    is_here: bool  # it is the one that answers this
    is_reachable: bool
    partitions: Sequence[str]  # topic:partition
    waiting: int | None = None
    streams: int | None = None
    is_joined: bool | None = None
    is_fenced: bool | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class GroupState:
    """One consumer group: all of its workers that can be reached, together."""

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
    streams: int = 0
    members: Sequence[MemberState] = ()


@dataclass(frozen=True, slots=True)
class LetterState:
    """One dead letter. `value` and `encoding` as readers get them, where they are asked for."""

    id: str  # in the dead-letter topic
    origin: str  # the record's id
    deliveries: int
    reason: str
    timestamp_ms: int  # when it was written
    key: str | Mapping[str, str] | None
    is_replayed: bool
    omitted: str | None = None  # why the record is not in it
    value: Any = None
    encoding: str | None = None


class GroupControl(Protocol):
    """What an operator does to one group. All raise NotNow and its kin if nothing was done."""

    async def seek(self, whence: Whence, *, topic: str | None, partition: int | None) -> Sequence[Moved]:
        """See `Control.seek` (`consume/groups/control.py`)."""
        ...

    async def skip(self, partition: Partition, offset: int) -> bool:
        """See `Control.skip`."""
        ...

    async def dead(self, *, most: int, with_values: bool) -> tuple[Sequence[LetterState], bool]:
        """The newest dead letters, and whether there are no others. Raises NoDeadLetters."""
        ...

    async def replay(self, ids: Sequence[str] | None) -> Replay:
        """Send these back, or all that were not yet. Raises NoDeadLetters; see `Graves` (`consume/dead/graves.py`)."""
        ...


class ReplayControl(Protocol):
    """Replays to the service behind a route (`replays.py`). The answers are what JSON takes; all raise NoMigration."""

    async def state(self, name: str) -> Mapping[str, Any]:
        """How far it has come, and how many records are left. Raises KafkaAway and its kin."""
        ...

    async def start(self, name: str, *, follow: bool, skip_refused: bool) -> Mapping[str, Any]:
        """Begin. Raises AnotherReplays, ControlAway."""
        ...

    async def stop(self, name: str) -> Mapping[str, Any]:
        """Have it stop, wherever it runs. Raises ControlAway."""
        ...


class MigrationControl(Protocol):
    """Routes on their way, as an operator sees and steers them (`steering.py`). The answers are what JSON takes."""

    def all(self) -> Mapping[str, Any]:
        """This process's part, all replicas, and each route."""
        ...

    def one(self, name: str) -> Mapping[str, Any]:
        """One route with its last changes. Raises NoMigration."""
        ...

    async def change(self, wish: Wish) -> Mapping[str, Any]:
        """Put a route at a stage; raises as `Changing.make` (`migrate/changing.py`). Takes up to 15 seconds."""
        ...


class Operations(Protocol):
    """The running bridge, as an operator sees it. Nothing here waits for Kafka but `reload` and what `group` does."""

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

    async def groups(self) -> Sequence[GroupState]:
        """Every group that is read here, with all its workers: those elsewhere are asked, a second at most."""
        ...

    def upstreams(self) -> Sequence[UpstreamState]:
        """Every upstream of the file."""
        ...

    def group(self, name: str) -> GroupControl:
        """Raises NoGroup if no route reads for it."""
        ...

    def migrations(self) -> MigrationControl: ...
    def replays(self) -> ReplayControl: ...

    def way(self, route: str) -> RouteOnItsWay:
        """A route on its way, as this process knows it. Raises NoMigration."""
        ...

    def snapshot(self) -> Snapshot:
        """All metrics (`Metrics.snapshot`)."""
        ...

    async def reload(self) -> Sequence[str]:
        """Read the file again, put it in force, and say for people what changed ("route orders: added"), a line each.

        Raises ConfigMistakes, and then everything stays as it is.
        """
        ...

    def log_from(self, level: LogLevel) -> None:
        """Log what is of this level or above, until the next reload."""
        ...
