"""How long and how often each thing is measured."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SECTIONS = (
    "produce",
    "batch",
    "overload",
    "drain",
    "group",
    "arrival",
    "sse",
    "crowd",
    "slow",
    "start",
    "routes",
    "workers",
    "passthrough",
)
WAYS = ("position", "group")  # to drain: the client keeps its place, or a group's acks do


@dataclass(frozen=True, slots=True)
class Size:
    """Of an audience, and what it is shown."""

    clients: int
    events: int
    events_per_s: float


@dataclass(frozen=True, slots=True)
class Plan:
    """The full run: about eight minutes on two cores."""

    sections: tuple[str, ...] = SECTIONS
    connections: tuple[int, ...] = (1, 64, 256)
    rounds: int = 5
    warmup_s: float = 0.5
    window_s: float = 2.0
    batch_connections: int = 16
    batch_rounds: int = 4
    overload_in_flight: int = 256  # what the bridge is told to take at one time, and what makes its peak
    overload_connections: int = 2_048
    overload_factor: float = 3.0  # times the peak is offered
    overload_rounds: int = 5
    overload_window_s: float = 4.0
    drain_records: int = 200_000
    drain_rounds: int = 3
    group_records: Mapping[int, int] = field(default_factory=lambda: {1: 30_000, 8: 100_000, 64: 100_000})  # by readers
    group_rounds: int = 3
    arrival_records: int = 1_000
    arrival_per_s: float = 200.0
    arrival_readers: int = 4
    arrival_rounds: int = 3
    sse_clients: int = 100
    sse_events_per_s: float = 50.0
    sse_events: int = 500
    sse_rounds: int = 3
    crowds: tuple[Size, ...] = (Size(100, 500, 50.0), Size(1_000, 150, 10.0), Size(10_000, 15, 1.0))
    crowd_rounds: int = 1
    slow_size: Size = Size(1_000, 60, 10.0)
    slow_backlog: int = 150_000  # records, of which the slow one is owed each: more than the ring and all buffers
    slow_rounds: int = 3
    starts: int = 5
    route_rounds: int = 4
    route_connections: int = 64
    workers_connections: int = 256
    workers_share: float = 0.75  # of what one worker bears
    workers_rounds: int = 4
    passthrough_connections: int = 64
    passthrough_rounds: int = 4


QUICK = Plan(
    rounds=2,
    warmup_s=0.2,
    window_s=0.7,
    batch_rounds=2,
    overload_rounds=1,
    overload_window_s=2.0,
    drain_records=50_000,
    drain_rounds=1,
    group_records={1: 5_000, 8: 30_000, 64: 30_000},
    group_rounds=1,
    arrival_records=500,
    arrival_rounds=1,
    sse_events=100,
    sse_rounds=1,
    crowds=(Size(100, 100, 50.0), Size(1_000, 30, 10.0)),
    slow_size=Size(1_000, 30, 10.0),
    slow_rounds=1,
    starts=2,
    route_rounds=2,
    workers_rounds=2,
    passthrough_rounds=2,
)
