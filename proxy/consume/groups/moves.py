"""What an operator moves in the partitions that this process owns: where a group goes on, and records that it skips.

Laws:
- A partition is moved between two fetches, by the task that fetches: what a fetch in progress brings is of the past.
- Nothing is moved while partitions change hands. It waits, as acks do.
- It is answered after the commit that contains it.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence

from proxy.consume.groups.commits import Committer
from proxy.consume.partition.books import Books
from proxy.consume.partition.ledger import Ledger
from proxy.consume.ranges import Range
from proxy.errors import LeaseMoved, NotNow, OutcomeUnknown
from proxy.record import Partition

TIMEOUT_S = 4.0  # whoever asked through another process waits for five

Offsets = Mapping[Partition, int]


class _Seek:
    """One that waits for its turn."""

    def __init__(self, offsets: Offsets) -> None:
        self.offsets = offsets
        self.made: asyncio.Future[dict[Partition, tuple[int | None, Ledger]]] = (
            asyncio.get_running_loop().create_future()
        )


class Moves:
    """See the head of this file."""

    def __init__(
        self, group: str, books: Books, committer: Committer, *, is_owning: asyncio.Event, moved: Callable[[], None]
    ) -> None:
        """`moved` is called when something was moved or skipped."""
        self._group = group
        self._books = books
        self._committer = committer
        self._is_owning = is_owning
        self._moved = moved
        self._waiting: list[_Seek] = []

    # ---- what is asked

    async def seek(self, offsets: Offsets) -> dict[Partition, int | None]:
        """Go on from these offsets; what is leased of these partitions is leased no longer.

        Returns where each of them was; None: that was not known. Those that are not ours are left out.

        Raises NotNow if nothing was done, OutcomeUnknown if it was done and not committed in time.
        """
        seek, is_made = _Seek(offsets), False
        self._waiting.append(seek)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                made = await seek.made
                is_made = True
                await self._committed({partition: ledger for partition, (_, ledger) in made.items()}, ())
        except TimeoutError:
            raise self._late(is_made) from None
        finally:
            if seek in self._waiting:
                self._waiting.remove(seek)
        return {partition: before for partition, (before, _) in made.items()}

    async def skip(self, partition: Partition, offset: int) -> bool:
        """Let the group go on without this record, whoever has it. False: it was settled before.

        Raises as `seek`; NotNow also if the partition is not ours.
        """
        is_made = False
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._is_owning.wait()
                ledger = self._books.ledgers.get(partition)
                if ledger is None:
                    raise NotNow(f"{partition.topic}:{partition.partition} has just been moved. Repeat it.")
                if ledger.position is None:
                    raise NotNow(f"Nothing of {partition.topic}:{partition.partition} has been read yet. Repeat it.")
                is_skipped = self._books.skip(partition, offset)
                is_made = True
                self._moved()
                await self._committed({partition: ledger}, [(offset, offset + 1)])
        except TimeoutError:
            raise self._late(is_made) from None
        return is_skipped

    async def _committed(self, ledgers: Mapping[Partition, Ledger], ranges: Sequence[Range]) -> None:
        """Wait until Kafka has these ledgers as they are now."""
        for partition, ledger, changes in [(p, ledger, ledger.changes) for p, ledger in ledgers.items()]:
            while not ledger.is_durable(changes, ranges):
                if self._books.ledgers.get(partition) is not ledger:
                    raise self._late(is_made=True)
                round_ = self._committer.ask() if ledger.durable < changes else self._committer.next_round
                try:
                    await round_.over()
                except LeaseMoved as exc:
                    raise self._late(is_made=True) from exc

    def _late(self, is_made: bool) -> NotNow | OutcomeUnknown:
        if is_made:
            return OutcomeUnknown("It was done, but Kafka did not confirm it. Look at the group, and repeat it.")
        return NotNow(f"Group {self._group!r} is waiting for its partitions; nothing was done. Repeat it.")

    # ---- what is done

    def make(self, seek: Callable[[Partition, int], None]) -> None:
        """Between two fetches: do what waits. `seek` is the member's."""
        if not self._waiting or not self._is_owning.is_set():
            return
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            made = {}
            for partition, offset in each.offsets.items():
                former = self._books.ledgers.get(partition)
                if former is not None:
                    self._books.seek(partition, offset)
                    seek(partition, offset)
                    made[partition] = former.low, self._books.ledgers[partition]
            if not each.made.done():
                each.made.set_result(made)
        self._moved()
