"""What goes wrong on purpose during `--check`, so that there is something to prove.

The inventory manager gives some records back and leaves others until their lease runs out; the streams lose their
connection in the middle. The verdict then wants to see exactly those records again, and none of the others.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from proxy.demo.clients.inventory import Choice
from proxy.demo.clients.stream import Stream
from proxy.demo.watch import Seen, event_id

PAUSES = 2  # in which every stream is cut


@dataclass(slots=True)
class Doubts:
    """The inventory manager's second thoughts: every so many records are released or left, each once in its life."""

    release_every: int = 29
    leave_every: int = 97
    leave_at_most: int = 10  # an early few: what is left holds its partition's commit back for as long as the lease
    left: int = 0
    released: int = 0
    _known: set[str] = field(default_factory=set)

    def __call__(self, record: Seen) -> Choice:
        name = event_id(record)
        if name is None or name in self._known:
            return Choice.ACCEPT
        self._known.add(name)
        if len(self._known) % self.leave_every == 0 and self.left < self.leave_at_most:
            self.left += 1
            return Choice.LEAVE
        if len(self._known) % self.release_every == 0:
            self.released += 1
            return Choice.RELEASE
        return Choice.ACCEPT

    def shortfalls(self) -> Iterator[str]:
        """What did not happen, and so was not proved."""
        if not self.released:
            yield "inventory: it released no record, so nothing was proved about release"
        if not self.left:
            yield "inventory: it left no record, so nothing was proved about leases that run out"


@dataclass(slots=True)
class Drops:
    """Cuts a stream's connection in full flow, when its reader has seen so many records: the journal tells of each.

    For readers without a group, whose position is their own. A group with `ack: auto` may lose what was on its way
    when a connection is cut, and says so; its streams are cut in a pause (`check.py`).
    """

    marks: Mapping[str, Sequence[int]]  # by reader
    streams: Mapping[str, Stream] = field(default_factory=dict)
    _sights: Counter[str] = field(default_factory=Counter)

    def sighted(self, reader: str) -> None:
        self._sights[reader] += 1
        if self._sights[reader] in self.marks.get(reader, ()):
            self.streams[reader].drop()

    def shortfalls(self) -> Iterator[str]:
        for reader, stream in self.streams.items():
            wanted = 1 + len(self.marks.get(reader, ())) + PAUSES
            if stream.connections < wanted:
                yield (
                    f"{reader}: it connected {stream.connections} times, not {wanted}, so not all was proved about "
                    f"coming back; its last trouble: {stream.trouble or 'none'}"
                )
