"""What a caller may do: what a route needs, held against who it is. Exact: no patterns, no case, no trimming."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from proxy.principal import Principal


@dataclass(frozen=True, slots=True)
class Need:
    """What one request needs. All that is said must hold; `None` says nothing.

    `principals` are ids, one of which must be the caller's; it must have all `scopes`; and each of the `claims`, or,
    where it has a list there, that among others.
    """

    schemes: Collection[str] | None = None
    principals: Collection[str] | None = None
    scopes: Collection[str] = ()
    claims: Mapping[str, str] = field(default_factory=dict)


def permits(principal: Principal, need: Need) -> bool:
    """May this caller do what needs this?"""
    return (
        (need.schemes is None or principal.scheme in need.schemes)
        and (need.principals is None or principal.id in need.principals)
        and principal.scopes.issuperset(need.scopes)
        and all(_has(principal, name, value) for name, value in need.claims.items())
    )


def _has(principal: Principal, name: str, value: str) -> bool:
    said = principal.claim(name)
    return any(_text(each) == value for each in (said if isinstance(said, list) else [said]))


def _text(value: Any) -> str | None:
    """A number, true or false as JSON writes it. None for what is no single value."""
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, (bool, int, float)) else None
