"""Reading for one group: this process's member of it, its clients' polls, streams and acks (`seams.GroupReader`).

What happens where: `books.py` knows what is out, `commits.py` commits, `waiting.py` is the line of those who wait,
`stream.py` one stream; the session drives them and the member (`seams.GroupMember`).

Laws:
- One task fetches for ever (`run`) and is never cancelled in a fetch; `close` ends it.
- While partitions are being moved (from `on_revoked` to the end of `on_assigned`, and before the first assignment)
  nothing is handed out, and what readers say is held, not failed: then it is taken to where the partitions are.
- An ack is answered after the commit that contains it.
- A member without a heartbeat for a session timeout hands out nothing: its partitions may be another's already.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from secrets import randbits

from proxy import clock
from proxy.consume.acks import Acks
from proxy.consume.alarm import Alarm
from proxy.consume.books import Books, Now
from proxy.consume.claim import Claim, Held, Selection, Wish, read_wish
from proxy.consume.commits import Committer
from proxy.consume.handout import GroupState, Leased, PartitionState
from proxy.consume.settings import GroupSettings
from proxy.consume.stream import Stream
from proxy.consume.token import Kind, Signer
from proxy.consume.waiting import Line, Waiter
from proxy.errors import Draining, KafkaAway, NotNow
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams import AckOutcome, Committed, GroupMember, Handout, NewMember

__all__ = ["GroupSession", "GroupSettings"]

START_OVER_S = 5.0  # so long a rebalance may take to come after a commit was refused
REJOIN_S = (0.2, 5.0)  # the first pause before joining is tried again, and the longest

log = logger("consume")


def read_clocks() -> Now:
    return Now(clock.now_s(), clock.wall_ms())


class GroupSession:
    """See the head of this file."""

    def __init__(
        self,
        settings: GroupSettings,
        new_member: NewMember,
        signer: Signer,
        *,
        now: Callable[[], Now] = read_clocks,
    ) -> None:
        self.is_auto = settings.ack == "auto"
        self._settings = settings
        self._group = settings.group
        self._new_member = new_member
        self._signer = signer
        self._now = now
        self._member: GroupMember | None = None
        self._books = Books(settings.group, lease_s=settings.lease_s, budget=settings.budget)
        self._committer = Committer(settings.group, self._books, self._write, now, refused=self._commit_refused)
        self._line = Line()
        self._streams: dict[int, Stream] = {}  # open ones, and those that may be resumed
        self._paused: set[Partition] = set()
        self._is_owning = asyncio.Event()
        self._acks = Acks(
            settings.group,
            self._books,
            self._committer,
            is_owning=self._is_owning,
            now=now,
            timeout_s=settings.ack_timeout_s,
        )
        self._held_back: list[Callable[[], None]] = []  # what readers said while partitions were being moved
        self._alarm = Alarm(self._ring, now)
        self._is_closing = asyncio.Event()
        self._is_moving = False
        self._starting_over: asyncio.Task[None] | None = None
        self._trouble: NotNow | None = None
        self._was_assigned = False  # until then an empty answer would say what nobody knows

    def __repr__(self) -> str:
        state = "closing" if self._is_closing.is_set() else "owning" if self._is_owning.is_set() else "not joined"
        return f"<GroupSession group={self._group} {state}, {len(self._line)} waiting, {self._books!r}>"

    # ---- the task

    async def run(self) -> None:
        """Join, and fetch until `close`. The app keeps this task; it ends only then, or with an error of ours."""
        committing = asyncio.create_task(self._committer.run(), name=f"commit {self._group}")
        try:
            member = await self._join()
            while not self._is_closing.is_set():
                self._take(
                    await member.fetch(timeout_s=self._settings.fetch_s, max_records=self._settings.fetch_records)
                )
        except Exception as exc:
            log.error("group_reader_failed", exc=exc, group=self._group)
            raise
        finally:
            self._trouble = NotNow(f"Reading for group {self._group!r} has ended. Try again later.")
            self._line.end()
            self._let_go()
            self._alarm.stop()
            committing.cancel()
            await asyncio.wait([committing])

    async def _join(self) -> GroupMember:
        pause_s, longest_s = REJOIN_S
        while True:
            member = self._member = self._new_member(self._group, self._settings.topics)
            try:
                await member.open(self)
            except NotNow as exc:
                self._trouble = exc
                self._line.end(partial(again, exc))
                log.warning("group_not_joined", group=self._group, reason=exc.detail, retry_in_s=pause_s)
                await member.close()
            else:
                self._trouble = None
                return member
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_closing.wait(), pause_s)
                return member
            pause_s = min(longest_s, 2 * pause_s)

    def _take(self, records: Sequence[Fetched]) -> None:
        now = self._now()
        full = self._books.take(records, now) if records else []
        if self._is_owning.is_set():
            self._pause([partition for partition in full if partition not in self._paused])
            if records:
                self._acks.fetched()
                self._alarm.by(self._books.next_due_s)
        self._serve()

    def _pause(self, partitions: Sequence[Partition]) -> None:
        if partitions and self._member is not None:
            self._paused.update(partitions)
            self._member.pause(partitions)

    def _resume(self, partitions: Sequence[Partition]) -> None:
        if partitions and self._member is not None:
            self._paused.difference_update(partitions)
            self._member.resume(partitions)

    async def close(self) -> None:
        """Hold new polls, end those that wait, commit what is accepted, leave the group. Bounded, repeatable."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        self._line.end()
        for stream in list(self._streams.values()):
            stream.end()
        if self._is_owning.is_set():
            self._committer.hold()
            try:
                async with asyncio.timeout(self._settings.close_timeout_s):
                    await self._committer.commit(with_leases=True)
            except TimeoutError:
                log.warning("last_commit_not_made", group=self._group)
        self._alarm.stop()
        if self._member is not None:
            await self._member.close()

    # ---- what the member tells (`seams.GroupListener`)

    async def on_revoked(self, partitions: Sequence[Partition]) -> None:
        """Hold everything, and make a last commit after the one in flight."""
        self._is_moving = True
        self._let_go()
        if self._member is not None and self._member.is_fenced():
            self._books.forget()  # another may have had them since
        await self._committer.commit(with_leases=True)

    async def on_assigned(self, partitions: Sequence[Partition]) -> None:
        """Start from what Kafka has, or go on where we were."""
        self._let_go()
        await self._own(partitions)
        self._is_moving = False

    def _let_go(self) -> None:
        self._is_owning.clear()
        self._committer.hold()
        if self._starting_over is not None:
            self._starting_over.cancel()
            self._starting_over = None

    def _commit_refused(self) -> None:
        """What readers were just told is not accepted must come again: nothing more is said for these ledgers."""
        self._books.forget()
        self._let_go()
        if not self._is_moving and not self._is_closing.is_set():
            self._starting_over = asyncio.create_task(self._start_over(), name=f"start over {self._group}")

    async def _start_over(self) -> None:
        """A refused commit foretells a rebalance. Should none come, go on from what Kafka has."""
        await asyncio.sleep(START_OVER_S)
        log.warning("group_started_over", group=self._group)
        firsts = {p: ledger.first for p, ledger in self._books.ledgers.items() if ledger.first is not None}
        # Without a commit yet, the member would read on, not start again.
        with suppress(KafkaAway):  # closed meanwhile
            await self._own(list(self._books.ledgers), {p: Committed(first, "") for p, first in firsts.items()})

    async def _own(self, partitions: Sequence[Partition], starts: Mapping[Partition, Committed] | None = None) -> None:
        """Take these partitions from their commits, or else from these starts; then let everything go on."""
        member = self._member
        if member is None or self._is_closing.is_set():
            return
        commits = {**(starts or {}), **await member.committed(partitions)}
        for partition, offset in self._books.assign(partitions, commits, self._now()).items():
            member.seek(partition, offset)
        self._trouble = None
        self._paused.clear()
        self._pause([partition for partition, ledger in self._books.ledgers.items() if ledger.is_full])
        self._is_owning.set()
        self._was_assigned = True
        self._committer.go_on()
        held_back, self._held_back = self._held_back, []
        for say in held_back:
            say()
        self._committer.ask()  # whoever waits for a commit looks again
        self._alarm.by(self._books.next_due_s)
        self._serve()

    async def _write(self, commits: Mapping[Partition, Committed]) -> None:
        if self._member is None:
            raise KafkaAway(f"Group {self._group!r} is not joined.")
        await self._member.commit(commits)

    # ---- polls and streams

    async def poll(self, *, max_records: int, wait_s: float) -> Leased | None:
        handout = await self.wait(Waiter(max_records), wait_s)
        if handout is None and not self._was_assigned:
            self._refuse()
            raise KafkaAway(f"Group {self._group!r} could not be joined within {wait_s:g} s. Try again.")
        return handout

    def stream(self, resume: str | None) -> Stream:
        seen = Claim.open(self._signer, resume, group=self._group, kind=Kind.STREAM) if resume else None
        stream = Stream(self, randbits(62) + 1)
        self._streams[stream.id] = stream
        if seen is not None:
            self._when_owning(partial(self._resumed, seen))
        return stream

    async def wait(self, waiter: Waiter, wait_s: float) -> Leased | None:
        """What a poll or a stream gets in time. Cancelled: nothing is leased."""
        self._refuse()
        self._line.join(waiter)
        self._serve()
        try:
            return await waiter.wait(wait_s)
        except asyncio.CancelledError:
            if (handout := waiter.given()) is not None:
                self.release(handout)
            raise
        finally:
            self._line.leave(waiter)

    def _refuse(self) -> None:
        if self._is_closing.is_set():
            raise Draining("The bridge is shutting down. Repeat the request: another one answers.")
        if self._trouble is not None:
            raise again(self._trouble)

    def _serve(self) -> None:
        """Hand out what there is to those who wait."""
        if not self._may_hand_out():
            return
        while self._books.is_ready and (waiter := self._line.first) is not None:
            handout = self._hand_out(waiter)
            if handout is not None:
                waiter.give(handout)

    def _may_hand_out(self) -> bool:
        if not self._is_owning.is_set() or self._is_closing.is_set() or not self._books.is_ready or not self._line:
            return False
        if self._acks.starting:
            return False  # they are let in first; the next fetch, at the latest, serves the others
        return self._member is not None and not self._member.is_fenced()

    def _hand_out(self, waiter: Waiter) -> Leased | None:
        now, settings = self._now(), self._settings
        found = self._books.hand_out(
            records=waiter.max_records, size_bytes=settings.handout_bytes, now=now, stream_id=waiter.stream_id
        )
        if found is None:
            return None
        self._alarm.by(now.s + settings.lease_s)
        records, claim = found
        return Leased(records, "" if self.is_auto else claim.seal(self._signer), claim)

    # ---- what readers say

    def accept(self, handout: Handout) -> None:
        if isinstance(handout, Leased):
            self.settle(handout.claim, handout.claim.held)

    def release(self, handout: Handout) -> None:
        if isinstance(handout, Leased):
            self.give_back(handout.claim, handout.claim.held)

    async def acknowledge(self, token: str, *, accept: Selection, release: Selection, delay_ms: int = 0) -> AckOutcome:
        claim = Claim.open(self._signer, token, group=self._group)
        wish = read_wish(claim, accept, release)
        self._refuse()
        return await self._acks.do(claim, wish, delay_s=delay_ms / 1000, done=self._moved_on)

    def _moved_on(self, wish: Wish) -> None:
        """Something was accepted or released: there may be room to fetch, and something to hand out."""
        paused = [partition for partition in wish.accept if partition in self._paused]
        self._resume([p for p in paused if p in self._books.ledgers and self._books.ledgers[p].has_room])
        if wish.release:
            self._alarm.by(self._books.next_due_s)
        self._serve()

    def settle(self, claim: Claim, held: Held) -> None:
        """Accept without an ack; what is no longer the claim's comes again."""

        def say() -> None:
            self._books.accept(claim, held, self._now())
            self._committer.ask()
            self._moved_on(Wish(held, {}, 0, 0))

        self._when_owning(say)

    def give_back(self, claim: Claim, held: Held) -> None:
        """Let it be handed out again, at once."""

        def say() -> None:
            self._books.release(claim, held, self._now())
            self._serve()

        self._when_owning(say)

    def keep_for_resume(self, claim: Claim) -> None:
        """Give it back, but not before its reader had time to resume."""
        until_s = self._now().s + self._settings.resume_s
        self._books.shorten(claim, until_s)
        self._alarm.by(until_s)

    def _when_owning(self, say: Callable[[], None]) -> None:
        if self._is_owning.is_set():
            say()
        else:
            self._held_back.append(say)

    # ---- streams (`stream.Leases`)

    def mark(self, payload: bytearray) -> str:
        return self._signer.sign(Kind.STREAM, payload)

    def stream_closed(self, stream: Stream) -> None:
        """Forget it, once nobody can resume it."""
        if not stream.is_owing:
            self._streams.pop(stream.id, None)
            return
        keep_s = self._settings.resume_s if self.is_auto else self._settings.lease_s
        asyncio.get_running_loop().call_later(keep_s, self._streams.pop, stream.id, None)

    def _resumed(self, seen: Claim) -> None:
        former = self._streams.pop(seen.stream_id, None)
        if former is not None:
            former.resumed(seen)
        elif self.is_auto:
            self.settle(seen, seen.held)

    def _ring(self) -> None:
        """Something is over: a lease, or a delay."""
        self._books.expire(self._now())
        self._alarm.by(self._books.next_due_s)
        self._serve()

    # ---- to look at

    def state(self) -> GroupState:
        """How the group looks from here, now."""
        ledgers, member, now_s = self._books.ledgers, self._member, self._now().s
        partitions = [
            PartitionState.of(partition, ledger, member.end_offset(partition) if member else None)
            for partition, ledger in ledgers.items()
        ]
        starts = [start_s for ledger in ledgers.values() if (start_s := ledger.oldest_lease_s) is not None]
        return GroupState(
            group=self._group,
            partitions=partitions,
            leased_records=sum(state.leased_records for state in partitions),
            oldest_lease_s=now_s - min(starts) if starts else None,
            waiting=len(self._line),
            streams=sum(stream.is_open for stream in self._streams.values()),
            redeliveries=self._books.redeliveries,
            is_joined=self._is_owning.is_set(),
            is_fenced=self._is_owning.is_set() and member is not None and member.is_fenced(),
            trouble=self._trouble.detail if self._trouble else None,
        )


def again(error: NotNow) -> NotNow:
    """The same refusal for another request: an exception is raised once, since each raise adds to its traceback."""
    return type(error)(error.detail, retry_after_s=error.retry_after_s)
