"""On which terms a group's records are handed out, as its route says."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, NamedTuple

from proxy.consume.run import Run

Order = Literal["none", "key", "partition"]


@dataclass(frozen=True, slots=True)
class Terms:
    """All of them hold for each partition by itself.

    `order`: with `key` at most one record of a key is out at a time; with `partition` at most one lease.
    `buries`: what is dead waits until it is written elsewhere; else it is settled at once.
    """

    order: Order = "none"
    max_in_flight: int | None = None  # records that are out at a time
    max_deliveries: int | None = None  # a record that was handed out so often, and comes back, is dead
    buries: bool = False


PLAIN: Final = Terms()


class Reason(StrEnum):
    """Why a record is dead."""

    REJECTED = "rejected"
    MAX_DELIVERIES = "max_deliveries"


class Dead(NamedTuple):
    """One record that goes out no more."""

    run: Run  # of this record alone
    reason: Reason
