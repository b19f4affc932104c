"""At `dual` both take the record: what each combination of outcomes is called, and who is told what.

The authority goes first, and its answer is the client's; the other side is asked only if the authority took it. So what
the authority refuses is nowhere, and a client's retry of an answer that says "not written" repeats nothing. Where
the second side did not take what the first one has, or may have, the two have *diverged*: that is counted and written
to the divergence topic, with all that is needed to make good for it.
"""

from dataclasses import dataclass
from typing import Final, Literal

from proxy.errors import NotNow, OutcomeUnknown, ProxyError, UpstreamError

Authority = Literal["legacy", "kafka"]

Legacy = Literal["accepted", "refused", "failed", "unknown", "away", "not_asked"]
"""accepted: 2xx. refused: any other answer below 500. failed: 5xx. unknown: no answer, though it was asked (time is
over, broken off). away: it was never reached."""

Kafka = Literal["written", "not_written", "unknown", "refused", "not_asked"]
"""refused: the request makes no record, or the topic takes none like it. The others as produce answers have them."""


@dataclass(frozen=True, slots=True)
class Case:
    """`diverged`: one side has, or may have, what the other has not. The client gets the authority's answer always."""

    name: str
    diverged: bool = False


_LEGACY_FIRST: dict[tuple[Legacy, Kafka], Case] = {
    ("accepted", "written"): Case("both"),
    ("accepted", "not_written"): Case("kafka_missed", diverged=True),
    ("accepted", "unknown"): Case("kafka_unknown", diverged=True),
    ("accepted", "refused"): Case("kafka_refused", diverged=True),
    ("refused", "not_asked"): Case("neither"),
    ("failed", "not_asked"): Case("legacy_failed", diverged=True),
    ("unknown", "not_asked"): Case("legacy_unknown", diverged=True),
    ("away", "not_asked"): Case("neither"),
}

_KAFKA_FIRST: dict[tuple[Legacy, Kafka], Case] = {
    ("accepted", "written"): Case("both"),
    ("refused", "written"): Case("legacy_refused", diverged=True),
    ("failed", "written"): Case("legacy_failed", diverged=True),
    ("unknown", "written"): Case("legacy_unknown", diverged=True),
    ("away", "written"): Case("legacy_missed", diverged=True),
    ("not_asked", "not_written"): Case("neither"),
    ("not_asked", "refused"): Case("neither"),
    ("not_asked", "unknown"): Case("kafka_unknown", diverged=True),
}

CASES: Final[dict[Authority, dict[tuple[Legacy, Kafka], Case]]] = {"legacy": _LEGACY_FIRST, "kafka": _KAFKA_FIRST}


def legacy_outcome(status: int) -> Legacy:
    """Of an answer."""
    if status >= 500:
        return "failed"
    return "accepted" if 200 <= status < 300 else "refused"


def legacy_failure(error: UpstreamError) -> Legacy:
    """Of no answer."""
    return "unknown" if error.may_have_acted else "away"


def kafka_failure(error: ProxyError) -> Kafka:
    if isinstance(error, OutcomeUnknown):
        return "unknown"
    return "not_written" if isinstance(error, NotNow) else "refused"
