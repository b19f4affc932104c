"""Reading for one group: its clients in this process, their polls, streams and acks (`seams.GroupReader`).

A poll or a stream waits in a line; what it gets comes from this process's own partitions (`owner.py`), and what it says
of it goes back to where the partitions are (`Leases`): here, or at a peer.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from secrets import randbits

from proxy.consume.books import Now
from proxy.consume.claim import Claim, Held, Selection, read_wish
from proxy.consume.handout import GroupState, Leased
from proxy.consume.owner import Owner, read_clocks
from proxy.consume.settings import GroupSettings
from proxy.consume.stream import Stream
from proxy.consume.token import Kind, Signer
from proxy.consume.waiting import Line, Waiter
from proxy.errors import KafkaAway, ProxyError
from proxy.seams import AckOutcome, Delivery, Handout, NewMember

__all__ = ["GroupSession", "GroupSettings"]


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
        self.owner = Owner(settings, new_member, now=now)
        self._settings = settings
        self._group = settings.group
        self._signer = signer
        self._line = Line()
        self._streams: dict[int, Stream] = {}  # open ones, and those that may be resumed
        self.owner.add_taker(self)

    def __repr__(self) -> str:
        return f"<GroupSession {len(self._line)} waiting, {len(self._streams)} streams, {self.owner!r}>"

    async def run(self) -> None:
        """Read until `close`. The app keeps this task."""
        await self.owner.run()

    async def close(self) -> None:
        """Hold new polls, end those that wait, commit what is accepted, leave the group. Bounded, repeatable."""
        await self.owner.close()

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
            self.owner.when_owning(partial(self._resumed, seen))
        return stream

    async def wait(self, waiter: Waiter, wait_s: float) -> Leased | None:
        """What a poll or a stream gets in time. Cancelled: nothing is leased."""
        self.owner.refuse()
        self._line.join(waiter)
        self.owner.serve()
        try:
            return await waiter.wait(wait_s)
        except asyncio.CancelledError:
            if (handout := waiter.given()) is not None:
                self.release(handout)
            raise
        finally:
            self._line.leave(waiter)

    # ---- what the owner hands out (`owner.Taker`)

    @property
    def room(self) -> int:
        first = self._line.first
        return first.max_records if first is not None else 0

    def take(self, records: Sequence[Delivery], claim: Claim) -> None:
        waiter = self._line.first
        assert waiter is not None  # there was `room`
        claim = replace(claim, stream_id=waiter.stream_id)
        waiter.give(Leased(records, "" if self.is_auto else claim.seal(self._signer), claim))

    def end(self, error: Callable[[], ProxyError] | None) -> None:
        self._line.end(error)
        if self.owner.is_closing:
            for stream in list(self._streams.values()):
                stream.end()

    def moved(self) -> None: ...

    # ---- what readers say

    def accept(self, handout: Handout) -> None:
        if isinstance(handout, Leased):
            self.settle(handout.claim, handout.claim.held)

    def release(self, handout: Handout) -> None:
        if isinstance(handout, Leased):
            self.give_back(handout.claim, handout.claim.held)

    async def acknowledge(self, token: str, *, accept: Selection, release: Selection, delay_ms: int = 0) -> AckOutcome:
        claim = Claim.open(self._signer, token, group=self._group)
        return await self.owner.acknowledge(claim, read_wish(claim, accept, release), delay_ms=delay_ms)

    # ---- streams (`stream.Leases`)

    def settle(self, claim: Claim, held: Held) -> None:
        self.owner.settle(claim, held)

    def give_back(self, claim: Claim, held: Held) -> None:
        self.owner.give_back(claim, held)

    def keep_for_resume(self, claim: Claim) -> None:
        """Give it back, but not before its reader had time to resume."""
        self.owner.shorten(claim, self._settings.resume_s)

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

    # ---- to look at

    def state(self) -> GroupState:
        """How the group looks from here, now."""
        streams = sum(stream.is_open for stream in self._streams.values())
        return self.owner.state(waiting=len(self._line), streams=streams)
