"""What clients were told, held against what the log has. Pure: no clock, no Kafka.

The law (DESIGN, laws 1, 2 and 8), for requests of which each has a record with an id of its own and is sent once:

- *written*: the record is in the log, at the place the answer named. Else it was lost.
- *not written*: it is nowhere in the log. Else that was a denial of what was done.
- *unknown*: it may be there or not, but once at most, like any other. Else it was duplicated.
- Records of one key that were answered *written* are in one partition, in the order in which they were sent. What was
  answered *unknown* has no place.
- Every failure says which of the three it is, and nothing is in the log that nobody sent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple


class Outcome(StrEnum):
    WRITTEN = "written"
    NOT_WRITTEN = "not written"
    UNKNOWN = "unknown"
    UNSAID = "not said"  # an answer, but none of the three


class Place(NamedTuple):
    topic: str
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Told:
    """One request, and what its client was told of its record."""

    id: str
    key: str
    outcome: Outcome
    at_s: float  # when, in seconds since the load began
    place: Place | None = None  # where it was said to be
    why: str = ""  # status and code, or how the connection ended


@dataclass(frozen=True, slots=True)
class Found:
    """One record of the log."""

    id: str
    key: str
    place: Place


class Silence(NamedTuple):
    """In seconds since the load began."""

    from_s: float
    to_s: float

    @property
    def lasts_s(self) -> float:
        return self.to_s - self.from_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lies` has, for each thing that must not be, one line a case. `silence`: the longest time without a success."""

    sent: int
    told: Counter[Outcome]
    reasons: Counter[str]
    found: int
    unknown_found: int
    silence: Silence
    lies: dict[str, list[str]]

    @property
    def is_clean(self) -> bool:
        return not any(self.lies.values())


def judge(told: Sequence[Told], found: Sequence[Found], *, lasted_s: float) -> Verdict:
    """`told` has the requests of each key in the order in which they were sent; `lasted_s` is the time of the load."""
    there: dict[str, list[Found]] = {}
    for record in found:
        there.setdefault(record.id, []).append(record)
    return Verdict(
        sent=len(told),
        told=Counter(each.outcome for each in told),
        reasons=Counter(each.why for each in told if each.outcome is not Outcome.WRITTEN),
        found=len(found),
        unknown_found=sum(each.outcome is Outcome.UNKNOWN and each.id in there for each in told),
        silence=_longest_silence(told, lasted_s),
        lies={
            "lost": [*_lost(told, there)],
            'written, though answered "not written"': [*_denied(told, there)],
            "duplicated": [*_duplicated(there)],
            "out of order": [*_disordered(told)],
            "answered without an outcome": [f"{t.id}: {t.why}" for t in told if t.outcome is Outcome.UNSAID],
            "in the log, and sent by nobody": [*_strange(told, found)],
        },
    )


Log = dict[str, list[Found]]  # by id


def _lost(told: Iterable[Told], there: Log) -> Iterator[str]:
    for each in told:
        if each.outcome is Outcome.WRITTEN:
            places = [record.place for record in there.get(each.id, ()) if record.key == each.key]
            if each.place not in places:
                yield f"{each.id} at {each.at_s:.2f} s: said to be at {each.place}, is at {places or 'no place'}"


def _denied(told: Iterable[Told], there: Log) -> Iterator[str]:
    for each in told:
        if each.outcome is Outcome.NOT_WRITTEN and each.id in there:
            yield f"{each.id} at {each.at_s:.2f} s: {each.why}, but is at {there[each.id][0].place}"


def _duplicated(there: Log) -> Iterator[str]:
    for name, records in there.items():
        if len(records) > 1:
            yield f"{name}: at {', '.join(str(record.place) for record in records)}"


def _disordered(told: Iterable[Told]) -> Iterator[str]:
    """By the places that were answered: `_lost` sees to it that they are the true ones."""
    of_key: dict[str, list[Told]] = {}
    for each in told:
        if each.place is not None:
            of_key.setdefault(each.key, []).append(each)
    for key, written in of_key.items():
        for before, after in pairwise(written):
            if before.place is not None and after.place is not None and not _follows(after.place, before.place):
                yield f"{key}: {before.id} at {before.place}, then {after.id} at {after.place}"


def _follows(after: Place, before: Place) -> bool:
    return after[:2] == before[:2] and after.offset > before.offset


def _strange(told: Iterable[Told], found: Iterable[Found]) -> Iterator[str]:
    sent = {(each.id, each.key) for each in told}
    return (f"{r.id} of key {r.key} at {r.place}" for r in found if (r.id, r.key) not in sent)


def _longest_silence(told: Iterable[Told], lasted_s: float) -> Silence:
    moments = [0.0, *sorted(t.at_s for t in told if t.outcome is Outcome.WRITTEN), lasted_s]
    return max((Silence(*ends) for ends in pairwise(moments)), key=lambda silence: silence.lasts_s)
