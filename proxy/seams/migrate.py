"""What a change of stage is written to, and what it is decided by."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from proxy.clock import Deadline
from proxy.record import Fetched


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
