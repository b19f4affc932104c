"""What the demo's clients report while they work: to the journal of `--check`, or to the figures of the live table.

The clients are ordinary HTTP clients; this is the only thing about them that a real one would leave out.
An event is known by the `event_id` that its sender put into the body, so nothing here depends on what the
bridge says about it.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any, Protocol

Body = Mapping[str, Any]  # what a client POSTs
Seen = Mapping[str, Any]  # a record as the bridge hands it out: topic, partition, offset, key, value, ...


class Outcome(StrEnum):
    """What a sender knows of its POST (DESIGN's three: not written, written, unknown)."""

    PENDING = "pending"
    WRITTEN = "written"
    REFUSED = "refused"
    UNKNOWN = "unknown"


class Watch(Protocol):
    def posting(self, topic: str, key: str, body: Body) -> None:
        """About to be sent: events with one `key` are sent one after another, each after its answer."""
        ...

    def posted(self, event_id: str, outcome: Outcome, detail: str = "") -> None:
        """Answered, or not; `detail` says why it was refused or is unknown."""
        ...

    def seen(self, reader: str, record: Seen) -> None: ...

    def accepted(self, reader: str, records: Iterable[Seen]) -> None:
        """From here on `reader` must not see these again."""
        ...

    def returned(self, reader: str, records: Iterable[Seen]) -> None:
        """Released, or left until their lease ran out: `reader` must see each of these again."""
        ...


def event_id(record: Seen) -> str | None:
    """The id its sender gave the event; None for a record that some other client wrote."""
    value = record.get("value")
    return value.get("event_id") if isinstance(value, Mapping) else None
