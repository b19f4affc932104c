"""The control topic as it is read and written: one partition of one compacted topic (`seams.ControlLog`)."""

from collections.abc import Awaitable, Callable, Sequence

from proxy.clock import Deadline
from proxy.errors import Gone
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition, Record
from proxy.seams.feeds import NewTail
from proxy.seams.produce import Submitter
from proxy.seams.topics import Topics

FIND_S = 5.0
BEGIN_S = 5.0
MAX_RECORDS = 1_000

log = logger("migrate")


class TopicLog:
    """See `seams.ControlLog`. `make` sees that the topic is there."""

    def __init__(
        self, name: str, topics: Topics, new_tail: NewTail, submitter: Submitter, make: Callable[[], Awaitable[None]]
    ) -> None:
        self.name = name
        self._topics = topics
        self._tail = new_tail()
        self._submitter = submitter
        self._make = make
        self._partition = Partition(name, 0)
        self._next: int | None = None
        self._is_found = False

    def __repr__(self) -> str:
        return f"<TopicLog {self.name} at {self._next}>"

    async def open(self) -> None:
        """See `seams.ControlLog.open`. A topic that was made anew is read from its beginning."""
        if not self._is_found:
            await self._make()
            topic = await self._topics.find(self.name, Deadline.after(FIND_S))
            if not topic.compacted:
                log.warning("control_topic_not_compacted", topic=self.name, mend="set cleanup.policy=compact")
            self._is_found = True
        begins, ends = (await self._tail.bounds([self._partition], Deadline.after(BEGIN_S)))[self._partition]
        start = self._next if self._next is not None and begins <= self._next <= ends else begins
        await self._tail.open({self._partition: start})

    async def read(self, timeout_s: float) -> Sequence[Fetched]:
        """See `seams.ControlLog.read`."""
        try:
            records = await self._tail.fetch(timeout_s=timeout_s, max_records=MAX_RECORDS)
        except Gone:  # compaction has passed us by, or the topic is another one
            self._next, self._is_found = None, False
            raise
        if records:
            self._next = records[-1].offset + 1
        return records

    async def write(self, key: bytes, value: bytes | None, deadline: Deadline) -> None:
        """See `seams.ControlLog.write`."""
        await self._submitter.submit(Record(self.name, key, value, partition=0), deadline)

    async def close(self) -> None:
        await self._tail.close()
