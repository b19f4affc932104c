"""What a group's clients saw, held against what was written. Pure: no clock, no Kafka, no HTTP.

The law (DESIGN, laws 1, 3 and 4), for records of which each has a number of its own:

- Nothing is lost: each record that was written is accepted by some client in the end, and told so (an ack's 200).
- What is accepted does not come back: nobody is handed a record after an ack of it was answered 200.
- Nothing comes that nobody wrote, and no answer is one that a client of these could not expect.
- In the end Kafka has the group's commit at the end of every partition.

A record may come twice before it is accepted: its reader gave it back, forgot it, lost the answer, or died. That is
counted. So is what *crossed* its own ack: it was on its way to one client when another one was told that it is
accepted, as when the first one's worker froze in the midst of its answer.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

LOST = "lost"
CAME_BACK = "came back after its ack"
STRANGE_RECORD = "brought, and written by nobody"
STRANGE_ANSWER = "answered as no client could expect"
NOT_COMMITTED = "not committed to the end"


class Span(NamedTuple):
    """In seconds since the load began."""

    from_s: float
    to_s: float

    @property
    def lasts_s(self) -> float:
        return self.to_s - self.from_s


NONE = Span(0, 0)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`lies` has, for each thing that must not be, one line a case.

    `silence`: the longest time in which no client got anything although records waited that nobody had had yet.
    `wait`: the longest time from when a record was written until a first client had it.
    """

    written: int
    accepted: int
    brought: int
    again: int  # of those brought: not for the first time
    crossed: int
    doubted: int  # written, and accepted perhaps: the only acks of it had no answer
    silence: Span
    wait: Span
    lies: Mapping[str, list[str]]

    @property
    def is_clean(self) -> bool:
        return not any(self.lies.values())


@dataclass(slots=True)
class Judge:
    """Is told everything in the order in which it happened. Seconds are since the load began."""

    _sent: dict[int, float] = field(default_factory=dict)  # when it was written; before that: when it was sent
    _waiting: dict[int, float] = field(default_factory=dict)  # written when, and not brought yet; oldest first
    _brought: set[int] = field(default_factory=set)
    _accepted: dict[int, float] = field(default_factory=dict)  # when that was first answered
    _doubted: set[int] = field(default_factory=set)
    _times: int = 0
    _crossed: int = 0
    _last_s: float = 0.0  # when something was last brought
    _silence: Span = NONE
    _wait: Span = NONE
    _came_back: list[str] = field(default_factory=list)
    _strange_records: list[str] = field(default_factory=list)
    _strange_answers: list[str] = field(default_factory=list)
    _not_committed: list[str] = field(default_factory=list)

    @property
    def missing(self) -> int:
        """How many records were written, and no ack of them was ever sent that may have been taken."""
        return len(self._sent.keys() - self._accepted.keys() - self._doubted)

    @property
    def doubtful(self) -> int:
        """How many are accepted perhaps."""
        return len(self._doubted - self._accepted.keys())

    # ---- what happened

    def sends(self, numbers: Iterable[int], at_s: float) -> None:
        """From now on it may come."""
        self._sent.update(dict.fromkeys(numbers, at_s))

    def wrote(self, numbers: Iterable[int], at_s: float) -> None:
        """From now on it should."""
        for number in numbers:
            self._sent[number] = at_s
            if number not in self._brought:
                self._waiting[number] = at_s

    def brought(self, numbers: Iterable[int], *, since_s: float, at_s: float, to: str = "") -> None:
        """A client has these now, which were handed out to it at `since_s` or later."""
        numbers = list(numbers)
        self._hear(numbers, at_s)
        for number in numbers:
            self._times += 1
            if number not in self._sent:
                self._strange_records.append(f"{number} to {to} at {at_s:.2f} s")
                continue
            if (accepted_s := self._accepted.get(number)) is not None:
                if accepted_s < since_s:
                    self._came_back.append(
                        f"{number}: accepted at {accepted_s:.3f} s, handed to {to} at {since_s:.3f}, came at {at_s:.3f}"
                    )
                else:
                    self._crossed += 1
            self._brought.add(number)

    def _hear(self, numbers: Iterable[int], at_s: float) -> None:
        oldest_s = next(iter(self._waiting.values()), None)
        if oldest_s is not None:
            self._silence = longer(self._silence, Span(max(self._last_s, oldest_s), at_s))
        self._last_s = at_s
        for number in numbers:
            if (written_s := self._waiting.pop(number, None)) is not None:
                self._wait = longer(self._wait, Span(written_s, at_s))

    def accepted(self, numbers: Iterable[int], at_s: float) -> None:
        """A client was told that they are."""
        for number in numbers:
            self._accepted.setdefault(number, at_s)

    def doubted(self, numbers: Iterable[int]) -> None:
        """A client sent an ack and was not told what became of it."""
        self._doubted.update(numbers)

    def strange(self, answer: str) -> None:
        self._strange_answers.append(answer)

    def left(self, partition: str, committed: int, end: int) -> None:
        """What Kafka has of the group in the end."""
        if committed != end:
            self._not_committed.append(f"{partition}: {committed} of {end}")

    # ---- what that amounts to

    def verdict(self, at_s: float) -> Verdict:
        """As of now."""
        not_accepted = self._sent.keys() - self._accepted.keys()
        lost = sorted(not_accepted - self._doubted)
        silence, wait = self._silence, self._wait
        if oldest_s := next(iter(self._waiting.values()), None):
            silence = longer(silence, Span(max(self._last_s, oldest_s), at_s))
            wait = longer(wait, Span(oldest_s, at_s))
        return Verdict(
            written=len(self._sent),
            accepted=len(self._accepted),
            brought=self._times,
            again=self._times - len(self._brought) - len(self._strange_records),
            crossed=self._crossed,
            doubted=self.doubtful,
            silence=silence,
            wait=wait,
            lies={
                LOST: [
                    f"{number}, written at {self._sent[number]:.2f} s, "
                    f"{'brought, but never accepted' if number in self._brought else 'never brought'}"
                    for number in lost
                ],
                CAME_BACK: self._came_back,
                STRANGE_RECORD: self._strange_records,
                STRANGE_ANSWER: self._strange_answers,
                NOT_COMMITTED: self._not_committed,
            },
        )


def longer(one: Span, other: Span) -> Span:
    return other if other.lasts_s > one.lasts_s else one
