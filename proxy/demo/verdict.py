"""Whether every record that was sent was seen by every reader that should: a pure judgement of the journal.

The rules, for each reader and each topic it reads:
- what was answered as written is seen at least once (`missing` counts the rest);
- what was answered as refused, or never sent, is not seen (`strange`), and the value is the body as sent (`altered`);
- first sights are in the order of sending, per key (`out of order`);
- nothing is seen again after the reader accepted it (`again after`);
- before that, it is seen again exactly as often as the reader gave it back (`again before` counts the sights; a
  difference in either direction is a failure of its own, since a lost release would otherwise look like luck);
- what was answered as unknown may be seen, or not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from proxy.demo.journal import Entry, Journal, Moment, Post
from proxy.demo.watch import Outcome


@dataclass(slots=True)
class Row:
    """What one reader saw of one topic. All but the first four must be 0."""

    reader: str
    topic: str
    sent: int = 0
    answered: int = 0  # as written
    seen: int = 0  # different events
    again_before: int = 0  # sights of something seen before and not yet accepted
    again_after: int = 0
    missing: int = 0
    out_of_order: int = 0
    strange: int = 0
    altered: int = 0
    returns_unmet: int = 0  # given back more often than seen again
    returns_unasked: int = 0  # seen again more often than given back

    def failures(self) -> Iterator[str]:
        for count, what in (
            (self.missing, "never arrived"),
            (self.again_after, "came again after they were accepted"),
            (self.out_of_order, "came out of order for their key"),
            (self.strange, "arrived though nothing was written under that id"),
            (self.altered, "arrived with another value than was sent"),
            (self.returns_unmet, "were given back and did not come again"),
            (self.returns_unasked, "came again though they were not given back"),
        ):
            if count:
                yield f"{self.reader}: {count} of {self.answered} records of {self.topic} {what}"


@dataclass(frozen=True, slots=True)
class Verdict:
    rows: list[Row]
    failures: list[str]

    @property
    def good(self) -> bool:
        return not self.failures


def judge(journal: Journal, reads: Mapping[str, frozenset[str]]) -> Verdict:
    """Hold the journal against the rules above. `reads` says which topics each reader reads."""
    rows = [row for reader, topics in reads.items() for row in _judge_reader(journal, reader, topics)]
    topics = frozenset().union(*reads.values())
    failures = [*_sending_failures(journal, topics), *(failure for row in rows for failure in row.failures())]
    return Verdict(rows, failures)


def _sending_failures(journal: Journal, topics: frozenset[str]) -> Iterator[str]:
    """The embedded broker is always there: a POST that was not answered as written is a failure too."""
    used = {post.topic for post in journal.posts.values()}
    for topic in sorted(topics - used):
        yield f"nothing was sent to {topic}, so nothing was proved about it"
    unwritten = Counter(
        (post.topic, post.outcome, post.detail)
        for post in journal.posts.values()
        if post.outcome is not Outcome.WRITTEN
    )
    for (topic, outcome, detail), count in unwritten.items():
        yield f"{count} POSTs for {topic} ended {outcome}" + (f": {detail}" if detail else "")


def _judge_reader(journal: Journal, reader: str, topics: frozenset[str]) -> list[Row]:
    reading = _Reading(reader, journal.posts, {topic: Row(reader, topic) for topic in sorted(topics)})
    for entry in journal.readings.get(reader, ()):
        reading.follow(entry)
    reading.conclude()
    return list(reading.rows.values())


@dataclass(slots=True)
class _Reading:
    """Walks through what one reader noted, in its order, and fills its rows."""

    reader: str
    posts: Mapping[str, Post]
    rows: dict[str, Row]
    accepted: set[str] = field(default_factory=set)
    sights: Counter[str] = field(default_factory=Counter)  # before acceptance
    returns: Counter[str] = field(default_factory=Counter)
    place: dict[str, int] = field(default_factory=dict)  # of each event among all posts
    furthest: dict[tuple[str, str], int] = field(default_factory=dict)  # place seen, by topic and key

    def __post_init__(self) -> None:
        self.place = {name: place for place, name in enumerate(self.posts)}

    def follow(self, entry: Entry) -> None:
        match entry.moment:
            case Moment.SEEN:
                self._see(entry)
            case Moment.ACCEPTED:
                self.accepted.add(entry.event_id)
            case Moment.RETURNED:
                self.returns[entry.event_id] += 1

    def _see(self, entry: Entry) -> None:
        row = self.rows.setdefault(entry.topic, Row(self.reader, entry.topic))
        post = self.posts.get(entry.event_id)
        if post is None or post.topic != entry.topic or post.outcome is Outcome.REFUSED:
            row.strange += 1
        elif entry.event_id in self.accepted:
            row.again_after += 1
        elif self.sights[entry.event_id]:
            row.again_before += 1
            self.sights[entry.event_id] += 1
        else:
            self.sights[entry.event_id] = 1
            self._see_first(row, entry, post)

    def _see_first(self, row: Row, entry: Entry, post: Post) -> None:
        row.seen += 1
        row.altered += entry.value != post.body
        key, place = (post.topic, post.key), self.place[entry.event_id]
        row.out_of_order += place < self.furthest.get(key, -1)
        self.furthest[key] = max(place, self.furthest.get(key, -1))

    def conclude(self) -> None:
        for name, post in self.posts.items():
            if row := self.rows.get(post.topic):
                row.sent += 1
                row.answered += post.outcome is Outcome.WRITTEN
                self._conclude_one(row, post, self.sights[name], self.returns[name])

    def _conclude_one(self, row: Row, post: Post, sights: int, returns: int) -> None:
        if not sights:
            row.missing += post.outcome is Outcome.WRITTEN
            return
        row.returns_unmet += sights - 1 < returns
        row.returns_unasked += sights - 1 > returns
