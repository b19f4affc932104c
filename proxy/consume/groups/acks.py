"""One ack, from the books to the commit that contains it."""

import asyncio
from collections.abc import Callable

from proxy.consume.claim import Claim, Held, beyond, ids
from proxy.consume.groups.commits import Committer
from proxy.consume.groups.wish import Wish
from proxy.consume.partition.books import Books, Now, Refused
from proxy.consume.ranges import Ranges
from proxy.errors import Conflict, LeaseExpired, LeaseMoved, NotNow, OutcomeUnknown
from proxy.seams.groups import AckOutcome


class Acks:
    """Takes acks, holding them while partitions are being moved."""

    def __init__(
        self,
        group: str,
        books: Books,
        committer: Committer,
        *,
        is_owning: asyncio.Event,
        now: Callable[[], Now],
        timeout_s: float,
        waits: bool = True,
    ) -> None:
        """`waits`: an ack is answered after its commit; else at once."""
        self._group = group
        self._books = books
        self._committer = committer
        self._is_owning = is_owning
        self._now = now
        self._timeout_s = timeout_s
        self._waits = waits
        self._fetched = asyncio.Event()  # set and cleared at once: wakes all that wait now
        self._buried = asyncio.Event()  # the same
        self.starting = 0  # acks that wait for their partitions' first records; nothing is handed out before them

    def fetched(self) -> None:
        """Records have been taken into the books."""
        self._fetched.set()
        self._fetched.clear()

    def buried(self) -> None:
        """Dead records have been written elsewhere, or are others' to write now."""
        self._buried.set()
        self._buried.clear()

    async def do(self, claim: Claim, wish: Wish, *, delay_s: float, done: Callable[[Wish], None]) -> AckOutcome:
        """Take a wish to the books, call `done`, and wait for its commit. Raises as `seams.GroupReader.acknowledge`."""
        is_taken = False
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._is_owning.wait()
                await self._begun(claim, wish)
                refused, renewed = self._take(claim, wish, delay_s)
                until_ms = self._now().ms + wish.renew_ms if wish.keep else 0
                is_taken = True
                done(wish)
                await self._buried_all(wish.reject)
                if self._waits:
                    await self._committed(wish.accept)
                    await self._committed(wish.reject)
        except TimeoutError:
            raise self._late(is_taken) from None
        if refused:
            raise refusal(wish, refused)
        released = min(wish.releases, self._released(wish))
        return AckOutcome(wish.accepts, released, wish.rejects, renewed, until_ms)

    async def _begun(self, claim: Claim, wish: Wish) -> None:
        """A lease may come from a former owner: wait until its records have been fetched here.

        What is to be released must be there; and without a commit (its owner was killed before the first) nobody
        knows where a partition begins.
        """
        self.starting += 1
        try:
            while claim.until_ms > self._now().ms and self._is_ahead(wish):
                await self._fetched.wait()
        finally:
            self.starting -= 1

    def _is_ahead(self, wish: Wish) -> bool:
        ledgers = self._books.ledgers
        if any(p in ledgers and ledgers[p].position is None for p in wish.accept):
            return True
        return any(
            p in ledgers and (ledgers[p].position or 0) < ranges[-1][1]
            for held in (wish.release, wish.reject, wish.keep)
            for p, ranges in held.items()
        )

    def _take(self, claim: Claim, wish: Wish, delay_s: float) -> tuple[Refused, int]:
        """What is refused, and how many records are renewed."""
        now = self._now()
        refused = self._books.accept(claim, wish.accept, now)
        refused.add(self._books.reject(claim, wish.reject, now))
        refused.add(self._books.release(claim, wish.release, now, delay_s=delay_s))
        renewed, lost = self._books.renew(claim, wish.keep, now, now.s + wish.renew_ms / 1000)
        refused.add(lost)
        return refused, renewed

    def _released(self, wish: Wish) -> int:
        """What was accepted before cannot be released any more; what was released before counts again."""
        ledgers = self._books.ledgers
        return sum(ledgers[p].unsettled(ranges) for p, ranges in wish.release.items() if p in ledgers)

    async def _buried_all(self, rejected: Held) -> None:
        """Wait until nothing of it is dead and not buried. Raises LeaseMoved if that is another's to do now."""
        for partition, ranges in rejected.items():
            ledger = self._books.ledgers.get(partition)
            if ledger is None:
                continue
            named = Ranges(ranges)
            waiting = {offset for offset in ledger.dead if offset in named}
            while waiting & ledger.dead.keys():
                if self._books.ledgers.get(partition) is not ledger:
                    raise LeaseMoved("The partition was moved before the dead letter was written. Poll again.")
                await self._buried.wait()

    async def _committed(self, accepted: Held) -> None:
        """Wait until Kafka has what was just accepted. Raises LeaseMoved if it never will have it from us."""
        ledgers = {partition: self._books.ledgers.get(partition) for partition in accepted}
        awaited = [(p, ledger, ledger.changes, accepted[p]) for p, ledger in ledgers.items() if ledger is not None]
        for partition, ledger, changes, ranges in awaited:
            try:
                while not ledger.is_durable(changes, ranges):
                    successor = self._books.ledgers.get(partition)
                    if successor is not ledger:
                        if successor is not None and successor.has_settled(ranges):
                            break  # Kafka had it after all
                        raise LeaseMoved("The partition was moved before the ack was committed. Poll again.")
                    # Without room in the commit, another ack must come first: then asking for one would not help.
                    round_ = self._committer.ask() if ledger.durable < changes else self._committer.next_round
                    await round_.over()
            except LeaseMoved:
                if ledger.unknown >= changes:
                    raise self._late(is_taken=True) from None
                raise

    def _late(self, is_taken: bool) -> NotNow | OutcomeUnknown:
        if is_taken:
            return OutcomeUnknown(
                "The ack was taken, but Kafka did not confirm it in time. Repeat it: that is harmless."
            )
        return NotNow(f"Group {self._group!r} is waiting for its partitions; nothing was done. Repeat the ack.")


def refusal(wish: Wish, refused: Refused) -> Conflict:
    """Why part of a wish was refused; the rest was done."""
    every = {**refused.expired, **refused.moved}
    extra = {"accepted": ids(beyond(wish.accept, every)), "refused": ids(every)}
    if wish.reject:
        extra["rejected"] = ids(beyond(wish.reject, every))
    if refused.moved:
        return LeaseMoved("Part of the lease is another member's now, and comes again. Poll again.", extra=extra)
    return LeaseExpired(
        "Part of the lease has expired, and comes again. Poll again; do not repeat the ack.", extra=extra
    )
