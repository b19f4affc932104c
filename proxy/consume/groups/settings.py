"""What a session is told of its group."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.consume.partition.books import Budget
from proxy.consume.partition.terms import PLAIN, Terms


@dataclass(frozen=True, slots=True)
class GroupSettings:
    """What a route says of its group, and what nobody needs to say."""

    group: str
    topics: Sequence[str]
    ack: Literal["explicit", "auto"] = "explicit"
    lease_s: float = 30.0
    terms: Terms = PLAIN
    dead_letter: str | None = None  # the topic for what is dead; the terms then bury
    commit_interval_s: float | None = None  # None: an ack is answered after its commit; else at once
    handout_bytes: int = 8 << 20  # of records in one hand-out; one record always goes out
    budget: Budget = field(default_factory=Budget)
    ack_timeout_s: float = 10.0
    resume_s: float = 5.0  # a lost stream with `ack: auto` may be resumed for so long
    close_timeout_s: float = 5.0
    fetch_s: float = 1.0  # at least so often the session looks whether it may hand out again
    fetch_records: int = 2_000
