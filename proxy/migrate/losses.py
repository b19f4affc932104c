"""What the shadow did not get: each record the legacy service took, and Kafka did not. Counted, and the last listed."""

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from proxy.clock import wall_ms

KEPT = 1_000  # of a route, the newest


@dataclass(frozen=True, slots=True)
class Loss:
    """`key` is the record's, where one could be made. `reason` is a code of `errors.py`, or one of ours."""

    time_ms: int
    reason: str
    detail: str
    request_id: str
    key: str | None

    def as_json(self) -> dict[str, Any]:
        return {
            "time_ms": self.time_ms,
            "reason": self.reason,
            "detail": self.detail,
            "request_id": self.request_id,
            "key": self.key,
        }


class Losses:
    """Of one route, in this process."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()  # by reason
        self._kept: deque[Loss] = deque(maxlen=KEPT)

    def __repr__(self) -> str:
        return f"<Losses {self.counts.total()}>"

    def note(self, reason: str, detail: str, request_id: str, key: bytes | None) -> None:
        self.counts[reason] += 1
        shown = None if key is None else key.decode(errors="replace")
        self._kept.append(Loss(wall_ms(), reason, detail, request_id, shown))

    def newest(self) -> list[Loss]:
        """The newest first, at most KEPT."""
        return list(reversed(self._kept))
