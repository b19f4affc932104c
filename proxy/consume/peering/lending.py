"""The owner's side between peers: a peer whose clients wait takes records from us, as far as its credit goes.

Credit is *urgent* when somebody waits in vain at the peer. What is not goes to who is here: a peer that has records of
its own for its clients gets none of those for which we have clients ourselves, but one hand-out now and then, so that
slow clients of ours keep nothing to themselves. Records that travel cost twice.

What is on its way to a peer is *carried* until the peer says that a client has it; when the connection breaks before,
it goes back and to the next who wants it. If a client had it all the same, its lease is no longer good for it, which
its ack is told.
"""

from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from proxy.consume.claim import Claim
from proxy.consume.groups.owner import Owner
from proxy.consume.peering import wire
from proxy.errors import ProxyError
from proxy.observe.logs import logger
from proxy.seams.groups import Delivery
from proxy.seams.peers import PeerCaller

OWN_S = 0.1  # so long after a hand-out here we have clients ourselves
TURN_S = 0.25  # so often even then a peer gets one

log = logger("consume")


class Borrower:
    """One peer's clients, as the owner sees them (`owner.Taker`)."""

    def __init__(self, owner: Owner, caller: PeerCaller) -> None:
        self.carried: dict[int, Claim] = {}
        self._owner = owner
        self._caller = caller
        self._hand_outs = 0
        self._records = 0
        self._is_urgent = False
        self._lent_s = -inf  # when it last took something

    def __repr__(self) -> str:
        return f"<Borrower {self._caller.address} for {self._hand_outs} hand-outs, {len(self.carried)} carried>"

    def credit(self, hand_outs: int, records: int, is_urgent: bool) -> None:
        self._hand_outs, self._records, self._is_urgent = hand_outs, records, is_urgent

    @property
    def room(self) -> int:
        if self._hand_outs <= 0:
            return 0
        return self._records if self._is_urgent or self._is_its_turn else 0

    @property
    def _is_its_turn(self) -> bool:
        owner, now_s = self._owner, self._owner.now_s
        return now_s - owner.served_own_s > OWN_S or now_s - self._lent_s > TURN_S

    def take(self, records: Sequence[Delivery], claim: Claim) -> None:
        self._hand_outs -= 1
        self._lent_s = self._owner.now_s
        self.carried[claim.lease_id] = claim
        self._caller.tell(["hand", self._owner.group, wire.from_claim(claim), wire.from_records(records)])

    def end(self, error: Callable[[], ProxyError] | None) -> None: ...
    def moved(self) -> None: ...


class Lending:
    """All peers that read from one owner."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._borrowers: dict[PeerCaller, Borrower] = {}

    def told(self, caller: PeerCaller, kind: str, said: list[Any]) -> None:
        """See `wire.py`."""
        owner = self._owner
        match kind, said:
            case "credit", [hand_outs, records, is_urgent, *_]:
                self._borrower(caller).credit(hand_outs, records, is_urgent)
                owner.serve()
            case "given", [lease_id, *_]:
                self._borrower(caller).carried.pop(lease_id, None)
            case "back", [lease_id, *_]:
                if (claim := self._borrower(caller).carried.pop(lease_id, None)) is not None:
                    owner.give_back(claim, claim.held, undelivered=True)
            case "settle", [claim, held, *_]:
                owner.settle(wire.to_claim(claim), wire.to_held(held))
            case "release", [claim, held, undelivered, *_]:
                owner.give_back(wire.to_claim(claim), wire.to_held(held), undelivered=undelivered)
            case "shorten", [claim, for_s, *_]:
                owner.shorten(wire.to_claim(claim), for_s)
            case _:
                log.warning("peer_message_unknown", peer=caller.address, kind=kind)

    async def acknowledge(self, said: list[Any]) -> list[Any]:
        """A peer's client acknowledges records of ours."""
        claim, wish, delay_ms, *_ = said
        owner = self._owner
        try:
            outcome = await owner.acknowledge(wire.to_claim(claim), wire.to_wish(wish), delay_ms=delay_ms)
        except ProxyError as exc:
            return ["refused", wire.from_error(exc), owner.map.epoch, not owner.is_owning]
        return ["done", wire.from_outcome(outcome)]

    def caller_gone(self, caller: PeerCaller) -> None:
        """What it carried goes to others."""
        borrower = self._borrowers.pop(caller, None)
        if borrower is None:
            return
        self._owner.remove_taker(borrower)
        for claim in borrower.carried.values():
            self._owner.give_back(claim, claim.held, undelivered=True)

    def _borrower(self, caller: PeerCaller) -> Borrower:
        borrower = self._borrowers.get(caller)
        if borrower is None:
            borrower = self._borrowers[caller] = Borrower(self._owner, caller)
            self._owner.add_taker(borrower)
        return borrower
