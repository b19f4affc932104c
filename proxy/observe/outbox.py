"""What the event loop hands over and a thread takes away, so that no request waits for a disk, a terminal or a network.

Putting something in costs less than a microsecond and never waits. At most `limit` are in it: what comes when it is
full is dropped, and counted. Every `every_s` the thread takes all there is, in batches, oldest first.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from proxy.observe.logs import logger

CLOSES_WITHIN_S = 5.0

T = TypeVar("T")

log = logger("observe")


class Outbox(Generic[T]):
    """`deliver` is called in the thread, with one batch at a time, and says whether it was delivered.

    It may block. What it raises is logged, and counts as a failure of the whole batch.
    """

    def __init__(
        self, name: str, deliver: Callable[[Sequence[T]], bool], *, limit: int, batch: int, every_s: float
    ) -> None:
        self.delivered = 0
        self.failed = 0
        self.dropped = 0  # it was full
        self._name = name
        self._deliver = deliver
        self._limit = limit
        self._batch = batch
        self._every_s = every_s
        self._waiting: deque[T] = deque()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def __repr__(self) -> str:
        return f"<Outbox {self._name} {len(self._waiting)} waiting, {self.dropped} dropped>"

    def put(self, item: T) -> None:
        """From the event loop only."""
        if len(self._waiting) >= self._limit:
            self.dropped += 1
        else:
            self._waiting.append(item)

    def close(self, within_s: float = CLOSES_WITHIN_S) -> None:
        """Deliver what is in it, for so long at most. Blocks; call it in a thread. Repeatable."""
        self._closing.set()
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._closing.wait(self._every_s):
            self._empty()
        self._empty()

    def _empty(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._batch, len(self._waiting)))]
            if self._delivers(batch):
                self.delivered += len(batch)
            else:
                self.failed += len(batch)

    def _delivers(self, batch: Sequence[T]) -> bool:
        try:
            return self._deliver(batch)
        except Exception as exc:  # noqa: BLE001 - the thread goes on with the next batch
            log.error("delivery_failed", outbox=self._name, items=len(batch), exc=exc)
            return False
