"""One group among peers: any worker serves any client (`seams.PeerService`).

The group's own map says who has which partition. Records come to where clients wait (`borrowing.py`, `lending.py`), and
what clients say goes to where the partitions are. While those are being moved, it waits, and is then taken to where
they are: a lease names its records, so an owner can take an ack for what another one handed out; taking it twice does
no harm.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from proxy.consume.claim import Claim, Held
from proxy.consume.groups.control import Control
from proxy.consume.groups.owner import Owner
from proxy.consume.groups.wish import Wish
from proxy.consume.peering import wire
from proxy.consume.peering.borrowing import Borrowing, Clients
from proxy.consume.peering.lending import Lending
from proxy.consume.peering.parting import joined, part_held, part_wish
from proxy.errors import LeaseMoved, NotNow, OutcomeUnknown, PeerAway, ProxyError
from proxy.record import Partition
from proxy.seams.groups import AckOutcome
from proxy.seams.peers import PeerCaller, PeerLink, Peers

RESUME_S = 1.0  # so long peers are asked whether they have a stream


class Sharing:
    """See the head of this file."""

    def __init__(
        self,
        owner: Owner,
        peers: Peers,
        clients: Clients,
        *,
        timeout_s: float,
        resumed: Callable[[Claim], bool],
        control: Control,
    ) -> None:
        """`timeout_s`: for an ack. `resumed`: a stream's client has come back; says whether the stream was here."""
        self._owner = owner
        self._peers = peers
        self._timeout_s = timeout_s
        self._resumed = resumed
        self._control = control
        self._lending = Lending(owner)
        self._borrowing = Borrowing(owner.group, peers, clients, self._owners)
        self._changed = asyncio.Event()  # set and cleared at once: wakes all that wait now
        peers.serve(owner.group, self)

    def __repr__(self) -> str:
        return f"<Sharing {self._owner.group} among {len(self._owner.map.members)}, {self._borrowing!r}>"

    def _owners(self) -> frozenset[str]:
        return frozenset(a for a in self._owner.map.owners.values() if a is not None and a != self._peers.address)

    # ---- our clients

    def serve(self) -> None:
        """See `Borrowing.serve`."""
        self._borrowing.serve()

    def want(self, records: int) -> None:
        """See `Borrowing.want`."""
        self._borrowing.want(records)

    async def acknowledge(self, claim: Claim, wish: Wish, *, delay_ms: int = 0) -> AckOutcome:
        """See `seams.GroupReader.acknowledge`: wherever the partitions are."""
        ack = _Ack(claim, delay_ms)
        self._owner.refuse()
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._at_owners(ack, wish)
        except TimeoutError:
            if ack.unanswered or ack.is_taken:
                raise OutcomeUnknown("The ack was not confirmed in time. Repeat it: that is harmless.") from None
            raise (
                ack.trouble
                or NotNow(
                    f"Group {self._owner.group!r} is waiting for its partitions; nothing was done. Repeat the ack."
                )
            ) from None

    async def _at_owners(self, ack: "_Ack", wish: Wish) -> AckOutcome:
        await self._owner.owning()
        parts = part_wish(wish, self._place) or {self._peers.address: wish}
        if len(parts) == 1:
            [(address, part)] = parts.items()
            return await self._at_owner(ack, address, part)
        done = await asyncio.gather(
            *(self._at_owner(ack, address, part) for address, part in parts.items()), return_exceptions=True
        )
        return joined(list(parts.values()), done)

    def _place(self, partition: Partition) -> str | None:
        """Its owner's address, ours included; None for one that has no owner that we could reach."""
        owners = self._owner.map.owners
        return self._peers.address if self._owner.has(partition) else owners.get(partition)

    async def _at_owner(self, ack: "_Ack", address: str | None, wish: Wish) -> AckOutcome:
        epoch = self._owner.map.epoch
        try:
            if address == self._peers.address:
                with ack.in_doubt():
                    return ack.taken(await self._owner.acknowledge(ack.claim, wish, delay_ms=ack.delay_ms))
            return await self._ask(ack, address, wish)
        except _Elsewhere as exc:
            ack.trouble = exc.why
            newer = max(epoch + exc.is_moving, exc.epoch)
            await self._until(lambda: self._owner.map.epoch >= newer and self._owner.is_owning)
        except LeaseMoved:
            if self._owner.is_owning and self._owner.map.epoch == epoch:
                raise
        except PeerAway as exc:
            ack.trouble = exc
            await self._until(lambda: self._owner.map.epoch != epoch or self._is_up(address))
        return await self._at_owners(ack, wish)

    async def _ask(self, ack: "_Ack", address: str | None, wish: Wish) -> AckOutcome:
        if address is None:
            raise LeaseMoved("The partition has no owner that can be reached from here. Poll again.")
        link = self._peers.link(address)
        if link is None:
            raise PeerAway(f"The peer {address}, which has the partition, is not connected; nothing was done.")
        said = [wire.from_claim(ack.claim), wire.from_wish(wish), ack.delay_ms]
        with ack.in_doubt():
            answer = await link.ask(["ack", self._owner.group, *said])
        match answer:
            case ["done", outcome, *_]:
                return ack.taken(wire.to_outcome(outcome))
            case ["refused", error, epoch, is_moving, *_]:
                raise self._refused(wire.to_error(error), epoch, is_moving)
        raise _Elsewhere(NotNow(f"The peer {address} does not read for the group. Repeat the ack."), 0, is_moving=True)

    def _refused(self, error: ProxyError, epoch: int, is_moving: bool) -> Exception:
        """An owner's refusal counts, unless it may be that it is just no longer, or not yet, the owner."""
        is_current = not is_moving and epoch == self._owner.map.epoch
        if not isinstance(error, LeaseMoved | NotNow) or (isinstance(error, LeaseMoved) and is_current):
            return error
        return _Elsewhere(error, epoch, is_moving=is_moving or isinstance(error, NotNow))

    async def _until(self, true: Callable[[], bool]) -> None:
        """Until it is true of the map or the connections."""
        while not true():
            await self._changed.wait()

    def _is_up(self, address: str | None) -> bool:
        link = self._peers.link(address) if address is not None else None
        return link is not None and link.is_up

    def settle(self, claim: Claim, held: Held) -> None:
        """Accept without an ack; what is no longer the claim's, or cannot be said to its owner, comes again."""

        def say() -> None:
            for address, part in part_held(held, self._place).items():
                if address == self._peers.address:
                    self._owner.settle(claim, part)
                else:
                    self._tell(address, ["settle", self._owner.group, wire.from_claim(claim), wire.from_held(part)])

        self._owner.when_owning(say)

    def give_back(self, claim: Claim, held: Held, *, undelivered: bool = False) -> None:
        """Let it be handed out again, at once."""

        def say() -> None:
            for address, part in part_held(held, self._place).items():
                if address == self._peers.address:
                    self._owner.give_back(claim, part, undelivered=undelivered)
                else:
                    said = [wire.from_claim(claim), wire.from_held(part), undelivered]
                    self._tell(address, ["release", self._owner.group, *said])

        self._owner.when_owning(say)

    def shorten(self, claim: Claim, for_s: float) -> None:
        """Let the claim's lease end that soon, if it would last longer."""
        for address in part_held(claim.held, self._place):
            if address == self._peers.address:
                self._owner.shorten(claim, for_s)
            else:
                self._tell(address, ["shorten", self._owner.group, wire.from_claim(claim), for_s])

    def _tell(self, address: str | None, message: Sequence[Any]) -> None:
        link = self._peers.link(address) if address is not None else None
        if link is not None:
            link.tell(message)

    async def resume(self, seen: Claim) -> bool:
        """Tell the peers that a stream's client is here now. Whether one of them had the stream."""

        async def ask(link: PeerLink) -> bool:
            try:
                async with asyncio.timeout(RESUME_S):
                    return bool(await link.ask(["resume", self._owner.group, wire.from_claim(seen)]))
            except (PeerAway, TimeoutError):
                return False

        links = [link for address in self._owner.map.members if (link := self._peers.link(address)) is not None]
        return any(await asyncio.gather(*map(ask, links)))

    def moved(self) -> None:
        """The map was drawn anew."""
        self._peers.follow(self._owner.group, self._owner.map.members)
        self._wake()
        self._borrowing.redraw()

    def _wake(self) -> None:
        self._changed.set()
        self._changed.clear()

    def close(self) -> None:
        """Borrow and lend nothing more. Repeatable."""
        self._borrowing.end()

    def leave(self) -> None:
        """The group is left."""
        self._peers.leave(self._owner.group, self)

    # ---- what peers say

    def told(self, caller: PeerCaller, message: Any) -> None:
        kind, _, *said = message
        self._lending.told(caller, kind, said)

    async def asked(self, message: Any) -> Any:
        kind, _, *said = message
        match kind:
            case "ack":
                return await self._lending.acknowledge(said)
            case "resume":
                return self._resumed(wire.to_claim(said[0]))
        return await self._control.asked(kind, said)

    def caller_gone(self, caller: PeerCaller) -> None:
        self._lending.caller_gone(caller)

    def lent(self, link: PeerLink, message: Any) -> None:
        kind, _, *said = message
        self._borrowing.lent(link, kind, said)

    def link_up(self, link: PeerLink) -> None:
        self._wake()
        self._borrowing.link_up(link)

    def link_down(self, link: PeerLink) -> None:
        self._borrowing.link_down(link)


class _Ack:
    """One ack on its way."""

    def __init__(self, claim: Claim, delay_ms: int) -> None:
        self.claim = claim
        self.delay_ms = delay_ms
        self.unanswered = 0  # owners that may have taken their part of it
        self.is_taken = False  # an owner has taken its part of it, or something of that
        self.trouble: ProxyError | None = None  # why it is not done yet

    @contextmanager
    def in_doubt(self) -> Iterator[None]:
        """From being asked until it answers, an owner may have taken it; and for good if it never does."""
        self.unanswered += 1
        try:
            yield
        except PeerAway as exc:
            self.unanswered -= not exc.is_sent
            raise
        except Exception:
            self.unanswered -= 1
            raise
        self.unanswered -= 1

    def taken(self, done: AckOutcome) -> AckOutcome:
        self.is_taken = True
        return done


class _Elsewhere(Exception):
    """Whom we asked is not, or not yet, the owner."""

    def __init__(self, why: ProxyError, epoch: int, *, is_moving: bool) -> None:
        super().__init__(why.detail)
        self.why = why
        self.epoch = epoch  # its own map's
        self.is_moving = is_moving
