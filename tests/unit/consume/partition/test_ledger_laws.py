"""Any interleaving of hand-out, accept, release, expiry, commit, owner change and crash keeps the ledger's law:
accepted and committed is never delivered again, not accepted is always delivered again."""

from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.consume.partition.ledger import Ledger, Window
from proxy.consume.partition.progress import MAX_CHARS, decode
from proxy.consume.ranges import Range, Ranges
from tests.unit.consume.records import reads

WINDOW = Window(records=12, size_bytes=1 << 20)
LEASE_S = 30.0


@dataclass(slots=True)
class Token:
    """What a client holds: as in a signed lease, valid at any owner until it ends."""

    lease_id: int
    offsets: list[int]
    ranges: list[Range]
    until_s: float


class OnePartition(RuleBasedStateMachine):
    """A log, one owner after another, a broker that keeps the last commit, and clients with leases."""

    @initialize(start=st.integers(0, 1_000))
    def begin(self, start: int) -> None:
        self.log: list[int] = []
        self.log_end = start
        self.now_s = 100.0
        self.leases = 0
        self.tokens: list[Token] = []
        self.accepted: set[int] = set()  # what this owner took
        self.kept: set[int] = set()  # what Kafka was told of it
        self.commit = (start, "")
        self.held: dict[int, float] = {}  # what is out, and until when nobody else may have it
        self.own(crashed=False)

    # ---- the log

    @rule(gaps=st.lists(st.sampled_from([0, 0, 0, 1, 5]), min_size=1, max_size=6))
    def append(self, gaps: list[int]) -> None:
        for gap in gaps:
            self.log.append(self.log_end + gap)
            self.log_end += gap + 1

    @rule(most=st.integers(1, 8))
    def fetch(self, most: int) -> None:
        if self.ledger.is_full:
            return
        position = self.ledger.position
        assert position is not None
        if records := reads([offset for offset in self.log if offset >= position][:most]):
            self.ledger.take(records)
            self.ledger.expire(self.now_s)

    # ---- readers

    @rule(most=st.integers(1, 6))
    def hand_out(self, most: int) -> None:
        self.leases += 1
        until_s = self.now_s + LEASE_S
        runs = self.ledger.hand_out(self.leases, records=most, size_bytes=1 << 20, now_s=self.now_s, until_s=until_s)
        offsets = [record.offset for run in runs for record in run.records]
        assert offsets == sorted(offsets)
        assert not self.accepted & set(offsets), "what was accepted was delivered again"
        early = [offset for offset in offsets if self.held.get(offset, 0.0) > self.now_s]
        assert not early, "what is out was handed out to another"
        if offsets:
            ranges = list(Ranges((run.start, run.end) for run in runs))
            self.tokens.append(Token(self.leases, offsets, ranges, until_s))
            self.held.update(dict.fromkeys(offsets, until_s))

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), whole=st.booleans())
    def accept(self, data: st.DataObject, whole: bool) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        offsets = token.offsets if whole else data.draw(st.lists(st.sampled_from(token.offsets), unique=True))
        ranges = token.ranges if whole else sorted((offset, offset + 1) for offset in offsets)
        refused = Ranges(self.ledger.accept(token.lease_id, ranges, is_valid=token.until_s > self.now_s))
        taken = {offset for offset in offsets if offset not in refused}
        assert not self.accepted & set(offsets) - taken, "a repeated acceptance was refused"
        self.accepted |= taken
        for offset in taken:
            self.held.pop(offset, None)

    @precondition(lambda self: self.tokens)
    @rule(data=st.data(), delay_s=st.none() | st.floats(0, 50))
    def release(self, data: st.DataObject, delay_s: float | None) -> None:
        token = data.draw(st.sampled_from(self.tokens))
        due_s = None if delay_s is None else self.now_s + delay_s
        is_valid = token.until_s > self.now_s
        if self.ledger.release(token.lease_id, token.ranges, due_s=due_s, is_valid=is_valid):
            for offset in token.offsets:
                self.held.pop(offset, None)

    @rule(seconds=st.sampled_from([0.5, 10.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.ledger.expire(self.now_s)
        due_s = self.ledger.next_due_s
        assert due_s is None or due_s > self.now_s

    # ---- commits and owners

    @rule()
    def write_commit(self) -> None:
        snapshot = self.ledger.snapshot(now_s=self.now_s, now_ms=self.wall_ms())
        assert snapshot is not None
        assert len(snapshot.commit.metadata) <= MAX_CHARS
        assert snapshot.left_out is None
        self.commit = (snapshot.commit.offset, snapshot.commit.metadata)
        self.ledger.committed(snapshot)
        self.kept = set(self.accepted)
        assert self.ledger.is_durable(self.ledger.changes, [])

    @rule()
    def move(self) -> None:
        """The owner makes a last commit; the next one starts from it."""
        self.write_commit()
        self.own(crashed=False)

    @rule()
    def crash(self) -> None:
        """The next owner starts from what was committed last, however old."""
        self.own(crashed=True)

    @rule(data=st.data())
    def reset(self, data: st.DataObject) -> None:
        """Someone moves the group with Kafka's own tools, which may or may not clear the metadata."""
        offset = data.draw(st.sampled_from([self.commit[0], *self.log, self.log_end]))
        moved = offset != self.commit[0]
        self.commit = (offset, data.draw(st.sampled_from([self.commit[1], ""])) if moved else self.commit[1])
        if moved:
            self.kept = {member for member in self.log if member < offset}
        self.tokens = [] if moved else self.tokens  # the group was empty: their time is over
        self.own(crashed=True)

    def own(self, *, crashed: bool) -> None:
        progress = decode(*self.commit)
        fence_s = progress.fence.until_ms / 1000 if progress.fence else 0.0
        self.ledger = Ledger(progress, window=WINDOW, fence_until_s=fence_s)
        self.accepted = set(self.kept)
        if crashed:
            self.held = {}  # such records may be seen twice

    def wall_ms(self) -> int:
        return int(self.now_s * 1000)

    # ---- always

    @invariant()
    def commits_stop_at_the_lowest_open(self) -> None:
        low = self.ledger.low
        assert low is not None
        missing = [offset for offset in self.log if offset < low and offset not in self.accepted]
        assert not [offset for offset in missing if offset >= self.commit[0]], "the commit passed what is open"

    @invariant()
    def the_books_agree(self) -> None:
        runs = list(self.ledger._runs())
        assert self.ledger.open_records == sum(len(run.records) for run in runs)
        assert self.ledger.open_bytes == sum(run.size_bytes for run in runs)

    def teardown(self) -> None:
        """Whatever happened: what is not accepted comes, once, and then all is settled."""
        if not hasattr(self, "ledger"):
            return
        start = self.commit[0]
        awaited = [offset for offset in self.log if offset >= start and offset not in self.accepted]
        came: list[int] = []
        for _ in range(200):
            self.now_s += 60.0
            self.fetch(8)
            self.ledger.expire(self.now_s)
            self.leases += 1
            runs = self.ledger.hand_out(
                self.leases, records=50, size_bytes=1 << 20, now_s=self.now_s, until_s=self.now_s + LEASE_S
            )
            came += [record.offset for run in runs for record in run.records]
            self.ledger.accept(self.leases, [(run.start, run.end) for run in runs])
        assert sorted(came) == awaited
        assert self.ledger.open_records == 0
        assert self.ledger.low == max([start, *[offset + 1 for offset in self.log if offset >= start]])


TestOnePartition = OnePartition.TestCase
