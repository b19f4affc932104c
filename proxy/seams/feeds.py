"""Reading without a group: the engine reads logs on, the service shares them, fronts hold cursors."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from proxy.clock import Deadline
from proxy.record import Fetched, Partition

Start = Literal["earliest", "latest"] | int
"""Where reading begins that has nothing to go on from; a number: with the first record of that time (ms since the
epoch) or later in each partition."""


class Tail(Protocol):
    """A reader without a group: assigned, not subscribed (`kafka/tail.py`)."""

    async def open(self, starts: Mapping[Partition, int]) -> None:
        """Read exactly these partitions, each from that offset; again, others. Raises KafkaAway."""
        ...

    async def fetch(self, *, timeout_s: float, max_records: int, max_bytes: int | None = None) -> Sequence[Fetched]:
        """As GroupMember.fetch, but it may be cancelled. `max_bytes`: of keys and values, about, one record at least.

        Raises Gone for a position the log does not have (`extra["lost"]`: one partition's topic, partition, position,
        begins, ends), and KafkaAway when this reader is broken: open it again.
        """
        ...

    def position(self, partition: Partition) -> int | None:
        """The offset that is read next: all before it was delivered, or holds no records. None: not read."""
        ...

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        """For each partition (first offset in the log, end offset). Raises KafkaAway."""
        ...

    async def first_since(
        self, partitions: Sequence[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        """As GroupMember.first_since."""
        ...

    async def close(self) -> None: ...


NewTail = Callable[[], Tail]


class FeedEvent(Protocol):
    """A record as the clients of a feed share it."""

    @property
    def record(self) -> Fetched: ...

    @property
    def frames(self) -> dict[str, bytes]:
        """For the front: what it rendered of this event, once for all clients; e.g. by media and shape."""
        ...

    verdicts: Any
    """For filters (`consume/feeds/sieve.py`): what they found out about it; None at first."""

    @property
    def position(self) -> str:
        """The position after this event: the id of an SSE event. Signed when first asked for."""
        ...


class FeedChunk(Protocol):
    """Events that arrived together, and those that arrived after them."""

    @property
    def events(self) -> Sequence[FeedEvent]: ...

    @property
    def position(self) -> str:
        """The position after the last of its events."""
        ...

    @property
    def next(self) -> "FeedChunk | None":
        """None: it is the newest, or `is_evicted`."""
        ...

    @property
    def is_evicted(self) -> bool:
        """The feed no longer has it: whoever stands there goes on by a cursor."""
        ...


@dataclass(frozen=True, slots=True)
class Page:
    """Records of a feed, in order per partition, and the position after them."""

    events: Sequence[FeedEvent]
    next: str


class FeedCursor(Protocol):
    """One client of a feed. Close it when its connection has gone."""

    @property
    def position(self) -> str:
        """The position after what was delivered; before the first `next`, the one at which it begins."""
        ...

    @property
    def chunk(self) -> FeedChunk | None:
        """The chunk behind which it stands, with all events delivered that it must: what comes after may be had from
        there. None: it stands nowhere so simple."""
        ...

    def went_to(self, chunk: FeedChunk) -> None:
        """What comes after `self.chunk` was delivered without it, up to the end of this one."""
        ...

    async def next(self, max_events: int) -> Sequence[FeedEvent]:
        """Wait for the next events, at least one. Cancelled: nothing is lost.

        Raises:
            Gone: records between its position and the log's beginning are lost, or its topic was made anew
                (`extra["lost"]`: per partition topic, partition, position, begins, ends). Once; the cursor then
                goes on with the first record there is, and `position` (and `extra["next"]`) say so.
            Overloaded: it is far behind, and all readers for such clients are in use. It may be tried again.
        """
        ...

    def close(self) -> None: ...


class FeedReader(Protocol):
    """Reading without a group, for the routes with one set of topics (`consume/feeds/feed.py`)."""

    async def read(
        self,
        position: str | None,
        *,
        start: Start,
        max_records: int,
        wait_s: float,
        passes: Callable[[FeedEvent], bool] | None = None,
    ) -> Page:
        """What comes after a position; waits up to `wait_s` for the first of it. `start` counts without a position.

        With `passes` only such events, and `Page.next` is past those that do not; where it has much to look through, a
        page may take longer than its wait, by a few seconds, and have fewer records than there are.

        Raises as `cursor` and `FeedCursor.next` do.
        """
        ...

    async def arrival(self) -> None:
        """Wait until events have arrived, or the feed has changed otherwise."""
        ...

    async def cursor(self, position: str | None, *, start: Start, wait_s: float = ...) -> FeedCursor:
        """A client that stays. Waits up to `wait_s` while Kafka was never reached.

        Raises:
            BadToken, ForgedToken, ForeignToken: the position is none of this route's.
            TopicMissing, KafkaForbids: none of the topics can be read. KafkaAway: Kafka was never reached.
        """
        ...
