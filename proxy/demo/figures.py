"""The live figures: counts per topic and per reader, rates, how far a reader is behind, and how long a record takes.

A Watch of fixed size: it remembers when the last few thousand events were sent, and forgets the rest.
"""

from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from proxy.clock import now_s
from proxy.demo.watch import Body, Outcome, Seen, event_id

REMEMBERED = 10_000  # events whose time of sending is kept
LATENCIES = 500  # the last ones of a reader, for its percentiles
RATE_OVER_S = 5.0


@dataclass(slots=True)
class Rate:
    """Events a second, over the last RATE_OVER_S."""

    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def at(self, now_s: float, total: int) -> float:
        """The rate as of now. Asked once a second or so, so the marks stay few."""
        self._marks.append((now_s, total))
        while len(self._marks) > 2 and self._marks[1][0] <= now_s - RATE_OVER_S:
            self._marks.popleft()
        then_s, then_total = self._marks[0]
        return (total - then_total) / max(now_s - then_s, 0.001)


@dataclass(slots=True)
class Sent:
    written: int = 0
    refused: int = 0
    unknown: int = 0
    rate: Rate = field(default_factory=Rate)


@dataclass(slots=True)
class Read:
    seen: int = 0
    ours: int = 0  # of those, events of this run, each counted once
    again: int = 0  # deliveries after the first
    accepted: int = 0
    latencies_s: deque[float] = field(default_factory=lambda: deque(maxlen=LATENCIES))
    rate: Rate = field(default_factory=Rate)


@dataclass(frozen=True, slots=True)
class TopicLine:
    topic: str
    written: int
    refused: int
    unknown: int
    per_second: float


@dataclass(frozen=True, slots=True)
class ReaderLine:
    reader: str
    seen: int
    again: int
    accepted: int
    behind: int  # records written to its topics that it has not seen
    per_second: float
    p50_ms: float | None  # from the start of the POST to the reader
    p99_ms: float | None


class Figures:
    def __init__(self, reads: Mapping[str, frozenset[str]], *, clock: Callable[[], float] = now_s) -> None:
        self._clock = clock
        self._reads = reads
        self._sent: OrderedDict[str, tuple[str, float]] = OrderedDict()  # and when it was sent
        self._topics: defaultdict[str, Sent] = defaultdict(Sent)
        self._readers = {reader: Read() for reader in reads}

    def posting(self, topic: str, key: str, body: Body) -> None:
        self._sent[body["event_id"]] = (topic, self._clock())
        if len(self._sent) > REMEMBERED:
            self._sent.popitem(last=False)

    def posted(self, event_id: str, outcome: Outcome, detail: str = "") -> None:
        topic, _ = self._sent.get(event_id, ("", 0.0))
        sent = self._topics[topic]
        sent.written += outcome is Outcome.WRITTEN
        sent.refused += outcome is Outcome.REFUSED
        sent.unknown += outcome is Outcome.UNKNOWN

    def seen(self, reader: str, record: Seen) -> None:
        read = self._readers[reader]
        read.seen += 1
        if record.get("deliveries", 1) > 1:
            read.again += 1
        elif known := self._sent.get(event_id(record) or ""):
            read.ours += 1
            read.latencies_s.append(self._clock() - known[1])

    def accepted(self, reader: str, records: Iterable[Seen]) -> None:
        self._readers[reader].accepted += sum(1 for _ in records)

    def returned(self, reader: str, records: Iterable[Seen]) -> None:
        """Counted when they come again."""

    def topics(self) -> list[TopicLine]:
        now = self._clock()
        return [
            TopicLine(topic, sent.written, sent.refused, sent.unknown, round(sent.rate.at(now, sent.written), 1))
            for topic, sent in sorted(self._topics.items())
        ]

    def readers(self) -> list[ReaderLine]:
        now = self._clock()
        return [self._line(reader, read, now) for reader, read in self._readers.items()]

    def _line(self, reader: str, read: Read, now: float) -> ReaderLine:
        behind = sum(self._topics[topic].written for topic in self._reads[reader]) - read.ours
        return ReaderLine(
            reader,
            read.seen,
            read.again,
            read.accepted,
            max(0, behind),
            round(read.rate.at(now, read.seen), 1),
            percentile_ms(read.latencies_s, 0.50),
            percentile_ms(read.latencies_s, 0.99),
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "topics": [asdict(line) for line in self.topics()],
            "readers": [asdict(line) for line in self.readers()],
        }


def percentile_ms(latencies_s: Iterable[float], share: float) -> float | None:
    """None while there are none."""
    ordered = sorted(latencies_s)
    return round(ordered[int(share * (len(ordered) - 1))] * 1000, 1) if ordered else None
