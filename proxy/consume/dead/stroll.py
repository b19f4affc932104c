"""Reading pieces of a topic, here and there, within bounds that hold for all of it together."""

from proxy.clock import Deadline
from proxy.errors import Gone
from proxy.record import Fetched, Partition
from proxy.seams.feeds import Tail

CHUNK = 500  # offsets that are read at a time
MOST_READ = 20_000  # records
MOST_BYTES = 16 << 20  # of values at a time
FETCH_S = 0.5


class Stroll:
    """Uses up a deadline and MOST_READ records."""

    def __init__(self, tail: Tail, deadline: Deadline) -> None:
        self._tail = tail
        self._deadline = deadline
        self._read = 0

    @property
    def is_over(self) -> bool:
        return self._read >= MOST_READ or not self._deadline.remaining_s()

    async def read(self, partition: Partition, start: int, end: int) -> tuple[list[Fetched], int]:
        """The records from `start` to `end - 1`, and up to where they were read: `end`, unless it became too much.

        What retention takes meanwhile is left out. Raises KafkaAway.
        """
        records: list[Fetched] = []
        size_bytes, edge = 0, start
        if not self.is_over:
            await self._tail.open({partition: start})
        while edge < end and size_bytes < MOST_BYTES and not self.is_over:
            wait_s = min(FETCH_S, self._deadline.remaining_s())
            try:
                fetched = await self._tail.fetch(timeout_s=wait_s, max_records=CHUNK)
            except Gone as exc:
                edge = int(exc.extra["lost"][0]["begins"])
                await self._tail.open({partition: edge})
                continue
            self._read += len(fetched)
            size_bytes += sum(len(record.value or b"") for record in fetched)
            records += [record for record in fetched if record.offset < end]
            edge = self._tail.position(partition) or edge
        return records, min(edge, end)
