"""Reading in a group: the engine is a member, the service hands out and settles, fronts read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from proxy.clock import Deadline
from proxy.record import Fetched, Partition


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


NewMember = Callable[[str, Sequence[str]], GroupMember]  # group, topics


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

    `renewed` are those that stay leased, until `until_ms` on the wall clock; `lease` is the token of all that was to be
    kept, though others may have accepted it meanwhile. Without any, 0 and none.
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
    """Reading for one group (`consume/session.py`)."""

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
