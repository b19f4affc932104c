"""Any interleaving of what readers, Kafka and operators do to the books of a group keeps their laws:

what is accepted and committed is never delivered again; what is not is always delivered again, or buried; nobody gets
what another has; and the terms of the group hold: the order of its keys, how much is out, how often.
"""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.consume.claim import Claim
from proxy.consume.partition.books import Books, Budget, Now, Refused
from proxy.consume.partition.ledger import Ledger
from proxy.consume.partition.terms import Reason, Terms
from proxy.consume.ranges import Range, Ranges
from proxy.seams.groups import Committed
from tests.unit.consume.records import ORDERS, Read

LEASE_S, LONG_S = 30.0, 300.0
EARLY_S = 0.01  # clocks are told in whole milliseconds
BUDGET = Budget(records=12, size_bytes=1 << 20)
TERMS = st.builds(
    Terms,
    order=st.sampled_from(["none", "key", "key", "partition"]),
    max_in_flight=st.sampled_from([None, None, 1, 3]),
    max_deliveries=st.sampled_from([None, 1, 2, 3]),
    buries=st.just(True),
) | st.builds(Terms, order=st.sampled_from(["none", "key"]))
KEYS = st.lists(st.sampled_from([b"a", b"a", b"b", None]), min_size=1, max_size=6)


@dataclass(slots=True, eq=False)
class Token:
    """What a client holds. It may say something of it at any time, to any owner."""

    claim: Claim
    offsets: list[int]


class OnePartition(RuleBasedStateMachine):
    """A log, one owner after another, a broker that keeps the last commit, clients with leases, a dead-letter topic."""

    @initialize(start=st.integers(0, 1_000), terms=TERMS, keys=KEYS)
    def begin(self, start: int, terms: Terms, keys: list[bytes | None]) -> None:
        self.terms = terms
        self.log: dict[int, bytes | None] = {}  # keys by offset
        self.log_end = start
        self.now_s = 100.0
        self.tokens: list[Token] = []
        self.done: set[int] = set()  # settled at this owner: accepted, buried, discarded, skipped
        self.kept: set[int] = set()  # what Kafka was told of it
        self.rejected: set[int] = set()
        self.commit = Committed(start, "")
        self.out: dict[int, tuple[Token, float]] = {}  # what is out with whom, and until when nobody else may have it
        self.counts: dict[int, int] = {}  # deliveries, where they must be known
        self.own()
        self.append(keys, 0)

    @property
    def now(self) -> Now:
        return Now(self.now_s, int(self.now_s * 1000))

    @property
    def ledger(self) -> Ledger:
        return self.books.ledgers[ORDERS]

    # ---- the log

    @rule(keys=KEYS, gap=st.integers(0, 3))
    def append(self, keys: list[bytes | None], gap: int) -> None:
        self.log_end += gap
        for key in keys:
            self.log[self.log_end] = key
            self.counts[self.log_end] = 0
            self.log_end += 1

    @rule(most=st.integers(1, 8))
    def fetch(self, most: int) -> None:
        position = self.ledger.position
        assert position is not None
        offsets = [offset for offset in self.log if offset >= position][:most]
        if offsets and not self.ledger.is_full:
            self.books.take([Read(*ORDERS, offset, key=self.log[offset]) for offset in offsets], self.now)

    # ---- readers

    @rule(most=st.integers(1, 6), is_fetching=st.booleans())
    def hand_out(self, most: int, is_fetching: bool) -> None:
        if is_fetching:
            self.fetch(8)
        found = self.books.hand_out(records=most, size_bytes=1 << 20, now=self.now)
        if found is None:
            return
        records, claim = found
        offsets = [record.offset for record, _ in records]
        assert offsets == sorted(offsets)
        assert len(offsets) <= most
        assert not self.done & set(offsets), "what was settled was delivered again"
        assert not self.ledger.dead.keys() & set(offsets), "what is dead was delivered again"
        assert not [offset for offset in offsets if offset in self.out], "what is out was handed out to another"
        for record, deliveries in records:
            expected = self.counts.get(record.offset)
            assert expected is None or deliveries == expected + 1
            assert self.terms.max_deliveries is None or deliveries <= self.terms.max_deliveries
            self.counts[record.offset] = deliveries
        self.terms_hold_for(offsets)
        token = Token(claim, offsets)
        self.tokens.append(token)
        self.issued.append(token)
        self.out.update(dict.fromkeys(offsets, (token, self.now_s + LEASE_S)))

    def terms_hold_for(self, offsets: list[int]) -> None:
        living = [each for each in self.log if each >= self.commit.offset and each not in self.done | self.dead]
        if self.terms.order == "key":
            keys = [self.log[offset] for offset in offsets if self.log[offset] is not None]
            assert len(keys) == len(set(keys)), "two of one key went out together"
            assert not {self.log[offset] for offset in self.out} & set(keys), "another of its key is out"
            for offset in offsets:
                key = self.log[offset]
                ahead = [each for each in living if each < offset and key is not None and self.log[each] == key]
                assert not ahead, "one of its key was overtaken"
        if self.terms.order == "partition":
            assert not self.out, "another lease is out"
            assert offsets == living[: len(offsets)], "one was overtaken"
        most = self.terms.max_in_flight
        assert most is None or len(self.out) + len(offsets) <= most

    @property
    def dead(self) -> set[int]:
        return set(self.ledger.dead)

    def draw_some(self, data: st.DataObject) -> tuple[Token, list[int], list[Range]]:
        token = data.draw(st.sampled_from(self.tokens))
        if data.draw(st.booleans()):
            return token, token.offsets, list(token.claim.held[ORDERS])
        offsets = data.draw(st.lists(st.sampled_from(token.offsets), unique=True))
        return token, offsets, list(Ranges((offset, offset + 1) for offset in offsets))

    def taken(self, refused: Refused, offsets: list[int]) -> set[int]:
        no = Ranges(refused.expired.get(ORDERS, ()))
        assert not refused.moved
        return {offset for offset in offsets if offset not in no}

    def no_longer_out(self, token: Token, offsets: Any) -> None:
        for offset in offsets:
            if self.out.get(offset, (None,))[0] is token:
                del self.out[offset]

    @rule(seconds=st.sampled_from([0.5, 10.0, 31.0]), most=st.integers(1, 6))
    def wait_and_hand_out(self, seconds: float, most: int) -> None:
        self.wait(seconds)
        self.hand_out(most, True)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def accept(self, data: st.DataObject) -> None:
        token, offsets, ranges = self.draw_some(data)
        taken = self.taken(self.books.accept(token.claim, {ORDERS: ranges}, self.now), offsets)
        assert not self.done & set(offsets) - taken, "a repeated acceptance was refused"
        assert not taken & self.dead
        holders = {offset: self.out[offset][0] for offset in taken - self.done if offset in self.out}
        others = {offset for offset, holder in holders.items() if holder is not token and holder in self.issued}
        assert not others, "a lease accepted what is out with another of the same owner"
        self.done |= taken
        for offset in taken:
            self.out.pop(offset, None)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def reject(self, data: st.DataObject) -> None:
        token, offsets, ranges = self.draw_some(data)
        taken = self.taken(self.books.reject(token.claim, {ORDERS: ranges}, self.now), offsets) - self.done
        if self.terms.buries:
            assert taken <= self.dead
            self.rejected |= taken
        else:
            self.done |= taken
        self.no_longer_out(token, taken)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), delay_s=st.sampled_from([0.0, 0.0, 5.0, 50.0]))
    def release(self, data: st.DataObject, delay_s: float) -> None:
        token, offsets, ranges = self.draw_some(data)
        self.let_go(token, offsets)
        self.books.release(token.claim, {ORDERS: ranges}, self.now, delay_s=delay_s)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data())
    def return_undelivered(self, data: st.DataObject) -> None:
        """No client has ever seen the token: nothing more will be said of it."""
        token = data.draw(st.sampled_from(self.tokens))
        self.tokens.remove(token)
        for offset in self.let_go(token, token.offsets):
            if offset in self.counts:
                self.counts[offset] -= 1
        self.books.release(token.claim, {ORDERS: list(token.claim.held[ORDERS])}, self.now, undelivered=True)

    def let_go(self, token: Token, offsets: list[int]) -> list[int]:
        """What is out with it, or with what an owner cannot tell from it, waits again."""
        gone = [offset for offset in offsets if offset in self.out and self.is_the_same_to_the_owner(token, offset)]
        if not all(offset < (self.ledger.position or 0) for offset in gone):
            self.counts = {}  # said before it was fetched here: acks wait for that, and this test does not
        for offset in gone:
            del self.out[offset]
        return gone

    def is_the_same_to_the_owner(self, token: Token, offset: int) -> bool:
        """It does not know the leases of former owners by name: any that is not over speaks for all."""
        holder, _ = self.out[offset]
        formers = {id(holder), id(token)}.isdisjoint(map(id, self.issued)) and token.claim.until_ms > self.now.ms
        return holder is token or formers

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), for_s=st.sampled_from([1.0, LEASE_S, LONG_S]))
    def renew(self, data: st.DataObject, for_s: float) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        until_s = self.now_s + for_s
        held = {ORDERS: list(token.claim.held[ORDERS])}
        count, _ = self.books.renew(token.claim, held, self.now, until_s)
        mine = [offset for offset in token.offsets if self.out.get(offset, (None,))[0] is token]
        if not count:
            return
        self.out.update(dict.fromkeys(mine, (token, until_s)))
        token.claim = replace(token.claim, until_ms=self.now.wall_ms(until_s))

    @rule(seconds=st.sampled_from([0.5, 10.0, 31.0, 301.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.books.expire(self.now)
        due_s = self.books.next_due_s
        assert due_s is None or due_s > self.now_s
        self.out = {offset: each for offset, each in self.out.items() if each[1] > self.now_s + EARLY_S}

    # ---- the dead

    @rule(data=st.data())
    def bury(self, data: st.DataObject) -> None:
        dead = self.books.dead(100)
        for burial in data.draw(st.lists(st.sampled_from(dead), unique_by=id, min_size=1)) if dead else ():
            offset = burial.run.records[0].offset
            most = self.terms.max_deliveries
            assert (burial.reason is Reason.REJECTED and offset in self.rejected) or (
                most is not None and burial.run.deliveries >= most
            )
            self.books.bury(burial)
            self.done.add(offset)

    # ---- an operator

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def skip(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from(sorted(self.log)))
        was_open = offset >= (self.ledger.low or 0) and offset not in self.done
        assert self.books.skip(ORDERS, offset) == was_open
        self.done |= {offset} if was_open else set()
        self.out.pop(offset, None)

    @precondition(lambda self: self.log)
    @rule(data=st.data())
    def seek(self, data: st.DataObject) -> None:
        offset = data.draw(st.sampled_from([*self.log, self.log_end]))
        former = self.tokens
        assert self.books.seek(ORDERS, offset)
        self.done = {each for each in self.log if each < offset}
        self.tokens, self.out, self.rejected = [], {}, set()
        self.counts = dict.fromkeys([each for each in self.log if each >= offset], 0)
        self.commit = replace(self.commit, offset=min(offset, self.commit.offset))
        for token in former:
            refused = self.books.accept(token.claim, {ORDERS: list(token.claim.held[ORDERS])}, self.now)
            taken = self.taken(refused, token.offsets)
            assert not {each for each in taken if each >= offset}, "a lease from before was taken"
        self.commit_now()

    # ---- commits and owners

    @rule(outcome=st.sampled_from(["ok", "ok", "lost", "away", "refused"]))
    def commit_now(self, outcome: str = "ok", *, is_last: bool = False) -> None:
        """`lost`: Kafka has it, and its answer was lost. `away`: it has not. `refused`: the group has moved on."""
        snapshots = self.books.snapshots(self.now, with_leases=is_last)
        if outcome == "refused":
            self.books.forget()
            self.assign()
            self.forgotten()
        if outcome in ("away", "refused") or not snapshots:
            return
        _, snapshot = snapshots[ORDERS]
        assert snapshot.left_out is None
        self.commit = snapshot.commit
        self.kept = set(self.done)
        if outcome == "ok":
            self.books.committed(snapshots)
        else:
            self.books.unanswered(snapshots)

    @rule()
    def move(self) -> None:
        """The owner makes a last commit, and another goes on: nothing of it is seen."""
        self.commit_now(is_last=True)
        self.own()

    @rule()
    def come_back(self) -> None:
        """The partition goes in a rebalance, and returns."""
        self.commit_now(is_last=True)
        self.assign()

    @rule()
    def crash(self) -> None:
        """The next owner starts from what was committed last, however old."""
        self.own()
        self.forgotten()

    def own(self) -> None:
        self.issued: list[Token] = []  # by this owner; it cannot tell those of former ones apart
        self.books = Books("pricing", lease_s=LEASE_S, budget=BUDGET, terms=self.terms)
        self.assign()

    def assign(self) -> None:
        self.books.assign([ORDERS], {ORDERS: self.commit}, self.now)
        self.ledger.window = replace(self.ledger.window, records=BUDGET.records)

    def forgotten(self) -> None:
        """What was out, dead or counted may not be known any more: such records may be seen twice."""
        self.done, self.out, self.counts, self.rejected = set(self.kept), {}, {}, set()

    # ---- always

    @invariant()
    def commits_stop_at_the_lowest_open(self) -> None:
        low = self.ledger.low
        assert low is not None
        passed = [each for each in self.log if self.commit.offset <= each < low and each not in self.done]
        assert not passed, "the commit passed what is open"

    @invariant()
    def the_books_agree(self) -> None:
        runs = list(self.ledger._living())
        assert self.ledger.open_records == sum(len(run.records) for run in runs)
        assert self.ledger.open_bytes == sum(run.size_bytes for run in runs)
        assert self.ledger.leased_records == sum(len(run.records) for run in self.ledger._leases.runs())
        offsets = [record.offset for run in self.ledger._runs() for record in run.records]
        assert len(offsets) == len(set(offsets)), "a record is in two places"

    def teardown(self) -> None:
        """Whatever happened: what is not settled comes, once, or is buried, and then all is settled."""
        if not hasattr(self, "books"):
            return
        awaited = [each for each in self.log if each >= self.commit.offset and each not in self.done]
        came: list[int] = []
        for _ in range(200):
            self.wait(60.0)
            self.fetch(8)
            self.books.expire(self.now)
            found = self.books.hand_out(records=50, size_bytes=1 << 20, now=self.now)
            if found is not None:
                came += [record.offset for record, _ in found[0]]
                self.books.accept(found[1], found[1].held, self.now)
            for burial in self.books.dead(100):
                came.append(burial.run.records[0].offset)
                self.books.bury(burial)
        assert sorted(came) == awaited
        assert self.ledger.open_records == 0
        assert self.ledger.low == max([self.commit.offset, *[each + 1 for each in self.log]])


TestOnePartition = OnePartition.TestCase
pytestmark = pytest.mark.timeout(400)  # its long form is that of a busy machine
