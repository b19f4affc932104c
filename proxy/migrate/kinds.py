"""What happened again and again, by kind: how often, when last, and one example of each. Pure, and bounded.

An example costs work, so of one kind it is made anew only after EXAMPLE_FOR_MS.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MAX_KINDS = 50
EXAMPLE_FOR_MS = 60_000
OTHERS = "(others)"  # kinds beyond the bound, together


@dataclass(slots=True)
class _Kind:
    count: int = 0
    last_ms: int = 0
    example_ms: int = 0
    example: Any = None


class Kinds:
    """Counts by kind. A kind may hold what clients sent: only the first MAX_KINDS have a line of their own."""

    __slots__ = ("_kinds",)

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def note(self, kind: str, now_ms: int, example: Callable[[], Any]) -> None:
        """It happened now. `example` is called only where one is wanted; the JSON it returns is kept."""
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            kind = OTHERS
        each = self._kinds.setdefault(kind, _Kind())
        each.count += 1
        each.last_ms = now_ms
        if now_ms - each.example_ms >= EXAMPLE_FOR_MS:
            each.example, each.example_ms = example(), now_ms

    def as_json(self) -> list[dict[str, Any]]:
        """The most frequent first."""
        told = [
            {
                "kind": kind,
                "count": each.count,
                "last_ms": each.last_ms,
                "example": each.example,
                "example_ms": each.example_ms,
            }
            for kind, each in self._kinds.items()
        ]
        return sorted(told, key=lambda each: (-each["count"], each["kind"]))


def kind_of_place(way: Sequence[str]) -> str:
    """A place without the indices of its lists: `items.*.price`."""
    return ".".join("*" if step.isdigit() else step for step in way)[:200] or "(whole)"
