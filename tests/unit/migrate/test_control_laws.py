"""What holds whatever happens: any interleaving of changes, replicas cut off, killed and joining, and key traffic."""

import asyncio
import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy import clock
from proxy.errors import ProxyError
from proxy.migrate.stages import STAGES, Setting, forbidden
from tests.unit.consume.virtual import VirtualLoop
from tests.unit.migrate.world import ROUTE, Node, World

SETTINGS = (Setting("legacy"), *(Setting(stage, share) for stage in STAGES[1:] for share in (2_500, 5_000, 10_000)))
WHICH = st.integers(0, 9)  # of those that live, modulo their number
PAUSES_S = st.sampled_from((0.0, 0.003, 0.3, 1.0, 2.0, 4.0, 7.0))
TOOK_S = st.sampled_from((0.0, 0.1, 0.5, 1.5, 3.0))
DEEDS = st.one_of(
    st.tuples(st.just("change"), WHICH, WHICH),
    st.tuples(st.just("change"), WHICH, WHICH),
    st.tuples(st.just("change"), WHICH, WHICH),
    st.tuples(st.sampled_from(("cut", "deafen", "heal", "kill", "join")), WHICH, st.none()),
    st.tuples(st.just("serve"), WHICH, st.tuples(st.sampled_from(KEYS := (b"a", b"b", b"c")), TOOK_S)),
)
STORIES = st.lists(st.tuples(PAUSES_S, DEEDS), min_size=4, max_size=14)


class Story:
    """A world in which these deeds happen, each after its pause, and requests come all the while."""

    def __init__(self) -> None:
        self.world = World(Setting("legacy"))
        self._tasks: set[asyncio.Task[object]] = set()

    async def tell(self, story: list[tuple[float, tuple[str, int, object]]]) -> None:
        for _ in range(3):
            await self.world.add()
        self._also(self._traffic())
        await asyncio.sleep(1.5)
        for pause_s, (what, which, more) in story:
            await asyncio.sleep(pause_s)
            await self._do(what, self.world.alive[which % len(self.world.alive)], more)
        await self._end()

    async def _do(self, what: str, node: Node, more: object) -> None:
        match what, more:
            case "change", int() as number:
                self._also(self._change(node, number))
            case "serve", (bytes() as key, float() as takes_s):
                self._also(node.serve(key, takes_s))
            case "cut", _:
                node.line.is_cut = True
            case "deafen", _:
                node.line.loses_answers = True
            case "heal", _:
                node.line.is_cut = node.line.loses_answers = False
            case "kill", _ if len(self.world.alive) > 1:
                await node.kill()
            case "join", _ if len(self.world.nodes) < 6:
                await self.world.add()

    async def _change(self, node: Node, number: int) -> None:
        """To one of the settings that are a step from where it is."""
        known = {each.control.me.id for each in self.world.nodes if each.control.me.number}
        now = node.control.standing(ROUTE).setting
        near = [each for each in SETTINGS if each != now and forbidden(now, each) is None]
        with contextlib.suppress(ProxyError):
            done = await self.world.change(node, near[number % len(near)])
            named = {*done.confirmed, *done.unconfirmed}
            assert known & node.control.chronicle.replicas.keys() <= named, (known, named)

    async def _traffic(self) -> None:
        number = 0
        while True:
            for node in self.world.alive:
                number += 1
                self._also(node.serve(KEYS[number % 3], 0.07 * (number % 7)))
            await asyncio.sleep(0.09)

    async def _end(self) -> None:
        """All is well again; then all are at one stage, and no one is held."""
        for node in self.world.alive:
            node.line.is_cut = node.line.loses_answers = False
        await asyncio.sleep(30)
        standings = [node.control.standing(ROUTE) for node in self.world.alive]
        assert len({(each.setting, each.epoch) for each in standings}) == 1, standings
        assert all(each.coming is None and each.is_known and not each.waiting for each in standings), standings
        for task in self._tasks:
            if task.done():
                task.result()
            task.cancel()
        await self.world.close()
        self.world.check_keys()
        self.world.check_steps()
        epochs = [done.outcome.change.epoch for done in self.world.done]
        assert len(set(epochs)) == len(epochs), "two changes of one number came"

    def _also(self, work: object) -> None:
        task: asyncio.Task[object] = asyncio.create_task(work)  # type: ignore[arg-type]
        self._tasks.add(task)


@settings(max_examples=max(10, settings().max_examples // 50))  # each is minutes of many tasks
@pytest.mark.timeout(400)
@given(STORIES)
def test_no_key_is_at_two_stages_by_replicas_that_confirmed(story: list[tuple[float, tuple[str, int, object]]]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner, clock.going_by(lambda: runner.get_loop().time()):
        runner.run(Story().tell(story))
