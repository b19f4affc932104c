"""Which route a request goes to, at a cost that does not grow with the number of routes.

The rules:
- A path without parameters is looked up as it was sent. All others walk a tree, segment by segment:
  a literal comes before `{x}`, `{x}` before `{rest...}`, and a dead end goes back to the next choice.
- Then the method: its own route, else the one for any method (`*`). A path that fits but not for this method is
  passed over for a less literal one that has it; 405 with `Allow` only if none has. HEAD is a method like the
  others: a GET route does not answer it, for reading a record and leaving it out would lose it.
- Segments are compared and handed on percent-decoded, and split before: `%2F` never ends a segment.
- What cannot be a path is on no route: bad percent-encoding, bytes that are no UTF-8, an empty segment (but the
  last: `/a/` is another path than `/a`), `.` and `..` in any spelling. Nothing is tidied up before matching.
- What two readers would take for two paths is refused: dots and empty segments, and a `%2F`, `%5C` or backslash that,
  read as a slash, would lead to another route at least as literal. So nothing passes the rights of the route that it
  is for, to an upstream that reads it so.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar
from urllib.parse import quote, unquote_to_bytes

from proxy.config.pattern import ANY_METHOD, One, Pattern, Rest, parse_path
from proxy.errors import AmbiguousPath, MethodNotAllowed, NoRoute

T = TypeVar("T")

_SLASH = re.compile(rb"%2f|%5c|\\", re.IGNORECASE)
_TIDY = (
    "The path can be read in two ways: write it without dot segments, double slashes and backslashes, and encode no "
    "slash that separates."
)
_HEX = frozenset(b"0123456789abcdefABCDEF")
_DOTS = frozenset((".", ".."))
_NO_VALUE = _DOTS | {""}  # of an `{x}`, nor inside a `{rest...}`


_Entry = tuple[T, tuple[str, ...], int]  # its parameters' names, and how many of its segments are literal


class Collision(ValueError):
    """Two entries take the same requests. The configuration's rules refuse that with places; this is the last line."""


@dataclass(slots=True)
class _Leaf(Generic[T]):
    """Where paths end: for each method what is there, and how its parameters are named."""

    methods: "dict[str, _Entry[T]]" = field(default_factory=dict)

    def add(self, pattern: Pattern, entry: T) -> None:
        if pattern.method in self.methods:
            raise Collision(f"{pattern} takes the same requests as another route")
        self.methods[pattern.method] = (entry, pattern.names, len(pattern.segments) - len(pattern.names))

    def get(self, method: str) -> _Entry[T] | None:
        return self.methods.get(method) or self.methods.get(ANY_METHOD)


@dataclass(slots=True)
class _Node(Generic[T]):
    """What can follow a segment."""

    literal: "dict[str, _Node[T]]" = field(default_factory=dict)
    one: "_Node[T] | None" = None
    rest: _Leaf[T] | None = None
    end: _Leaf[T] | None = None


class RouteTable(Generic[T]):
    """Built once; only read afterwards."""

    def __init__(self) -> None:
        self._plain: dict[bytes, _Leaf[T]] = {}
        self._root: _Node[T] = _Node()

    def __repr__(self) -> str:
        return f"<RouteTable {len(self._plain)} plain paths>"

    @classmethod
    def build(cls, entries: Iterable[tuple[str, str, T]]) -> "RouteTable[T]":
        """From (method or `*`, path pattern, entry). Raises Collision and BadPattern."""
        table = cls()
        for method, path, entry in entries:
            table._add(Pattern(method, parse_path(path)), entry)
        return table

    def match(self, method: str, raw_path: bytes) -> tuple[T, dict[str, str]]:
        """The entry for a request and the values of its parameters. `raw_path` is as sent, without the query.

        Raises NoRoute, MethodNotAllowed (with an Allow header).
        """
        plain = self._plain.get(raw_path)
        if plain is not None:
            found = plain.get(method)
            if found is not None:
                return found[0], {}
        return self._search(method, raw_path)

    def _add(self, pattern: Pattern, entry: T) -> None:
        node = self._root
        for segment in pattern.segments:
            if isinstance(segment, Rest):
                node.rest = node.rest or _Leaf()
                node.rest.add(pattern, entry)
                return
            if isinstance(segment, One):
                node.one = node.one or _Node()
                node = node.one
            else:
                node = node.literal.setdefault(segment, _Node())
        node.end = node.end or _Leaf()
        node.end.add(pattern, entry)
        if not pattern.names:
            self._plain[quote(pattern.path, safe="/:@!$&'()*+,;=~").encode()] = node.end

    def _search(self, method: str, raw_path: bytes) -> tuple[T, dict[str, str]]:
        allowed: set[str] = set()
        segments = _segments(raw_path)
        found = _find(self._root, segments, 1, method, allowed) if segments else None
        if found is not None:
            (entry, names, literals), values = found
            if b"%" in raw_path or b"\\" in raw_path:
                self._check_reading(entry, literals, method, raw_path)
            return entry, dict(zip(names, reversed(values), strict=True))
        if segments and _is_ambiguous(segments):
            raise AmbiguousPath(_TIDY)
        if allowed:
            raise _not_allowed(method, allowed)
        raise NoRoute("No route of this bridge has this path. Check its spelling, slashes included.")

    def _check_reading(self, entry: T, literals: int, method: str, raw_path: bytes) -> None:
        """Raises AmbiguousPath if the path would be another route's were its encoded slashes read as slashes."""
        other = _SLASH.sub(b"/", raw_path)
        segments = _segments(other) if other != raw_path else None
        if segments is None:
            return
        found = _find(self._root, segments, 1, method, set())
        leads_elsewhere = found is not None and found[0][0] is not entry and found[0][2] >= literals
        if leads_elsewhere or _is_ambiguous(segments):
            raise AmbiguousPath(_TIDY)


def _is_ambiguous(segments: Sequence[str]) -> bool:
    """True if some would tidy this path up, into another one."""
    return not _DOTS.isdisjoint(segments) or "" in segments[1:-1]


def _find(
    node: _Node[T], segments: Sequence[str], at: int, method: str, allowed: set[str]
) -> tuple[_Entry[T], list[str]] | None:
    """The most literal leaf that the segments from `at` on lead to and that has the method.

    With it the parameters' values, last first. Methods of leaves that were passed over are put into `allowed`.
    """
    if at == len(segments):
        return _take(node.end, [], method, allowed)
    segment = segments[at]
    following = node.literal.get(segment)
    if following is not None:
        found = _find(following, segments, at + 1, method, allowed)
        if found is not None:
            return found
    if node.one is not None and segment not in _NO_VALUE:
        found = _find(node.one, segments, at + 1, method, allowed)
        if found is not None:
            found[1].append(segment)
            return found
    rest = segments[at:] if node.rest is not None else ()
    if rest and _NO_VALUE.isdisjoint(rest[:-1]) and rest[-1] not in _DOTS:
        return _take(node.rest, ["/".join(rest)], method, allowed)
    return None


def _take(
    leaf: _Leaf[T] | None, values: list[str], method: str, allowed: set[str]
) -> tuple[_Entry[T], list[str]] | None:
    found = leaf.get(method) if leaf is not None else None
    if found is not None:
        return found, values
    if leaf is not None:
        allowed.update(leaf.methods)
    return None


def _segments(raw_path: bytes) -> Sequence[str] | None:
    """The decoded segments of a path, an empty one before the first slash; None for what cannot be a path."""
    if raw_path[:1] != b"/":
        return None
    try:
        if b"%" in raw_path:
            return [_decoded(piece) for piece in raw_path.split(b"/")]
        return raw_path.decode().split("/")
    except ValueError:
        return None


def _decoded(piece: bytes) -> str:
    """One segment, percent-decoded. Raises ValueError."""
    for escape in piece.split(b"%")[1:]:
        if len(escape) < 2 or not _HEX.issuperset(escape[:2]):
            raise ValueError("bad percent-encoding")
    return unquote_to_bytes(piece).decode()


def _not_allowed(method: str, allowed: Iterable[str]) -> MethodNotAllowed:
    methods = ", ".join(sorted(allowed))
    return MethodNotAllowed(f"{method} is not for this path; {methods} is.", headers=[(b"allow", methods.encode())])
