"""Where the floors meet: Protocols of few methods, each with one real implementation and scripted ones in tests.

Services (`produce/`, `consume/`) know engines (`kafka/`) only through these; fronts (`http/`, `admin/`) know
services through theirs. `app.py` hands in the real ones. All methods belong to one event loop.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol

from proxy.clock import Deadline
from proxy.errors import ProxyError
from proxy.record import Fetched, Partition, Receipt, Record, Topic

# ---- engines: what services need of Kafka


class Topics(Protocol):
    """What is known of the cluster's topics (`kafka/topics.py`). Never makes a topic by asking for it."""

    def get(self, name: str) -> Topic:
        """The topic as last seen. Raises TopicMissing, or KafkaAway while no metadata was ever read."""
        ...

    async def find(self, name: str, deadline: Deadline) -> Topic:
        """Like `get`, but looks again (at most once a second for all callers) before it says TopicMissing."""
        ...

    def cluster_id(self) -> str:
        """The cluster's own id, for positions. Raises KafkaAway while no metadata was ever read."""
        ...


@dataclass(frozen=True, slots=True)
class Written:
    """Where a batch is: record i of it is at `base_offset + i`."""

    base_offset: int
    timestamp_ms: int | None  # what the broker said; it counts where the topic says LogAppendTime


class Batch(Protocol):
    """Records on their way to one partition, in order."""

    def append(self, record: Record, timestamp_ms: int) -> bool:
        """Take the record in, or say False: it is full. An empty batch takes any record."""
        ...


class BatchRefused(Exception):
    """Kafka looked at a batch and said no to all of it, for the sake of one record perhaps. `error`: what it said.

    If `error` is OutcomeUnknown, an earlier attempt may have written the batch all the same. Else nothing was written,
    and the records may be sent again, one by one, so that only the guilty one fails.
    """

    def __init__(self, error: ProxyError) -> None:
        super().__init__(error.detail)
        self.error = error


class Batches(Protocol):
    """Writes whole batches, all in-sync replicas, idempotent (`kafka/producer.py`)."""

    async def ready(self) -> None:
        """Wait until there is a producer to hand batches to. Until then records stay in our own queues."""
        ...

    def open(self, topic: Topic) -> Batch: ...

    async def send(self, batch: Batch, partition: Partition) -> Written:
        """Write one batch. The caller keeps at most one in flight a partition.

        Raises BatchRefused, or a ProxyError by the table in `kafka/errors.py`: NotNow and its kin (not written) or
        OutcomeUnknown. Never cancelled by its caller: a batch handed over cannot be taken back.
        """
        ...


@dataclass(frozen=True, slots=True)
class Committed:
    """A group's commit for one partition: the offset, and the metadata string that stands beside it."""

    offset: int
    metadata: str


@dataclass(frozen=True, slots=True)
class GroupMap:
    """Who has which partition, as the group's leader wrote it down; the same for all members of one epoch.

    An owner is told by the address at which its peers reach it; None where it cannot be reached.
    """

    epoch: int = 0  # goes up with each assignment
    owners: Mapping[Partition, str | None] = field(default_factory=dict)
    members: Sequence[str] = ()  # every member's address, those without partitions included


class GroupListener(Protocol):
    """What a member tells its session. Both are awaited inside the rebalance."""

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """The partitions (all: rebalancing is eager) are about to go; a last commit is still accepted."""
        ...

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """The partitions are ours; nothing of them has been fetched. This may `seek`."""
        ...


class GroupMember(Protocol):
    """This process's one member of one consumer group (`kafka/member.py`)."""

    async def open(self, listener: GroupListener) -> None:
        """Join. Returns once subscribed; assignments arrive through the listener. Raises KafkaAway."""
        ...

    async def fetch(self, *, timeout_s: float, max_records: int) -> Sequence[Fetched]:
        """The next records of the partitions that are not paused, in order per partition.

        Called for ever by one task, and never cancelled (a cancelled fetch loses records): `close` ends it.
        Undecodable batches are stepped over, counted and logged. Raises nothing that time may heal.
        """
        ...

    @property
    def map(self) -> GroupMap:
        """As of the last assignment; empty before the first."""
        ...

    def seek(self, partition: Partition, offset: int) -> None: ...
    def pause(self, partitions: Sequence[Partition]) -> None: ...
    def resume(self, partitions: Sequence[Partition]) -> None: ...

    async def commit(self, commits: Mapping[Partition, Committed]) -> None:
        """Commit once, in the generation this member has now. One at a time.

        Raises LeaseMoved if the group no longer takes it from us (rebalance, fenced), KafkaAway otherwise.
        """
        ...

    async def committed(self, partitions: Sequence[Partition]) -> Mapping[Partition, Committed]:
        """The group's commits with their metadata; partitions without one are left out. Retries until it knows."""
        ...

    def is_fenced(self) -> bool:
        """True when the last heartbeat is older than the session timeout: another member may own what we had."""
        ...

    def end_offset(self, partition: Partition) -> int | None:
        """One past the last record readers may see, as of the last fetch; None while unknown."""
        ...

    async def bounds(self, partitions: Sequence[Partition], deadline: Deadline) -> Mapping[Partition, tuple[int, int]]:
        """For each partition, ours or not, (first offset in the log, end offset). Raises KafkaAway."""
        ...

    async def first_since(
        self, partitions: Sequence[Partition], time_ms: int, deadline: Deadline
    ) -> Mapping[Partition, int]:
        """For each the first offset of that time or later; left out where there is none. Raises KafkaAway."""
        ...

    async def close(self) -> None:
        """Leave the group, end the fetch in progress, close the connections. Bounded, repeatable."""
        ...


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


class ControlLog(Protocol):
    """The compacted topic that routes on their way are steered by, in one order (`migrate/controllog.py`)."""

    async def open(self) -> None:
        """Find the topic, or make it; reading goes on where it was, at first at the beginning.

        Raises KafkaAway, TopicMissing, KafkaForbids.
        """
        ...

    async def read(self, timeout_s: float) -> Sequence[Fetched]:
        """The next records; none in time: an empty one. May be cancelled. Raises KafkaAway: open it again."""
        ...

    async def write(self, key: bytes, value: bytes | None, deadline: Deadline) -> None:
        """One record, or a tombstone; those of one caller stand in their order. Raises as `Submitter.submit` does."""
        ...

    async def close(self) -> None: ...


class Marks(Protocol):
    """Commits of groups that have no members: notes that last for about a week (`kafka/marks.py`)."""

    async def read(
        self, group: str, partitions: Iterable[Partition], deadline: Deadline
    ) -> Mapping[Partition, Committed]:
        """Partitions without a commit are left out. Raises KafkaAway, KafkaForbids."""
        ...

    async def write(self, group: str, commits: Mapping[Partition, Committed], deadline: Deadline) -> None:
        """Raises KafkaAway (they may be written all the same), KafkaForbids."""
        ...


class PeerLink(Protocol):
    """Our connection to one peer (`peers/network.py`).

    A message is what msgpack carries; the group's name stands second.
    """

    @property
    def address(self) -> str: ...

    @property
    def is_up(self) -> bool: ...

    def tell(self, message: Sequence[Any]) -> bool:
        """Send it, in order. False: it is down. Whether it is heard, only an answer tells."""
        ...

    async def ask(self, message: Sequence[Any]) -> Any:
        """The answer; None: it failed there, or nobody there reads for the group. Raises PeerAway."""
        ...


class PeerCaller(Protocol):
    """A peer's connection to us."""

    @property
    def address(self) -> str: ...

    def tell(self, message: Sequence[Any]) -> bool: ...


class PeerService(Protocol):
    """What hears peers, for one group (`consume/peering/sharing.py`)."""

    def told(self, caller: PeerCaller, message: Any) -> None: ...
    async def asked(self, message: Any) -> Any: ...
    def caller_gone(self, caller: PeerCaller) -> None: ...

    def lent(self, link: PeerLink, message: Any) -> None:
        """Whom we called has told something."""
        ...

    def link_up(self, link: PeerLink) -> None: ...
    def link_down(self, link: PeerLink) -> None: ...


class Peers(Protocol):
    """The other workers, of this and other hosts (`peers/network.py`)."""

    @property
    def address(self) -> str:
        """Where they reach us."""
        ...

    def serve(self, group: str, service: PeerService) -> None: ...
    def leave(self, group: str, service: PeerService) -> None: ...

    def follow(self, group: str, addresses: Iterable[str]) -> None:
        """Stay connected to these, for this group."""
        ...

    def link(self, address: str) -> PeerLink | None:
        """None: nobody follows that address."""
        ...


Start = Literal["earliest", "latest"] | int
"""Where reading begins that has nothing to go on from; a number: with the first record of that time (ms since the
epoch) or later in each partition."""

NewMember = Callable[[str, Sequence[str]], GroupMember]  # group, topics
NewTail = Callable[[], Tail]

# ---- services: what fronts, and each other, need


class Submitter(Protocol):
    """The way into Kafka (`produce/submitter.py`)."""

    def submit(self, record: Record, deadline: Deadline) -> Awaitable[Receipt]:
        """Queue one record for its partition and wait until all in-sync replicas have it.

        Raises:
            RecordTooLarge, KeyRequired: its topic would refuse it; nothing was handed over.
            TopicMissing, KafkaAway, Overloaded: nothing was queued.
            NotWritten: it was still in our queue at the deadline; nothing was or will be written.
            OutcomeUnknown: its batch was with Kafka and had no answer in time; it may be written even now.
        Cancelling while it is queued takes it out; later it does not unsend.
        """
        ...

    def submit_many(self, records: Sequence[Record], deadline: Deadline) -> Awaitable[Sequence[Receipt | ProxyError]]:
        """As `submit`, for many at once: an outcome for each, which is what `submit` would return or raise.

        Those for one partition are queued, and written, in their order; one that fails takes no other with it.
        """
        ...


@dataclass(frozen=True, slots=True)
class Missed:
    """Records that the legacy service has not seen. `is_followed`: a replay is sending it the last of them by now."""

    records: int
    is_followed: bool = False


class Figures(Protocol):
    """The numbers by which a change of stage is judged (`migrate/`)."""

    def shadowed(self, route: str) -> tuple[int, int]:
        """Requests that this process has shadowed since its start, and those of them that made no valid record."""
        ...

    async def missed(self, route: str, deadline: Deadline, *, finish: bool) -> Missed:
        """What a descent from `kafka` would leave behind, of all processes.

        With `finish` all keys that would descend are held: where a replay follows, let it send the rest first, as far
        as the deadline allows. Raises KafkaAway and its kin when it cannot be told.
        """
        ...


class Delivery(NamedTuple):
    """A record on its way to a reader of a group."""

    record: Fetched
    deliveries: int  # how often it was handed out, this time included


class Handout(Protocol):
    """Records leased to one reader, and what it acknowledges them with."""

    @property
    def records(self) -> Sequence[Delivery]: ...

    @property
    def lease(self) -> str:
        """The token for `acknowledge`; empty where acks are automatic."""
        ...


@dataclass(frozen=True, slots=True)
class AckOutcome:
    """How many records an ack accepted, released, rejected; the same again when it is repeated.

    `renewed` are those that stay leased, until `until_ms` on the wall clock; `lease` is their token.
    """

    accepted: int
    released: int
    rejected: int = 0
    renewed: int = 0
    until_ms: int = 0
    lease: str = ""


class GroupStream(Protocol):
    """One stream of a group (`consume/groups/stream.py`). Close it when its connection has gone."""

    @property
    def is_open(self) -> bool:
        """False once its client has resumed it elsewhere, or the bridge is leaving: end it."""
        ...

    async def next(self, *, max_records: int, wait_s: float) -> Handout | None:
        """The next records; None when nothing came, or `is_open` has become False. Cancelled: nothing is leased."""
        ...

    def event_id(self, record: Fetched) -> str:
        """The id of this record's event. Ask for each record of the last handout, in order, as it is written."""
        ...

    def confirm(self, handout: Handout) -> None:
        """Acks are automatic: later bytes have drained and the connection still stands. Else it does nothing."""
        ...

    def close(self) -> None:
        """Give back what was not written; what was written may be resumed for a while. Repeatable."""
        ...


class GroupReader(Protocol):
    """Reading for one group (`consume/groups/group.py`)."""

    async def poll(self, *, max_records: int, wait_s: float) -> Handout | None:
        """Up to so many records, leased; None when nothing came in time. First come, first served.

        Joining the group happens inside the wait. Raises KafkaAway and its kin when the group could not be joined at
        the last try. Cancelled: nothing is leased.
        """
        ...

    def accept(self, handout: Handout) -> None:
        """Acks are automatic, and the answer was written to a connection that still stands."""
        ...

    def release(self, handout: Handout, *, undelivered: bool = False) -> None:
        """The answer did not reach its client: its records go to the next one, at once.

        `undelivered`: nothing of it was written, and it does not count as a delivery.
        """
        ...

    async def acknowledge(
        self,
        token: str,
        *,
        accept: Sequence[str] | Literal["all"] | None,
        release: Sequence[str] | Literal["all"] | None,
        reject: Sequence[str] | Literal["all"] | None = None,
        delay_ms: int = 0,
        renew_ms: int = 0,
    ) -> AckOutcome:
        """Accept, release, reject records of a lease, in any order, again if asked to; renew the lease of the others.

        Returns once what is accepted, and the dead letters of what is rejected, is committed.

        Raises:
            BadToken, ForgedToken, ForeignToken: the token is none of this group's.
            FieldInvalid: an id is not in the lease; nothing was done.
            LeaseExpired, LeaseMoved: part of it is no longer the lease's to accept (`extra`: accepted, refused);
                the rest was done, and is committed.
            NotNow: the group is without its partitions for the moment; nothing was done.
            OutcomeUnknown: done here, but not committed in time. A repeat is harmless, and tells.
        """
        ...

    def stream(self, resume: str | None) -> GroupStream:
        """A new stream; `resume` is the last event id its client has seen. Raises as `acknowledge` for a token."""
        ...


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


# ---- upstreams: the services behind routes


Fields = Sequence[tuple[bytes, bytes]]  # of a head: lower-case names, values as they came, in order, duplicates too


@dataclass(frozen=True, slots=True)
class UpstreamRequest:
    """A request as an upstream gets it.

    `target` is path and query exactly as received. `headers` are the end-to-end ones with Via and Forwarded; `host` is
    the client's (the upstream's own policy rewrites it), and `content-length` is there if the client sent one.
    `body`: all of it, or its pieces as they come (without a `content-length` they go out chunked), or None for none.
    """

    method: str
    target: bytes
    headers: Fields
    body: bytes | AsyncIterator[bytes] | None = None


class UpstreamAnswer(Protocol):
    """An answer whose head is here. Whoever has one closes it."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Fields:
        """The end-to-end ones, in order; with `content-length` if the upstream said one."""
        ...

    def ready(self) -> tuple[bytes, bool]:
        """What of the body has come already, without waiting, and whether that is all of it. Ask before `piece`."""
        ...

    async def piece(self) -> bytes:
        """The next piece of the body, b"" at its end. Raises UpstreamFailed, UpstreamTimeout (it stood still)."""
        ...

    async def close(self) -> None:
        """Done with it: its connection is free again; where anything is unread, it is ended. Repeatable."""
        ...


class Upstream(Protocol):
    """One configured service (`upstream/`): its addresses, pool, timeouts, retries and breaker."""

    @property
    def name(self) -> str: ...

    async def send(self, request: UpstreamRequest) -> UpstreamAnswer:
        """Send a request and wait for the head of its answer.

        Cancelled: the request is broken off; the upstream may have acted.

        Raises:
            UpstreamAway and its kin CircuitOpen, UpstreamBusy: nothing was sent, or what was is known not to have
                been taken.
            UpstreamFailed, UpstreamTimeout: it may have acted (`UpstreamError.may_have_acted`).
            And what `request.body` raises while it is read.
        """


# ---- issuers of tokens


class SigningKeys(Protocol):
    """The public keys of one issuer, fetched and kept up to date beside what goes on (`upstream/jwks.py`).

    `on_change` is called, with nothing, whenever other keys are in force than before.
    """

    on_change: Callable[[], None]

    @property
    def is_there(self) -> bool:
        """False until they were fetched once, and once they are too old."""
        ...

    def find(self, kid: str | None, algorithm: str) -> Any | None:
        """The key of that id for that algorithm, as `auth/tokens.py` takes it."""
        ...

    def has(self, kid: str | None) -> bool: ...

    async def renew(self) -> None:
        """Have them fetched again, if that was not done just now, and wait for it, some seconds at most."""
        ...


# ---- tokens: kafka/access.py asks upstream/tokens.py


class TokenSource(Protocol):
    """Tokens that say who the bridge is."""

    async def token(self) -> str:
        """One that is valid now, without `Bearer`. Raises TokenMissing, whose text has no secret in it."""
        ...


class TokenMissing(Exception):
    """No token could be had. The text says why, for the log."""
