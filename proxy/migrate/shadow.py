"""The shadow of one route: records of what the legacy service took, written while nobody waits for them.

Each one is written, or is a loss that is counted and listed. What a process held when it was killed, nobody can list:
`held` is told with its sign of life (`control.py`), and counts as lost for a reason unknown when that stays away.
"""

from collections.abc import Callable

from proxy.errors import NotWritten, ProxyError
from proxy.migrate.behind import WriteBehind
from proxy.migrate.losses import Losses
from proxy.record import Receipt, Record
from proxy.seams.produce import Submitter

Written = Callable[[Receipt], None]


class Shadow:
    """Of one route, in this process. `run` is a task of its owner's."""

    def __init__(
        self,
        submitter: Submitter,
        *,
        bound: int,
        bound_bytes: int,
        patience_s: float,
        on_lost: Callable[[str], object] = lambda _: None,
    ) -> None:
        """`patience_s`: a record that Kafka has not taken by then is a loss, of which `on_lost` hears the reason."""
        self.losses = Losses()
        self._on_lost = on_lost
        self._offered = 0  # since `held` was asked
        self.written = 0
        self._behind = WriteBehind(submitter, bound=bound, bound_bytes=bound_bytes, patience_s=patience_s)

    def __repr__(self) -> str:
        return f"<Shadow {self.written} written, {self._behind}, {self.losses}>"

    @property
    def depth(self) -> int:
        """Records in the queue."""
        return self._behind.depth

    @property
    def bound(self) -> int:
        """How many there may be."""
        return self._behind.bound

    def held(self) -> int:
        """What a sign of life says of the queue: what is in it, and once more as many as came since the last."""
        offered, self._offered = self._offered, 0
        return min(self.bound, self.depth + offered)

    async def run(self) -> None:
        await self._behind.run()

    async def flush(self) -> None:
        """Wait until what is in the queue is written, or lost."""
        await self._behind.flush()

    def stop(self) -> None:
        """The process ends: what is still in the queue is lost, and listed."""
        self._behind.give_up(NotWritten("The bridge stopped before the record was written."))

    def offer(self, record: Record, request_id: str, written: Written | None = None) -> None:
        """Have it written, or count it as lost. `written` hears of the first."""

        def ended(outcome: Receipt | ProxyError) -> None:
            if isinstance(outcome, ProxyError):
                self.lose(outcome.code, outcome.detail, request_id, record.key)
                return
            self.written += 1
            if written is not None:
                written(outcome)

        self._offered += 1
        if not self._behind.offer(record, ended):
            self.lose("queue_full", f"{self.depth} records wait already, of {self.bound}.", request_id, record.key)

    def lose(self, reason: str, detail: str, request_id: str, key: bytes | None) -> None:
        """The legacy service has, or may have, what Kafka has not."""
        self.losses.note(reason, detail, request_id, key)
        self._on_lost(reason)
