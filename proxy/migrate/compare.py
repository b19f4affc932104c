"""Would the route answer as the legacy service does? Status and body of the two, field by field. Pure.

JSON bodies are compared value by value at `paths` (all of it without them) but for `ignore`; any other body byte by
byte. Lists are compared in their order, 1 and 1.0 are equal, and names of headers and whitespace do not count.

Some fields differ from one answer to the next by nature: ids, times. To know them the legacy is asked a second time
and its two answers are compared; what differs there is noise, and with `baseline` it is ignored from then on. Only GET
and HEAD may be asked twice (RFC 9110, 9.2.1): a POST would act again, so for POST routes there is no baseline, and
what differs by nature is named in `ignore`.
"""

import random
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from proxy.config.migration import Compare
from proxy.config.share import parse_share
from proxy.migrate.kinds import kind_of_place
from proxy.migrate.places import Here, Places
from proxy.migrate.redaction import Redaction

MAX_BYTES = 32_768  # of a body that is compared: beyond it the comparison would hold up others
MAX_MISMATCHES = 20  # of one pair of answers that are listed
MAX_NOISE = 100  # places
SAFE_METHODS: Final = frozenset(("GET", "HEAD"))

Headers = Sequence[tuple[bytes, bytes]]
Answer = tuple[int, Headers, bytes]

_CONTAINERS: Final = (dict, list)
_NOTHING: Any = object()  # where a document has no such field


class Mismatch(NamedTuple):
    """One thing that differs: `status`, `value`, `type`, `missing` (only the legacy has it), `added`, or `body`."""

    kind: str
    way: tuple[str, ...]
    would: Any
    did: Any

    @property
    def place(self) -> str:
        return "(status)" if self.kind == "status" else kind_of_place(self.way)

    @property
    def name(self) -> str:
        """For people: `status`, `body`, `value items.*.price`."""
        return self.kind if self.kind in ("status", "body") else f"{self.kind} {self.place}"

    def as_json(self, redaction: Redaction) -> dict[str, Any]:
        """What the route would have answered there, and what the legacy did."""
        show = _shown_as(self, redaction)
        return {"path": ".".join(self.way)[:200], "would": show(self.would), "did": show(self.did)}


@dataclass(frozen=True, slots=True)
class Difference:
    """In what two answers differ: at least one thing, at most MAX_MISMATCHES."""

    mismatches: tuple[Mismatch, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """The two could not be compared: `large`, or `encoded` in a way that is not undone here."""

    reason: str


Result = Difference | Skipped | None  # None: they are the same


class Comparer:
    """Compares one route's answers, as `migrate.compare` says."""

    def __init__(self, compare: Compare, *, draw: Callable[[], float] = random.random) -> None:
        """`draw` gives the next number from 0 up to, not with, 1."""
        self._share = parse_share(compare.sample)
        self._paths, self._ignored = Places(compare.paths), Places(compare.ignore)
        self._baseline = compare.baseline
        self._draw = draw
        self._noise: set[str] = set()

    def __repr__(self) -> str:
        return f"<Comparer of {self._share:.2%}, {len(self._noise)} places are noise>"

    def takes(self) -> bool:
        """Whether this request is one of the sample."""
        return self._draw() < self._share

    def asks_twice(self, method: str) -> bool:
        """Whether the legacy may be asked again for the baseline, of a request that is in the sample."""
        return self._baseline and method in SAFE_METHODS

    def learn(self, first: Answer, second: Answer) -> Result:
        """Two answers of the legacy to one request: what differs is noise from now on."""
        result = self._differences(first, second, frozenset())
        if isinstance(result, Difference):
            for each in result.mismatches:
                if len(self._noise) < MAX_NOISE:
                    self._noise.add(each.place)
        return result

    def compare(self, would: Answer, did: Answer) -> Result:
        """What the route would have answered, and what the legacy did."""
        return self._differences(would, did, self._noise)

    def _differences(self, would: Answer, did: Answer, noise: "frozenset[str] | set[str]") -> Result:
        bodies = _decoded(would), _decoded(did)
        for body in bodies:
            if isinstance(body, Skipped):
                return body
        found: list[Mismatch] = []
        for each in self._all(would[0], did[0], *bodies):
            if each.place not in noise:
                found.append(each)
            if len(found) == MAX_MISMATCHES:
                break
        return Difference(tuple(found)) if found else None

    def _all(self, would_status: int, did_status: int, would: Any, did: Any) -> Iterator[Mismatch]:
        if would_status != did_status:
            yield Mismatch("status", (), would_status, did_status)
        if would == did:
            return
        ours, theirs = _document(would), _document(did)
        if ours is _NOTHING or theirs is _NOTHING:
            yield Mismatch("body", (), would, did)
        else:
            yield from self._walk(ours, theirs)

    def _walk(self, ours: Any, theirs: Any) -> Iterator[Mismatch]:
        """Without recursion: a document may be deeper than Python's stack."""
        everything = not self._paths.root
        todo: list[tuple[tuple[str, ...], Any, Any, Here, Here, bool]] = [
            ((), ours, theirs, self._paths.root, self._ignored.root, everything)
        ]
        while todo:
            way, would, did, path, ignored, is_meant = todo.pop()
            if Places.is_at_end(ignored) or not (is_meant or path):
                continue
            is_meant = is_meant or Places.is_at_end(path)
            children = _children(would, did)
            if children is None:
                if is_meant and (mismatch := _leaf(way, would, did)):
                    yield mismatch
                continue
            todo += [
                ((*way, name), a, b, Places.step(path, name), Places.step(ignored, name), is_meant)
                for name, a, b in reversed(children)
                if type(a) is not type(b) or type(a) in _CONTAINERS or a != b  # most values are the same: cheaply past
            ]


def _children(would: Any, did: Any) -> list[tuple[str, Any, Any]] | None:
    """What is below, in pairs; None where there is nothing below both."""
    if isinstance(would, dict) and isinstance(did, dict):
        names = [*did, *(name for name in would if name not in did)]
        return [(name, would.get(name, _NOTHING), did.get(name, _NOTHING)) for name in names]
    if isinstance(would, list) and isinstance(did, list):
        longer = range(max(len(would), len(did)))
        return [(str(i), *(each[i] if i < len(each) else _NOTHING for each in (would, did))) for i in longer]
    return None


def _leaf(way: tuple[str, ...], would: Any, did: Any) -> Mismatch | None:
    if would is _NOTHING:
        return Mismatch("missing", way, None, did)
    if did is _NOTHING:
        return Mismatch("added", way, would, None)
    if _type(would) is not _type(did):
        return Mismatch("type", way, would, did)
    return Mismatch("value", way, would, did) if would != did else None


def _type(value: Any) -> type:
    return float if type(value) is int else type(value)


def _shown_as(mismatch: Mismatch, redaction: Redaction) -> Callable[[Any], Any]:
    match mismatch.kind:
        case "status":
            return int
        case "body":
            return redaction.body
    return lambda value: redaction.value(value, mismatch.way)


def _document(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _NOTHING


def _decoded(answer: Answer) -> bytes | Skipped:
    """The body without its content coding (gzip, deflate), if it is not too large."""
    _, headers, body = answer
    coding = next((value.strip().lower() for name, value in headers if name.lower() == b"content-encoding"), b"")
    if len(body) > MAX_BYTES:
        return Skipped("large")
    if coding in (b"", b"identity"):
        return body
    if coding not in (b"gzip", b"x-gzip", b"deflate"):
        return Skipped("encoded")
    try:
        unpacked = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32).decompress(body, MAX_BYTES + 1)
    except zlib.error:
        return Skipped("encoded")
    return Skipped("large") if len(unpacked) > MAX_BYTES else unpacked
