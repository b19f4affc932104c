"""The full account of one `demo --check`: what was sent, and what each reader saw, in the order it happened."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

from proxy.demo.watch import Body, Outcome, Seen, event_id


@dataclass(slots=True)
class Post:
    """One event on its way in. Its place among the posts of its topic and key is the order readers must see."""

    topic: str
    key: str
    body: Body
    outcome: Outcome = Outcome.PENDING
    detail: str = ""


class Moment(StrEnum):
    SEEN = "seen"
    ACCEPTED = "accepted"
    RETURNED = "returned"


class Entry(NamedTuple):
    moment: Moment
    event_id: str
    topic: str
    value: Any


@dataclass(slots=True)
class Journal:
    """A Watch that forgets nothing. Events of other runs (`--bootstrap`: an old topic) are left out by their id."""

    run: str = ""  # the prefix of this run's event ids
    posts: dict[str, Post] = field(default_factory=dict)  # by event id, in the order of sending
    sighted: Callable[[str], None] = lambda reader: None  # told of every sight, by the reader's name
    readings: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))  # by reader

    def posting(self, topic: str, key: str, body: Body) -> None:
        self.posts[body["event_id"]] = Post(topic, key, body)

    def posted(self, event_id: str, outcome: Outcome, detail: str = "") -> None:
        post = self.posts[event_id]
        post.outcome, post.detail = outcome, detail

    def seen(self, reader: str, record: Seen) -> None:
        self._note(Moment.SEEN, reader, (record,))
        self.sighted(reader)

    def accepted(self, reader: str, records: Iterable[Seen]) -> None:
        self._note(Moment.ACCEPTED, reader, records)

    def returned(self, reader: str, records: Iterable[Seen]) -> None:
        self._note(Moment.RETURNED, reader, records)

    def waiting(self, reads: Mapping[str, frozenset[str]]) -> dict[str, int]:
        """For each reader, how many events were written to its topics that it has not accepted yet."""
        return {reader: len(self._written(topics) - self._accepted(reader)) for reader, topics in reads.items()}

    def _written(self, topics: frozenset[str]) -> set[str]:
        posts = self.posts.items()
        return {name for name, post in posts if post.topic in topics and post.outcome is Outcome.WRITTEN}

    def _accepted(self, reader: str) -> set[str]:
        return {entry.event_id for entry in self.readings[reader] if entry.moment is Moment.ACCEPTED}

    def _note(self, moment: Moment, reader: str, records: Iterable[Seen]) -> None:
        for record in records:
            name = event_id(record)
            if name is not None and name.startswith(self.run):
                self.readings[reader].append(Entry(moment, name, record["topic"], record["value"]))
