"""Records written behind the answer: nobody waits for them, and they are bounded.

- They are handed to Kafka in the order in which they came, and what follows waits for what is with Kafka: so the
  records of one key stay in order.
- One that Kafka has not taken stays the first, and is tried again until its patience is over. One whose outcome is
  unknown is not: it may be there.
- At the bound a record is not taken. Whoever offers it says what that means.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from proxy.clock import Deadline, now_s
from proxy.errors import NotNow, OutcomeUnknown, ProxyError
from proxy.record import Receipt, Record, record_size_bytes
from proxy.seams.produce import Submitter

AT_ONCE = 500  # records with Kafka together
ATTEMPT_S = 5.0
PAUSE_S = 0.25  # after Kafka took nothing

Ended = Callable[[Receipt | ProxyError], None]


@dataclass(slots=True, eq=False)
class Entry:
    """One record, and who hears of its end."""

    record: Record
    size_bytes: int
    until_s: float | None  # when patience is over; None: never
    ended: Ended


class WriteBehind:
    """A queue in front of the Submitter. `run` is a task of its owner's; cancelled, it leaves what is queued."""

    def __init__(self, submitter: Submitter, *, bound: int, bound_bytes: int, patience_s: float | None) -> None:
        self.bound = bound
        self._submitter = submitter
        self._bound_bytes = bound_bytes
        self._patience_s = patience_s
        self._waiting: deque[Entry] = deque()
        self._size_bytes = 0
        self._some = asyncio.Event()
        self._none = asyncio.Event()
        self._none.set()

    def __repr__(self) -> str:
        return f"<WriteBehind {self.depth} of {self.bound} records, {self._size_bytes} bytes>"

    @property
    def depth(self) -> int:
        """Records that have no outcome yet."""
        return len(self._waiting)

    @property
    def is_full(self) -> bool:
        return len(self._waiting) >= self.bound or self._size_bytes >= self._bound_bytes

    def offer(self, record: Record, ended: Ended) -> bool:
        """Take the record in, or say False: the queue is full, and `ended` is never called."""
        if self.is_full:
            return False
        until_s = None if self._patience_s is None else now_s() + self._patience_s
        entry = Entry(record, record_size_bytes(record), until_s, ended)
        self._waiting.append(entry)
        self._size_bytes += entry.size_bytes
        self._none.clear()
        self._some.set()
        return True

    async def flush(self) -> None:
        """Wait until everything has its outcome."""
        await self._none.wait()

    async def run(self) -> None:
        """Write what comes, for ever."""
        while True:
            await self._some.wait()
            if not await self._write():
                await asyncio.sleep(PAUSE_S)

    def give_up(self, error: ProxyError) -> None:
        """Nothing of it is written any more: each one ends with this error."""
        while self._waiting:
            self._end(self._waiting[0], error)

    async def _write(self) -> bool:
        """Try the first records. False if Kafka took none."""
        entries = list(islice(self._waiting, AT_ONCE))
        outcomes = await self._submitter.submit_many([each.record for each in entries], Deadline.after(ATTEMPT_S))
        kept = 0
        for entry, outcome in zip(entries, outcomes, strict=True):
            if self._is_kept(entry, outcome):
                kept += 1
            else:
                self._end(entry, outcome)
        return kept < len(entries)

    def _is_kept(self, entry: Entry, outcome: Receipt | ProxyError) -> bool:
        if not isinstance(outcome, NotNow) or isinstance(outcome, OutcomeUnknown):
            return False
        return entry.until_s is None or now_s() < entry.until_s

    def _end(self, entry: Entry, outcome: Receipt | ProxyError) -> None:
        self._waiting.remove(entry)  # it is among the first
        self._size_bytes -= entry.size_bytes
        if not self._waiting:
            self._some.clear()
            self._none.set()
        entry.ended(outcome)
