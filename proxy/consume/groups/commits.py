"""The one task that commits for a group: gathered, one commit in flight, each from the books as they are then.

A *round* is one commit. Whoever accepted something joins the next round and is told when it is over; whether Kafka
then has what he accepted, the ledger says (`Ledger.is_durable`): a commit that Kafka did not answer is made anew, later
and from newer books, never repeated.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from proxy.consume.partition.books import Books, Now
from proxy.errors import KafkaAway, LeaseMoved, ProxyError
from proxy.observe.logs import logger
from proxy.record import Partition
from proxy.seams.groups import Committed

RETRY_S = (0.2, 2.0)  # the first pause, and the longest

log = logger("consume")


class Round:
    """One commit, as those see it who wait for it."""

    def __init__(self) -> None:
        self._is_over = asyncio.Event()
        self._refused: str | None = None

    async def over(self) -> None:
        """Wait until it is over, well or not. Raises LeaseMoved if the group did not take it from us."""
        await self._is_over.wait()
        if self._refused is not None:
            raise LeaseMoved(self._refused)

    def end(self, refused: str | None = None) -> None:
        self._refused = refused
        self._is_over.set()


class Committer:
    """`run` is the task; `commit` makes one at once, after the one in flight."""

    def __init__(
        self,
        group: str,
        books: Books,
        write: Callable[[Mapping[Partition, Committed]], Awaitable[None]],
        now: Callable[[], Now],
        *,
        refused: Callable[[], None],
        interval_s: float | None = None,
    ) -> None:
        """`write` is the member's `commit`; `refused` is called when the group did not take one from us.

        `interval_s`: how long to gather before a commit; without it only as long as the one before it takes.
        """
        self._group = group
        self._books = books
        self._write = write
        self._refused = refused
        self._now = now
        self._interval_s = interval_s
        self._round = Round()
        self._one_at_a_time = asyncio.Lock()
        self._wanted = asyncio.Event()
        self._is_free = asyncio.Event()

    def ask(self) -> Round:
        """Want a commit of the books as they are, and know the round that it is in."""
        self._wanted.set()
        return self._round

    @property
    def next_round(self) -> Round:
        """The next commit, whoever wants it."""
        return self._round

    def hold(self) -> None:
        """Start none by itself: the partitions are about to go."""
        self._is_free.clear()

    def go_on(self) -> None:
        self._is_free.set()

    async def run(self) -> None:
        pause_s, longest_s = RETRY_S
        while True:
            await self._wanted.wait()
            if self._interval_s is not None:
                await asyncio.sleep(self._interval_s)
            await self._is_free.wait()
            self._wanted.clear()
            if await self.commit():
                pause_s = RETRY_S[0]
                continue
            self._wanted.set()
            await asyncio.sleep(pause_s)
            pause_s = min(longest_s, 2 * pause_s)

    async def commit(self, *, with_leases: bool = False) -> bool:
        """Make one commit. False: Kafka did not answer, or forbids it. Cancelled: it may have been made or not."""
        async with self._one_at_a_time:
            round_, self._round = self._round, Round()
            refused = None
            try:
                await self._commit(with_leases)
            except LeaseMoved as exc:
                refused = exc.detail
                self._refused()
            except ProxyError as exc:
                log.warning("commit_not_made", group=self._group, reason=exc.detail)
                return False
            finally:
                round_.end(refused)
        return True

    async def _commit(self, with_leases: bool) -> None:
        snapshots = self._books.snapshots(self._now(), with_leases=with_leases)
        if not snapshots:
            return
        try:
            await self._write({partition: snapshot.commit for partition, (_, snapshot) in snapshots.items()})
        except KafkaAway:
            self._books.unanswered(snapshots)
            raise
        self._books.committed(snapshots)
