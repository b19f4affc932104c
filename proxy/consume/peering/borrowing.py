"""The reader's side between peers: while clients of ours want records, the partitions' owners may send some.

An owner gets *credit* for a few hand-outs, so that what arrives there is here at once. It is told whether anybody here
is waiting in vain. If not, all who poll here are served from what is owned here, and the owner lends only what has no
clients over there (`lending.py`): with all clients at one worker, which has records of its own, the partitions of the
others would never be read else. A hand-out that finds nobody waiting is kept for KEPT_S, since a client that polls in a
loop is back by then; then it is handed back. Credit that nobody has wanted for IDLE_S is taken back.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from proxy.consume.claim import Claim
from proxy.consume.peering import wire
from proxy.seams.groups import Delivery
from proxy.seams.peers import PeerLink, Peers

MOST_HAND_OUTS = 8
KEPT_S = 0.025
IDLE_S = 1.0


class Clients(Protocol):
    """Those who wait here (`group.py`)."""

    @property
    def room(self) -> int: ...

    @property
    def waiting(self) -> int: ...

    def take_lent(self, records: Sequence[Delivery], claim: Claim) -> None: ...


class _Kept(NamedTuple):
    link: PeerLink
    records: Sequence[Delivery]
    claim: Claim
    timer: asyncio.TimerHandle


class _Credit(NamedTuple):
    """What an owner has been told."""

    hand_outs: int = 0  # still to come
    records: int = 0  # in each
    is_urgent: bool = False  # somebody waits in vain


class Borrowing:
    """See the head of this file. `owners` tells the addresses of those who have partitions, our own left out."""

    def __init__(self, group: str, peers: Peers, clients: Clients, owners: Callable[[], frozenset[str]]) -> None:
        self._group = group
        self._peers = peers
        self._clients = clients
        self._owners = owners
        self._credit: dict[str, _Credit] = {}  # by owner
        self._kept: dict[int, _Kept] = {}  # by lease
        self._idle: asyncio.TimerHandle | None = None
        self._is_wanted = False

    def __repr__(self) -> str:
        return f"<Borrowing for {self._group} from {self._credit}, {len(self._kept)} kept>"

    def serve(self) -> None:
        """Give those who wait what is kept for them."""
        while self._kept and self._clients.room:
            self._give(self._kept.pop(next(iter(self._kept))))

    def want(self, records: int) -> None:
        """A client wanted so many records; it may have got some by now. Give owners credit."""
        self._is_wanted = True
        if self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._check_idle)
        self._extend(records)

    def _extend(self, records: int) -> None:
        is_urgent = self._clients.room > 0
        if self._kept and not is_urgent:
            return  # more would only be handed back
        hand_outs = min(max(1, self._clients.waiting), MOST_HAND_OUTS) if is_urgent else 1
        records = self._clients.room or records
        for address in self._owners():
            has = self._credit.get(address, _Credit())
            if has.hand_outs < hand_outs or has.records != records or (is_urgent and not has.is_urgent):
                self._grant(address, _Credit(max(has.hand_outs, hand_outs), records, is_urgent))

    def _grant(self, address: str, credit: _Credit) -> None:
        link = self._peers.link(address)
        if link is not None and link.tell(["credit", self._group, *credit]):
            self._credit[address] = credit

    def lent(self, link: PeerLink, kind: str, said: list[Any]) -> None:
        """A hand-out arrived."""
        if kind != "hand":
            return
        has = self._credit.get(link.address, _Credit())
        self._credit[link.address] = has._replace(hand_outs=max(0, has.hand_outs - 1))
        claim, records = wire.to_claim(said[0]), wire.to_records(said[1])
        timer = asyncio.get_running_loop().call_later(KEPT_S, self._return, claim.lease_id)
        kept = _Kept(link, records, claim, timer)
        if self._clients.room >= len(records):
            self._give(kept)
            if self._clients.room:
                self._extend(self._clients.room)
        else:
            self._kept[claim.lease_id] = kept

    def _give(self, kept: _Kept) -> None:
        kept.timer.cancel()
        kept.link.tell(["given", self._group, kept.claim.lease_id])
        self._clients.take_lent(kept.records, kept.claim)

    def _return(self, lease_id: int) -> None:
        kept = self._kept.pop(lease_id)
        kept.timer.cancel()
        kept.link.tell(["back", self._group, lease_id])

    def end(self) -> None:
        """Nobody reads here any more: hand everything back."""
        for lease_id in list(self._kept):
            self._return(lease_id)
        self._withdraw()
        if self._idle is not None:
            self._idle.cancel()

    def _withdraw(self) -> None:
        for address, has in list(self._credit.items()):
            if has.hand_outs:
                self._grant(address, _Credit())
        self._credit.clear()

    def _check_idle(self) -> None:
        self._idle = None
        if self._is_wanted or self._clients.waiting:
            self._is_wanted = False
            self._idle = asyncio.get_running_loop().call_later(IDLE_S, self._check_idle)
        else:
            self._withdraw()

    # ---- connections and owners change

    def redraw(self) -> None:
        """Others may have the partitions now."""
        owners = self._owners()
        for address in self._credit.keys() - owners:
            del self._credit[address]
        self._want_again()

    def _want_again(self) -> None:
        if self._clients.room:
            self.want(self._clients.room)

    def link_up(self, link: PeerLink) -> None:
        self._credit.pop(link.address, None)
        self._want_again()

    def link_down(self, link: PeerLink) -> None:
        """The owner takes back what it lent and we had not given to anybody."""
        self._credit.pop(link.address, None)
        for lease_id, kept in list(self._kept.items()):
            if kept.link is link:
                kept.timer.cancel()
                del self._kept[lease_id]
