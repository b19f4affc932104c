"""Several replicas on one scripted control topic, in virtual time, and what their clients saw of the stages."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from proxy.clock import Deadline, now_s
from proxy.errors import KafkaAway, NotNow, NotWritten, OutcomeUnknown
from proxy.migrate.changing import Changing, Done, Wish
from proxy.migrate.chronicle import Replica
from proxy.migrate.control import Control, Terms
from proxy.migrate.stages import Setting, Stage
from proxy.seams.migrate import Missed

ROUTE = "orders"


@dataclass(slots=True)
class Stored:
    """A record of the scripted topic."""

    offset: int
    key: bytes | None
    value: bytes | None
    topic: str = "control"
    partition: int = 0
    timestamp: int = 0
    headers: Sequence[tuple[str, bytes]] = ()


class Line:
    """One replica's way to the topic (`seams.ControlLog`), which can be cut."""

    def __init__(self, records: list[Stored], lag_s: float = 0.005) -> None:
        self.records = records
        self.lag_s = lag_s
        self.is_cut = False
        self.loses_answers = False  # what is written arrives, and the writer is not told
        self._next = 0

    async def open(self) -> None:
        if self.is_cut:
            raise KafkaAway("cut off")

    async def read(self, timeout_s: float) -> Sequence[Stored]:
        until_s = now_s() + timeout_s
        while self.is_cut or self._next == len(self.records):
            if now_s() >= until_s:
                return []
            await asyncio.sleep(self.lag_s)
        found = self.records[self._next :]
        self._next = len(self.records)
        return found

    async def write(self, key: bytes, value: bytes | None, deadline: Deadline) -> None:
        await asyncio.sleep(self.lag_s)
        while self.is_cut:
            if deadline.remaining_s() <= 0:
                raise NotWritten("cut off")
            await asyncio.sleep(0.05)
        self.records.append(Stored(len(self.records), key, value))
        if self.loses_answers:
            await asyncio.sleep(deadline.remaining_s())
            raise OutcomeUnknown("no answer")

    async def close(self) -> None: ...


@dataclass(slots=True)
class Pass:
    """A request that was served: by whom, at which stage, and from when until when."""

    replica: str
    key: bytes | None
    stage: Stage
    epoch: int
    entered_s: float
    left_s: float = float("inf")


class Numbers:
    """Scripted figures (`seams.Figures`)."""

    def __init__(self) -> None:
        self.counts = (0, 0)
        self.gap = Missed(0)
        self.left = 0  # of what a replay that follows was to send while the keys are held

    def shadowed(self, route: str) -> tuple[int, int]:
        return self.counts

    async def missed(self, route: str, deadline: Deadline, *, finish: bool) -> Missed:
        if finish and self.gap.is_followed:
            self.gap = Missed(self.left, is_followed=self.left > 0)
        return self.gap


class Node:
    """One replica. A kill leaves everything as it is, and nobody is told."""

    def __init__(self, name: str, records: list[Stored], terms: Mapping[str, Terms]) -> None:
        self.line = Line(records)
        self.control = Control(self.line, Replica(name, name, 1, 0))
        self.changing = Changing(self.control)
        self.numbers = Numbers()
        self.control.figures = self.numbers
        self.passes: list[Pass] = []
        self.is_dead = False
        self._terms = terms

    async def start(self) -> "Node":
        await self.control.__aenter__()
        self.control.follow(self._terms)
        return self

    async def kill(self) -> None:
        self.is_dead = True
        self.control.joined_s = None  # it says no good-bye
        await self.control.__aexit__()
        for each in self.passes:
            each.left_s = min(each.left_s, now_s())

    async def serve(self, key: bytes, takes_s: float) -> None:
        """One request."""
        with contextlib.suppress(NotNow):
            passage = await self.control.standing(ROUTE).enter(key)
            if self.is_dead:
                return
            mine = Pass(self.control.me.id, key, passage.stage, self.control.standing(ROUTE).epoch, now_s())
            self.passes.append(mine)
            try:
                await asyncio.sleep(takes_s)
            finally:
                mine.left_s = min(mine.left_s, now_s())
                passage.leave()


@dataclass
class World:
    """All replicas there ever were, and every change that came."""

    file: Setting = field(default_factory=lambda: Setting("legacy"))
    records: list[Stored] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)

    async def add(self) -> Node:
        terms = {ROUTE: Terms(self.file)}
        node = Node(f"replica-{len(self.nodes)}", self.records, terms)
        self.nodes.append(node)
        return await node.start()

    @property
    def alive(self) -> list[Node]:
        return [node for node in self.nodes if not node.is_dead]

    async def change(self, node: Node, setting: Setting, **wish: object) -> Done:
        """Raises as `Changing.make` does."""
        done = await node.changing.make(Wish(ROUTE, setting, who="test", **wish))  # type: ignore[arg-type]
        self.done.append(done)
        return done

    async def close(self) -> None:
        for node in self.alive:
            await node.control.__aexit__()

    def check_steps(self) -> None:
        """Each change that came led on from the one before, whoever made it: it was judged by what was in force."""
        history = self.alive[0].control.chronicle.route(ROUTE).history()
        changes = [each.change for each in reversed(history) if each.kind == "activated"]
        assert [str(each.before) for each in changes] == [str(self.file), *(str(each.setting) for each in changes)][:-1]

    def check_keys(self) -> None:
        """No key was served at two stages by replicas that confirmed."""
        for done in self.done:
            change, confirmed = done.outcome.change, set(done.confirmed)
            passes = [each for node in self.nodes for each in node.passes if each.replica in confirmed]
            for before in (each for each in passes if each.epoch < change.epoch):
                if change.before.stage_of(before.key) == change.setting.stage_of(before.key):
                    continue
                for after in (each for each in passes if each.epoch >= change.epoch and each.key == before.key):
                    assert before.left_s <= after.entered_s, (str(change.setting), before, after)
