"""What concerns several owners, taken apart to them, and their answers put together."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from proxy.consume.claim import Held, Wish
from proxy.errors import Conflict, LeaseExpired, ProxyError
from proxy.record import Partition
from proxy.seams import AckOutcome

Place = Callable[[Partition], str | None]  # its owner's address


def part_held(held: Held, place: Place) -> dict[str | None, Held]:
    """By owner."""
    parts: dict[str | None, dict[Partition, Any]] = {}
    for partition, ranges in held.items():
        parts.setdefault(place(partition), {})[partition] = ranges
    return dict(parts)


def part_wish(wish: Wish, place: Place) -> dict[str | None, Wish]:
    """By owner; one owner's part has the whole wish's counts, since only their sum is told."""
    named = {field.name: each for field in fields(wish) if isinstance(each := getattr(wish, field.name), Mapping)}
    parts: dict[str | None, dict[str, Held]] = {}
    for name, held in named.items():
        for address, part in part_held(held, place).items():
            parts.setdefault(address, {})[name] = part
    empty: dict[str, Any] = {name: {} for name in named}
    return {address: replace(wish, **{**empty, **part}) for address, part in parts.items()}


def joined(done: Iterable[AckOutcome | BaseException]) -> AckOutcome:
    """One answer to the client. Raises what stands in the way of it: the worst first."""
    outcomes = [each for each in done if isinstance(each, AckOutcome)]
    conflicts = [each for each in done if isinstance(each, Conflict)]
    others = [each for each in done if isinstance(each, BaseException) and not isinstance(each, Conflict)]
    if others:
        raise next((each for each in others if not isinstance(each, ProxyError)), others[0])
    if conflicts:
        raise _both(conflicts)
    renewed = [each for each in outcomes if each.renewed]
    return replace(
        outcomes[0],
        released=sum(each.released for each in outcomes),
        renewed=sum(each.renewed for each in renewed),
        until_ms=min((each.until_ms for each in renewed), default=0),
    )


def _both(conflicts: list[Conflict]) -> Conflict:
    first = next((each for each in conflicts if not isinstance(each, LeaseExpired)), conflicts[0])
    extra = {
        word: [name for each in conflicts for name in each.extra.get(word, ())] for word in ("accepted", "refused")
    }
    return type(first)(first.detail, extra=extra)
