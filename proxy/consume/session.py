"""Reading for one group: its clients in this process, their polls, streams and acks (`seams.GroupReader`).

A poll or a stream waits in a line; what it gets comes from the partitions that this process owns (`groups/owner.py`),
or from peers that own others (`peering/sharing.py`), and what it says of it goes back to where they are.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from secrets import randbits
from typing import Protocol

from proxy.consume.claim import Claim, Held
from proxy.consume.groups.control import Control
from proxy.consume.groups.handout import GroupState, Leased
from proxy.consume.groups.owner import Owner, read_clocks
from proxy.consume.groups.settings import GroupSettings
from proxy.consume.groups.stream import Stream
from proxy.consume.groups.waiting import Line, Waiter
from proxy.consume.groups.wish import Selection, Wish, read_wish
from proxy.consume.partition.books import Now
from proxy.consume.peering.sharing import Sharing
from proxy.consume.token import Kind, Signer
from proxy.errors import KafkaAway, ProxyError
from proxy.seams.groups import AckOutcome, Delivery, Handout, NewMember
from proxy.seams.peers import Peers
from proxy.seams.produce import Submitter
from proxy.tasks import Tasks

__all__ = ["GroupSession", "GroupSettings"]


class Desk(Protocol):
    """Where it is said what became of records: to their owner here, or to whoever has them."""

    async def acknowledge(self, claim: Claim, wish: Wish, *, delay_ms: int = 0) -> AckOutcome: ...
    def settle(self, claim: Claim, held: Held) -> None: ...
    def give_back(self, claim: Claim, held: Held, *, undelivered: bool = False) -> None: ...
    def shorten(self, claim: Claim, for_s: float) -> None: ...


class GroupSession:
    """See the head of this file."""

    def __init__(
        self,
        settings: GroupSettings,
        new_member: NewMember,
        signer: Signer,
        *,
        now: Callable[[], Now] = read_clocks,
        peers: Peers | None = None,
        submitter: Submitter | None = None,
    ) -> None:
        """Without `peers` it serves what this process owns; the group should have no other member then.

        `submitter` writes dead letters, where the settings name a topic for them.
        """
        self.is_auto = settings.ack == "auto"
        self.owner = Owner(settings, new_member, now=now, submitter=submitter)
        self._settings = settings
        self._group = settings.group
        self._signer = signer
        self._line = Line()
        self._tasks = Tasks()
        self._was_lent = False  # the last hand-out came from a peer
        self._streams: dict[int, Stream] = {}  # open ones, and those that may be resumed
        self.control = Control(self.owner, peers, self.state)
        self._sharing = (
            Sharing(
                self.owner,
                peers,
                self,
                timeout_s=settings.ack_timeout_s,
                resumed=self._resume_here,
                control=self.control,
            )
            if peers is not None
            else None
        )
        self._desk: Desk = self._sharing or self.owner
        self.owner.add_taker(self)

    def __repr__(self) -> str:
        return f"<GroupSession {len(self._line)} waiting, {len(self._streams)} streams, {self.owner!r}>"

    async def run(self) -> None:
        """Read until `close`. The app keeps this task."""
        await self.owner.run()

    async def close(self) -> None:
        """Hold new polls, end those that wait, commit what is accepted, leave the group. Bounded, repeatable."""
        if self._sharing is not None:
            self._sharing.close()
        await self.owner.close()
        if self._sharing is not None:
            self._sharing.leave()

    # ---- polls and streams

    async def poll(self, *, max_records: int, wait_s: float) -> Leased | None:
        handout = await self.wait(Waiter(max_records), wait_s)
        if handout is None and not self.owner.was_assigned:
            self.owner.refuse()
            raise KafkaAway(f"Group {self._group!r} could not be joined within {wait_s:g} s. Try again.")
        return handout

    def stream(self, resume: str | None) -> Stream:
        seen = Claim.open(self._signer, resume, group=self._group, kind=Kind.STREAM) if resume else None
        stream = Stream(self, randbits(62) + 1)
        self._streams[stream.id] = stream
        if seen is not None:
            self.owner.when_owning(partial(self._resume, seen))
        return stream

    async def wait(self, waiter: Waiter, wait_s: float) -> Leased | None:
        """What a poll or a stream gets in time. Cancelled: nothing is leased."""
        self.owner.refuse()
        self._line.join(waiter)
        if self._sharing is None:
            self.owner.serve()
        else:
            self._serve_in_turn(self._sharing)
            self._sharing.want(waiter.max_records)
        try:
            return await waiter.wait(wait_s)
        except asyncio.CancelledError:
            if (handout := waiter.given()) is not None:
                self.release(handout, undelivered=True)
            raise
        finally:
            self._line.leave(waiter)

    def _serve_in_turn(self, sharing: Sharing) -> None:
        """So that neither what is owned here nor what is owned elsewhere has to wait."""
        if self._was_lent:
            self._was_lent = False
        else:
            sharing.serve()
        self.owner.serve()
        sharing.serve()

    # ---- what owners hand out (`owner.Taker`, `borrowing.Clients`)

    @property
    def waiting(self) -> int:
        """Polls and streams that wait."""
        return len(self._line)

    @property
    def room(self) -> int:
        first = self._line.first
        return first.max_records if first is not None else 0

    def take(self, records: Sequence[Delivery], claim: Claim) -> None:
        waiter = self._line.first
        assert waiter is not None  # there was `room`
        claim = replace(claim, stream_id=waiter.stream_id)
        waiter.give(Leased(records, "" if self.is_auto else claim.seal(self._signer), claim))

    def take_lent(self, records: Sequence[Delivery], claim: Claim) -> None:
        self._was_lent = True
        self.take(records, claim)

    def end(self, error: Callable[[], ProxyError] | None) -> None:
        self._line.end(error)
        if self.owner.is_closing:
            for stream in list(self._streams.values()):
                stream.end()

    def moved(self) -> None:
        if self._sharing is not None:
            self._sharing.moved()

    # ---- what readers say

    def accept(self, handout: Handout) -> None:
        if isinstance(handout, Leased):
            self.settle(handout.claim, handout.claim.held)

    def release(self, handout: Handout, *, undelivered: bool = False) -> None:
        if isinstance(handout, Leased):
            self._desk.give_back(handout.claim, handout.claim.held, undelivered=undelivered)

    async def acknowledge(
        self,
        token: str,
        *,
        accept: Selection,
        release: Selection,
        reject: Selection = None,
        delay_ms: int = 0,
        renew_ms: int = 0,
    ) -> AckOutcome:
        claim = Claim.open(self._signer, token, group=self._group)
        wish = read_wish(claim, accept, release, reject, renew_ms=renew_ms)
        done = await self._desk.acknowledge(claim, wish, delay_ms=delay_ms)
        if not done.until_ms:
            return done
        renewed = replace(claim, held=wish.keep, records=done.renewed, until_ms=done.until_ms)
        return replace(done, lease=renewed.seal(self._signer))

    # ---- streams (`stream.Leases`)

    def settle(self, claim: Claim, held: Held) -> None:
        self._desk.settle(claim, held)

    def give_back(self, claim: Claim, held: Held) -> None:
        self._desk.give_back(claim, held)

    def keep_for_resume(self, claim: Claim) -> None:
        """Give it back, but not before its reader had time to resume."""
        self._desk.shorten(claim, self._settings.resume_s)

    def mark(self, payload: bytearray) -> str:
        return self._signer.sign(Kind.STREAM, payload)

    def stream_closed(self, stream: Stream) -> None:
        """Forget it, once nobody can resume it."""
        if not stream.is_owing:
            self._streams.pop(stream.id, None)
            return
        keep_s = self._settings.resume_s if self.is_auto else self._settings.lease_s
        asyncio.get_running_loop().call_later(keep_s, self._streams.pop, stream.id, None)

    def _resume(self, seen: Claim) -> None:
        """A client is back with the last event that it saw: of a stream of ours, of a peer's, or of one that died."""
        if self._resume_here(seen):
            return
        if self._sharing is not None:
            self._tasks.begin(self._resume_elsewhere(self._sharing, seen), name=f"resume {self._group}")
        elif self.is_auto:
            self.settle(seen, seen.held)

    async def _resume_elsewhere(self, sharing: Sharing, seen: Claim) -> None:
        if not await sharing.resume(seen) and self.is_auto:
            self.settle(seen, seen.held)

    def _resume_here(self, seen: Claim) -> bool:
        """Whether the stream was ours."""
        former = self._streams.pop(seen.stream_id, None)
        if former is None:
            return False
        former.resumed(seen)
        return True

    # ---- to look at

    def state(self) -> GroupState:
        """How the group looks from here, now."""
        streams = sum(stream.is_open for stream in self._streams.values())
        return self.owner.state(waiting=len(self._line), streams=streams)
