"""The records waiting for one partition, and the one batch of them that is with Kafka.

The law, in the words used below:

- A record is *waiting* (in our queue), *handed over* (in the batch that Kafka has), or *settled*.
- Waiting at its deadline: NotWritten. It is taken out, and nothing will ever write it.
- Handed over at its deadline: OutcomeUnknown. The batch goes on; its outcome then reaches nobody.
- One batch at a time: the batch in flight is the linger in which the next one gathers. That keeps order
  without trusting the client library with it, and several at once raised false timeouts there.

One timer serves all entries of a queue: deadlines are nearly always met, so a timer for each record would be
armed and cancelled for nothing on the hot path.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from math import inf

from proxy.clock import now_s, wall_ms
from proxy.errors import NotWritten, OutcomeUnknown, ProxyError, RecordTooLarge, Unprocessable
from proxy.observe.logs import logger
from proxy.record import Partition, Receipt, Record, Topic
from proxy.seams.produce import Batch, Batches, BatchRefused, Written

log = logger("produce")


class Entry:
    """One record on its way, and the future its caller waits on."""

    __slots__ = ("deadline_s", "receipt", "record", "size_bytes", "timestamp_ms")

    def __init__(self, record: Record, size_bytes: int, deadline_s: float, receipt: asyncio.Future[Receipt]) -> None:
        self.record = record
        self.size_bytes = size_bytes
        self.deadline_s = deadline_s
        self.receipt = receipt
        self.timestamp_ms = record.timestamp_ms or 0


class PartitionQueue:
    """Waiting records of one partition, in order, and the batch in flight."""

    def __init__(self, topic: Callable[[], Topic], partition: Partition, batches: Batches) -> None:
        self.partition = partition
        self.waiting_bytes = 0
        self._topic = topic
        self._batches = batches
        self._waiting: deque[Entry] = deque()
        self._in_flight: list[Entry] = []
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._looks_s = inf  # when it fires
        self._loop = asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<PartitionQueue {self.partition} {len(self._waiting)} waiting, {len(self._in_flight)} in flight>"

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        return len(self._in_flight)

    @property
    def busy(self) -> bool:
        """Whether anybody still waits for an answer from here."""
        return any(not e.receipt.done() for e in chain(self._in_flight, self._waiting))

    async def close(self) -> None:
        """End the sending task. What is still open stays unanswered by Kafka: drain first."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def put(self, record: Record, size_bytes: int, deadline_s: float) -> asyncio.Future[Receipt]:
        """Queue a record. The future gets its Receipt, NotWritten, OutcomeUnknown, or what Kafka said.

        Cancelling the future takes the record out while it waits, and changes nothing later.
        """
        entry = Entry(record, size_bytes, deadline_s, self._loop.create_future())
        self._waiting.append(entry)
        self.waiting_bytes += size_bytes
        if deadline_s < self._looks_s:
            self._watch(deadline_s)
        if self._task is None:
            self._task = self._loop.create_task(self._send_all(), name=f"produce {self.partition}")
        return entry.receipt

    async def _send_all(self) -> None:
        """Send batch after batch until nothing waits. Lives only while there is something to send."""
        try:
            while self._waiting:
                await self._batches.ready()
                await self._send_one()
        except ProxyError as exc:  # the topic has gone since
            self._settle_all(self._drop_waiting(), exc)
        except Exception as exc:  # noqa: BLE001 - nobody may be left without an answer
            log.error("queue_failed", topic=self.partition.topic, partition=self.partition.partition, exc=exc)
            self._settle_all(self._drop_waiting(), NotWritten("The bridge failed; nothing was written. Try again."))
        finally:
            self._task = None
            self._unwatch()

    async def _send_one(self) -> None:
        batch = self._batches.open(self._topic())
        self._fill(batch)
        if not self._in_flight:
            return
        try:
            await self._hand_over(batch, self._in_flight)
        except BatchRefused as refused:
            await self._one_by_one(refused.error)
        finally:
            self._in_flight = []

    async def _hand_over(self, batch: Batch, entries: list[Entry]) -> None:
        """Send a batch of these entries and settle them. Raises BatchRefused, with nothing settled."""
        try:
            written = await self._batches.send(batch, self.partition)
        except ProxyError as exc:
            self._settle_all(entries, exc)
        except BatchRefused:
            raise
        except Exception as exc:  # noqa: BLE001 - it may or may not have left: only "unknown" is true of it
            log.error("batch_failed", topic=self.partition.topic, partition=self.partition.partition, exc=exc)
            self._settle_all(entries, OutcomeUnknown(_UNKNOWN.format(topic=self.partition.topic)))
        else:
            self._settle_written(written, entries)

    async def _one_by_one(self, error: ProxyError) -> None:
        """A batch was refused: send its records alone, in order, so that only the guilty one fails.

        Not if an earlier attempt may have written them, nor if all are equally guilty. Those that nobody waits for any
        more are left out: their callers were told "unknown", and need not find a record later.
        """
        alone_is_enough = len(self._in_flight) == 1 and not isinstance(error, NotWritten)
        if alone_is_enough or not isinstance(error, _ONE_MAY_BE_GUILTY):
            self._settle_all(self._in_flight, error)
            return
        log.warning("batch_refused", topic=self.partition.topic, records=len(self._in_flight), reason=error.code)
        for entry in self._in_flight:
            await self._batches.ready()
            if entry.receipt.done():
                continue
            alone = self._batches.open(self._topic())
            alone.append(entry.record, entry.timestamp_ms)
            try:
                await self._hand_over(alone, [entry])
            except BatchRefused as refused:
                self._settle_all([entry], refused.error)

    def _fill(self, batch: Batch) -> None:
        """Move what fits from waiting into the batch, leaving out what its caller no longer waits for."""
        now_ms = wall_ms()
        while self._waiting:
            entry = self._waiting[0]
            if not entry.receipt.done():
                entry.timestamp_ms = now_ms if entry.record.timestamp_ms is None else entry.record.timestamp_ms
                try:
                    if not batch.append(entry.record, entry.timestamp_ms):
                        return
                    self._in_flight.append(entry)
                except Exception as exc:  # noqa: BLE001 - a record that cannot be encoded is its sender's trouble alone
                    log.error("record_not_encoded", topic=self.partition.topic, exc=exc)
                    entry.receipt.set_exception(Unprocessable("The record cannot be encoded. Nothing was written."))
            self._waiting.popleft()
            self.waiting_bytes -= entry.size_bytes

    def _settle_written(self, written: Written, entries: list[Entry]) -> None:
        topic, partition = self.partition
        brokers_ms = written.timestamp_ms if self._topic().log_append_time else None
        for offset, entry in enumerate(entries, written.base_offset):
            if not entry.receipt.done():
                timestamp_ms = entry.timestamp_ms if brokers_ms is None else brokers_ms
                entry.receipt.set_result(Receipt(topic, partition, offset, timestamp_ms))

    @staticmethod
    def _settle_all(entries: Iterable[Entry], error: ProxyError) -> None:
        for entry in entries:
            if not entry.receipt.done():
                entry.receipt.set_exception(error)

    def _drop_waiting(self) -> Iterator[Entry]:
        while self._waiting:
            entry = self._waiting.popleft()
            self.waiting_bytes -= entry.size_bytes
            yield entry

    # ---- deadlines

    def _watch(self, deadline_s: float) -> None:
        """See that the timer fires at this deadline, which is before the one it had."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(deadline_s, self._expire)
        self._looks_s = deadline_s

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._looks_s = None, inf

    def _expire(self) -> None:
        """Answer what is past its deadline, by where it is, and look again at the next deadline."""
        self._timer, self._looks_s = None, inf
        now = now_s() + 0.001  # the loop's timers are that coarse: what fires early is due
        topic = self.partition.topic
        for entry in self._in_flight:
            if entry.deadline_s <= now and not entry.receipt.done():
                entry.receipt.set_exception(OutcomeUnknown(_UNKNOWN.format(topic=topic)))
        for entry in self._waiting:
            if entry.deadline_s <= now and not entry.receipt.done():
                entry.receipt.set_exception(NotWritten(_NOT_WRITTEN.format(topic=topic), retry_after_s=1))
        self._sweep()
        open_deadlines = (e.deadline_s for e in chain(self._in_flight, self._waiting) if not e.receipt.done())
        next_s = min(open_deadlines, default=None)
        if next_s is not None:
            self._watch(next_s)

    def _sweep(self) -> None:
        """Let go of waiting records that nobody waits for: while Kafka is away nothing else would."""
        kept = deque(e for e in self._waiting if not e.receipt.done())
        self.waiting_bytes = sum(e.size_bytes for e in kept)
        self._waiting = kept


_ONE_MAY_BE_GUILTY = (RecordTooLarge, Unprocessable, NotWritten)

_NOT_WRITTEN = (
    "The record was still waiting for topic {topic!r} when its time ran out: it was not written and will not be. "
    "Kafka is slow or away; send it again."
)
_UNKNOWN = (
    "The record was handed to topic {topic!r} and Kafka did not answer in time: it may be written, even later. "
    "Sending it again may duplicate it."
)
