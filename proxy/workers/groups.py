"""What several workers tell of the same consumer groups, put together. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

Group = Mapping[str, Any]  # as `/admin/groups` has it

_RULES: dict[str, Callable[[Sequence[Any]], Any]] = {
    "group": lambda names: names[0],
    "is_joined": all,
    "oldest_lease_s": max,
}


def together(told: Iterable[Iterable[Group]]) -> list[dict[str, Any]]:
    """One object a group from those that workers tell of it: lists one after the other, numbers added up.

    A flag is set if one worker has it set, but for `is_joined`; of a text the first counts. None is left out.
    """
    by_name: dict[str, list[Group]] = {}
    for groups in told:
        for group in groups:
            by_name.setdefault(group["group"], []).append(group)
    return [_one(by_name[name]) for name in sorted(by_name)]


def _one(parts: Sequence[Group]) -> dict[str, Any]:
    return {key: _value(key, [part[key] for part in parts if part.get(key) is not None]) for key in parts[0]}


def _value(key: str, values: Sequence[Any]) -> Any:
    if not values:
        return None
    if key in _RULES:
        return _RULES[key](values)
    first = values[0]
    if isinstance(first, bool):
        return any(values)
    if isinstance(first, (int, float)):
        return sum(values)
    return [item for each in values for item in each] if isinstance(first, list) else first
