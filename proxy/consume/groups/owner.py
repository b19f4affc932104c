"""The owning side of one group: this process's member of it, and the books of the partitions that it has.

What happens where: `books.py` knows what is out, `acks.py` takes an ack, `commits.py` commits; the owner drives them
and the member (`seams.GroupMember`), and serves those who take records (`Taker`): this process's own readers first
(`group.py`), then those at its peers, in turn (`lending.py`).

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
from math import inf
from typing import Protocol

from proxy import clock
from proxy.consume.claim import Claim, Held
from proxy.consume.dead.deadletters import DeadLetters
from proxy.consume.groups.acks import Acks
from proxy.consume.groups.alarm import Alarm
from proxy.consume.groups.commits import Committer
from proxy.consume.groups.handout import GroupState, PartitionState
from proxy.consume.groups.moves import Moves
from proxy.consume.groups.settings import GroupSettings
from proxy.consume.groups.wish import Wish
from proxy.consume.partition.books import Books, Now
from proxy.errors import Draining, KafkaAway, NotNow, ProxyError
from proxy.observe.logs import logger
from proxy.record import Fetched, Partition
from proxy.seams.groups import AckOutcome, Committed, Delivery, GroupMap, GroupMember, NewMember
from proxy.seams.produce import Submitter

START_OVER_S = 5.0  # so long a rebalance may take to come after a commit was refused
REJOIN_S = (0.2, 5.0)  # the first pause before joining is tried again, and the longest
NOBODY = GroupMap(0, {}, ())

log = logger("consume")


def read_clocks() -> Now:
    return Now(clock.now_s(), clock.wall_ms())


class Taker(Protocol):
    """Somebody who takes records from an owner."""

    @property
    def room(self) -> int:
        """How many records the next hand-out may have; 0: none is wanted now."""
        ...

    def take(self, records: Sequence[Delivery], claim: Claim) -> None: ...

    def end(self, error: Callable[[], ProxyError] | None) -> None:
        """Nothing will come for now: end its waits, with nothing or with an error, made for each."""
        ...

    def moved(self) -> None:
        """The group's map was drawn anew."""
        ...


class Owner:
    """See the head of this file."""

    def __init__(
        self,
        settings: GroupSettings,
        new_member: NewMember,
        *,
        now: Callable[[], Now] = read_clocks,
        submitter: Submitter | None = None,
    ) -> None:
        """`submitter` writes dead letters, where the settings name a topic for them."""
        self.group = settings.group
        self._settings = settings
        self._new_member = new_member
        self._now = now
        self._member: GroupMember | None = None
        self._books = Books(settings.group, lease_s=settings.lease_s, budget=settings.budget, terms=settings.terms)
        self._committer = Committer(
            settings.group,
            self._books,
            self._write,
            now,
            refused=self._commit_refused,
            interval_s=settings.commit_interval_s,
        )
        self._takers: list[Taker] = []  # the first is this process's own; the others take turns
        self.served_own_s = -inf  # when the first of them last got something
        self._paused: set[Partition] = set()
        self._is_owning = asyncio.Event()
        self._acks = Acks(
            settings.group,
            self._books,
            self._committer,
            is_owning=self._is_owning,
            now=now,
            timeout_s=settings.ack_timeout_s,
            waits=settings.commit_interval_s is None,
        )
        self._dead_letters = (
            DeadLetters(
                settings.group,
                settings.dead_letter,
                self._books,
                submitter,
                is_owning=self._is_owning,
                buried=self._buried,
            )
            if settings.dead_letter is not None and submitter is not None
            else None
        )
        self.moves = Moves(
            settings.group, self._books, self._committer, is_owning=self._is_owning, moved=self._operator_moved
        )
        self._held_back: list[Callable[[], None]] = []  # what readers said while partitions were being moved
        self._alarm = Alarm(self._ring, now)
        self._is_closing = asyncio.Event()
        self._is_moving = False
        self._starting_over: asyncio.Task[None] | None = None
        self._trouble: NotNow | None = None
        self.was_assigned = False  # until then an empty answer would say what nobody knows

    def __repr__(self) -> str:
        state = "closing" if self.is_closing else "owning" if self._is_owning.is_set() else "not joined"
        return f"<Owner group={self.group} {state}, {self._books!r}>"

    @property
    def is_closing(self) -> bool:
        return self._is_closing.is_set()

    @property
    def map(self) -> GroupMap:
        """Who has which partition, as of this member's last assignment."""
        return self._member.map if self._member is not None else NOBODY

    @property
    def member(self) -> GroupMember:
        """Raises KafkaAway while it has not joined."""
        if self._member is None:
            raise KafkaAway(f"Group {self.group!r} is not joined.")
        return self._member

    @property
    def is_owning(self) -> bool:
        """False before the first assignment, and while partitions are being moved."""
        return self._is_owning.is_set()

    @property
    def partitions(self) -> frozenset[Partition]:
        """Those that are ours; while partitions are being moved: were."""
        return frozenset(self._books.ledgers)

    @property
    def now_s(self) -> float:
        """Monotonic seconds."""
        return self._now().s

    def has(self, partition: Partition) -> bool:
        """Whether it is ours; while partitions are being moved: was."""
        return partition in self._books.ledgers

    async def owning(self) -> None:
        """Wait until the partitions are where they are: at once, unless they are being moved."""
        await self._is_owning.wait()

    # ---- the task

    async def run(self) -> None:
        """Join, and fetch until `close`. The app keeps this task; it ends only then, or with an error of ours."""
        tasks = [asyncio.create_task(self._committer.run(), name=f"commit {self.group}")]
        if self._dead_letters is not None:
            tasks.append(asyncio.create_task(self._dead_letters.run(), name=f"dead letters {self.group}"))
        try:
            member = await self._join()
            while not self._is_closing.is_set():
                self._take(
                    await member.fetch(timeout_s=self._settings.fetch_s, max_records=self._settings.fetch_records)
                )
                self.moves.make(member.seek)
        except Exception as exc:
            log.error("group_reader_failed", exc=exc, group=self.group)
            raise
        finally:
            self._trouble = NotNow(f"Reading for group {self.group!r} has ended. Try again later.")
            self._end_takers()
            self._let_go()
            self._alarm.stop()
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _join(self) -> GroupMember:
        pause_s, longest_s = REJOIN_S
        while True:
            member = self._member = self._new_member(self.group, self._settings.topics)
            try:
                await member.open(self)
            except NotNow as exc:
                self._trouble = exc
                self._end_takers(partial(again, exc))
                log.warning("group_not_joined", group=self.group, reason=exc.detail, retry_in_s=pause_s)
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
                self._look_for_dead()
        self.serve()

    def _pause(self, partitions: Sequence[Partition]) -> None:
        if partitions and self._member is not None:
            self._paused.update(partitions)
            self._member.pause(partitions)

    def _resume(self, partitions: Sequence[Partition]) -> None:
        if partitions and self._member is not None:
            self._paused.difference_update(partitions)
            self._member.resume(partitions)

    async def close(self) -> None:
        """Hand out nothing more, commit what is accepted, leave the group. Bounded, repeatable."""
        if self._is_closing.is_set():
            return
        self._is_closing.set()
        self._end_takers()
        if self._is_owning.is_set():
            self._committer.hold()
            try:
                async with asyncio.timeout(self._settings.close_timeout_s):
                    await self._committer.commit(with_leases=True)
            except TimeoutError:
                log.warning("last_commit_not_made", group=self.group)
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
            self._starting_over = asyncio.create_task(self._start_over(), name=f"start over {self.group}")

    async def _start_over(self) -> None:
        """A refused commit foretells a rebalance. Should none come, go on from what Kafka has."""
        await asyncio.sleep(START_OVER_S)
        log.warning("group_started_over", group=self.group)
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
        self.was_assigned = True
        self._committer.go_on()
        held_back, self._held_back = self._held_back, []
        for say in held_back:
            say()
        self._committer.ask()  # whoever waits for a commit looks again
        self._acks.buried()
        self._alarm.by(self._books.next_due_s)
        for taker in self._takers:
            taker.moved()
        self.serve()

    async def _write(self, commits: Mapping[Partition, Committed]) -> None:
        await self.member.commit(commits)

    # ---- records go out

    def add_taker(self, taker: Taker) -> None:
        """Serve it, after those that are there already."""
        self._takers.append(taker)

    def remove_taker(self, taker: Taker) -> None:
        """Harmless if it is not there."""
        if taker in self._takers:
            self._takers.remove(taker)

    def _end_takers(self, error: Callable[[], ProxyError] | None = None) -> None:
        for taker in self._takers:
            taker.end(error)

    def refuse(self) -> None:
        """Raise what a reader must be told instead of being served: Draining, or why the group is not joined."""
        if self._is_closing.is_set():
            raise Draining("The bridge is shutting down. Repeat the request: another one answers.")
        if self._trouble is not None:
            raise again(self._trouble)

    def serve(self) -> None:
        """Hand out what there is to those who want it."""
        while self._may_hand_out() and (taker := self._next_taker()) is not None:
            self._hand_out(taker)

    def _may_hand_out(self) -> bool:
        if not self._books.is_ready or not self._is_owning.is_set() or self._is_closing.is_set():
            return False
        if self._acks.starting:
            return False  # they are let in first; the next fetch, at the latest, serves the others
        return self._member is not None and not self._member.is_fenced()

    def _next_taker(self) -> Taker | None:
        for at, taker in enumerate(self._takers):
            if taker.room > 0:
                if at > 0:
                    self._takers.append(self._takers.pop(at))
                return taker
        return None

    def _hand_out(self, taker: Taker) -> None:
        now, settings = self._now(), self._settings
        found = self._books.hand_out(records=taker.room, size_bytes=settings.handout_bytes, now=now)
        if found is not None:
            self._alarm.by(now.s + settings.lease_s)
            if taker is self._takers[0]:
                self.served_own_s = now.s
            taker.take(*found)

    # ---- what readers say

    async def acknowledge(self, claim: Claim, wish: Wish, *, delay_ms: int = 0) -> AckOutcome:
        """See `seams.GroupReader.acknowledge`: for the partitions that are ours."""
        self.refuse()
        return await self._acks.do(claim, wish, delay_s=delay_ms / 1000, done=self._moved_on)

    def _moved_on(self, wish: Wish) -> None:
        """Something was accepted or released: there may be room to fetch, and something to hand out."""
        self._resume_roomy()
        if wish.release or wish.keep:
            self._alarm.by(self._books.next_due_s)
        self._look_for_dead()
        self.serve()

    def _resume_roomy(self) -> None:
        ledgers = self._books.ledgers
        self._resume([p for p in self._paused if p in ledgers and ledgers[p].has_room])

    def _look_for_dead(self) -> None:
        """Some may have died: they are to be buried."""
        if self._dead_letters is not None and self._books.has_dead:
            self._dead_letters.ask()

    def _buried(self) -> None:
        """Dead letters have been written."""
        self._acks.buried()
        self._committer.ask()
        self.serve()

    def _operator_moved(self) -> None:
        """Partitions go on elsewhere, or without some records: nobody need wait for what was there."""
        self._acks.fetched()
        self._acks.buried()
        self._resume_roomy()
        self._alarm.by(self._books.next_due_s)
        self.serve()

    def settle(self, claim: Claim, held: Held) -> None:
        """Accept without an ack; what is no longer the claim's comes again."""

        def say() -> None:
            self._books.accept(claim, held, self._now())
            self._committer.ask()
            self._moved_on(Wish(held, {}, 0, 0))

        self.when_owning(say)

    def give_back(self, claim: Claim, held: Held, *, undelivered: bool = False) -> None:
        """Let it be handed out again, at once; `undelivered`: it has not been on its way to a client yet."""

        def say() -> None:
            self._books.release(claim, held, self._now(), undelivered=undelivered)
            self._look_for_dead()
            self.serve()

        self.when_owning(say)

    def shorten(self, claim: Claim, for_s: float) -> None:
        """Let the claim's lease end that soon, if it would last longer."""
        until_s = self._now().s + for_s
        self._books.shorten(claim, until_s)
        self._alarm.by(until_s)

    def when_owning(self, say: Callable[[], None]) -> None:
        """Say it now, or as soon as the partitions are where they are."""
        if self._is_owning.is_set():
            say()
        else:
            self._held_back.append(say)

    def _ring(self) -> None:
        """Something is over: a lease, or a delay."""
        self._books.expire(self._now())
        self._alarm.by(self._books.next_due_s)
        self._resume_roomy()
        self._look_for_dead()
        self.serve()

    # ---- to look at

    def state(self, *, waiting: int, streams: int) -> GroupState:
        """How the group looks from here, now; its readers say how many of them wait."""
        ledgers, member, now_s = self._books.ledgers, self._member, self._now().s
        partitions = [
            PartitionState.of(partition, ledger, member.end_offset(partition) if member else None, now_s)
            for partition, ledger in ledgers.items()
        ]
        ages_s = [age_s for state in partitions if (age_s := state.oldest_lease_s) is not None]
        return GroupState(
            group=self.group,
            partitions=partitions,
            leased_records=sum(state.leased_records for state in partitions),
            oldest_lease_s=max(ages_s, default=None),
            waiting=waiting,
            streams=streams,
            redeliveries=self._books.redeliveries,
            rejected=self._books.rejected,
            discarded=self._books.discarded,
            dead_letters=self._books.buried.total(),
            dead_letters_by={str(reason): count for reason, count in self._books.buried.items()},
            renewed=self._books.renewed,
            dead=sum(state.dead for state in partitions),
            is_joined=self._is_owning.is_set(),
            is_fenced=self._is_owning.is_set() and member is not None and member.is_fenced(),
            trouble=self._trouble.detail if self._trouble else None,
        )


def again(error: NotNow) -> NotNow:
    """The same refusal for another request: an exception is raised once, since each raise adds to its traceback."""
    return type(error)(error.detail, retry_after_s=error.retry_after_s)
