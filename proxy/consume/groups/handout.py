"""What a reader of a group gets at once, and how the group looks from outside."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.consume.claim import Claim
from proxy.consume.partition.ledger import Ledger
from proxy.record import Partition
from proxy.seams.groups import Delivery


@dataclass(frozen=True, slots=True, eq=False)
class Leased:
    """Records leased to one reader (`seams.Handout`)."""

    records: Sequence[Delivery]
    lease: str  # the token; empty where acks are automatic
    claim: Claim


@dataclass(frozen=True, slots=True)
class PartitionState:
    """One partition owned here. Offsets are None while they are not known."""

    partition: Partition
    committable: int | None  # the lowest offset that is not settled
    end: int | None
    lag: int | None  # offsets, gaps included
    open_records: int  # in memory
    leased_records: int
    holes: int  # ranges accepted above the committable offset
    dead: int  # records that wait to be written as dead letters
    oldest_lease_s: float | None = None  # the age of the longest-running lease

    @classmethod
    def of(cls, partition: Partition, ledger: Ledger, end: int | None, now_s: float) -> "PartitionState":
        lag = max(0, end - ledger.low) if end is not None and ledger.low is not None else None
        leased, holes, since_s = ledger.leased_records, len(ledger.settled), ledger.oldest_lease_s
        age_s = now_s - since_s if since_s is not None else None
        return cls(partition, ledger.low, end, lag, ledger.open_records, leased, holes, len(ledger.dead), age_s)


@dataclass(frozen=True, slots=True)
class GroupState:
    """This process's part of a group."""

    group: str
    partitions: Sequence[PartitionState]
    leased_records: int
    oldest_lease_s: float | None  # the age of the longest-running lease
    waiting: int  # polls and streams
    streams: int
    redeliveries: int  # records handed out again, so far
    rejected: int  # records, so far; and so the next three
    discarded: int  # settled dead, and kept nowhere
    dead_letters: int  # written
    renewed: int
    dead: int  # records that wait to be written as dead letters
    is_joined: bool  # False before the first assignment, and while partitions are being moved
    is_fenced: bool  # no heartbeat for a session timeout: nothing is handed out
    trouble: str | None  # why the group could not be joined, for people
    dead_letters_by: Mapping[str, int] = field(default_factory=dict)  # written, by reason
