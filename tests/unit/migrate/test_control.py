"""One route's stage among several replicas, on a scripted control topic and in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from proxy.clock import now_s
from proxy.errors import OutcomeUnknown
from proxy.migrate.changing import Wish
from proxy.migrate.refusals import ChangeAbandoned, ChangeLost, ControlAway, NoMigration, StepRefused
from proxy.migrate.stages import Setting
from proxy.seams.migrate import Missed
from tests.unit.migrate.world import ROUTE, World
from tests.unit.wait import until

VIRTUAL_TIME = True
SHADOW, DUAL, KAFKA = Setting("shadow"), Setting("dual"), Setting("kafka")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def three(world: World, file: Setting | None = None) -> World:
    world.file = file or world.file
    for _ in range(3):
        await world.add()
    await asyncio.sleep(3)
    return world


def settings(world: World) -> list[str]:
    return [str(node.control.standing(ROUTE).setting) for node in world.alive]


async def test_a_change_is_in_force_everywhere_when_it_returns(world: World) -> None:
    await three(world)
    done = await world.change(world.nodes[1], SHADOW, why="see what it would write")
    assert done.confirmed == ["replica-0", "replica-1", "replica-2"]
    assert done.unconfirmed == {}
    assert settings(world) == ["shadow"] * 3
    assert done.outcome.change.why == "see what it would write"


async def test_of_two_changes_at_once_the_log_decides_which_counts(world: World) -> None:
    await three(world)
    outcomes = await asyncio.gather(
        world.change(world.nodes[0], SHADOW),
        world.change(world.nodes[2], Setting("shadow", 1_000)),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in outcomes].count("ChangeLost") == 1
    assert len(world.done) == 1
    assert settings(world) == [str(world.done[0].outcome.change.setting)] * 3


async def test_a_change_to_another_epoch_than_was_looked_at_is_lost(world: World) -> None:
    await three(world)
    await world.change(world.nodes[0], SHADOW, epoch=1)
    with pytest.raises(ChangeLost, match="number 2, not 1"):
        await world.change(world.nodes[1], DUAL, epoch=1)


async def test_a_replica_that_was_killed_is_not_waited_for_but_named(world: World) -> None:
    await three(world)
    await world.nodes[2].kill()
    done = await world.change(world.nodes[0], SHADOW)
    assert done.confirmed == ["replica-0", "replica-1"]
    assert "was last heard of" in done.unconfirmed["replica-2"]


async def test_a_replica_that_has_left_is_not_named(world: World) -> None:
    await three(world)
    await world.nodes[2].control.__aexit__()
    world.nodes[2].is_dead = True
    done = await world.change(world.nodes[0], SHADOW)
    assert (done.confirmed, done.unconfirmed) == (["replica-0", "replica-1"], {})


async def test_a_replica_that_is_cut_off_keeps_its_stage_says_so_and_follows_later(world: World) -> None:
    await three(world)
    lost = world.nodes[2]
    lost.line.is_cut = True
    await asyncio.sleep(6)
    done = await world.change(world.nodes[0], SHADOW)
    assert list(done.unconfirmed) == ["replica-2"]
    assert not lost.control.is_fresh
    assert str(lost.control.standing(ROUTE).setting) == "legacy"
    await lost.serve(b"a", 0)
    assert [each.stage for each in lost.passes] == ["legacy"]
    lost.line.is_cut = False
    await until(lambda: settings(world) == ["shadow"] * 3, within_s=5)
    assert lost.control.is_fresh


async def test_a_request_that_stays_under_way_lets_the_change_be_abandoned(world: World) -> None:
    await three(world)
    serving = asyncio.create_task(world.nodes[2].serve(b"a", 10))
    await asyncio.sleep(0.1)
    with pytest.raises(ChangeAbandoned, match="not ready within") as refused:
        await world.change(world.nodes[0], SHADOW)
    assert refused.value.extra["not_ready"] == ["replica-2"]
    assert settings(world) == ["legacy"] * 3
    await world.nodes[1].serve(b"a", 0)
    assert [each.stage for each in world.nodes[1].passes] == ["legacy"]
    serving.cancel()


async def test_nobody_is_held_for_longer_than_two_seconds(world: World) -> None:
    """Whoever takes a change through may die in the middle of it."""
    await three(world)
    changing = asyncio.create_task(world.change(world.nodes[0], SHADOW))
    slow = asyncio.create_task(world.nodes[1].serve(b"b", 10))
    await until(lambda: world.nodes[2].control.standing(ROUTE).coming is not None)
    began_s = now_s()
    await world.nodes[0].kill()
    changing.cancel()
    await world.nodes[2].serve(b"a", 0)
    assert now_s() - began_s < 2.1
    await until(lambda: all(node.control.standing(ROUTE).coming is None for node in world.alive))
    assert [node.control.standing(ROUTE).epoch for node in world.alive] == [1, 1]
    slow.cancel()


async def test_who_joins_during_a_change_holds_its_keys(world: World) -> None:
    await three(world)
    slow = asyncio.create_task(world.nodes[1].serve(b"a", 1.5))
    await asyncio.sleep(0.1)
    changing = asyncio.create_task(world.change(world.nodes[0], SHADOW))
    await until(lambda: world.nodes[0].control.standing(ROUTE).coming is not None)
    late = await world.add()
    serving = asyncio.create_task(late.serve(b"a", 0))
    await changing
    await serving
    assert [each.stage for each in late.passes] == ["shadow"]
    await slow
    world.check_keys()


async def test_a_restart_forgets_nothing(world: World) -> None:
    await three(world)
    await world.change(world.nodes[0], SHADOW)
    await world.change(world.nodes[0], DUAL)
    for node in world.alive:
        await node.kill()
    again = await world.add()
    await again.serve(b"a", 0)
    assert [each.stage for each in again.passes] == ["dual"]
    history = again.control.chronicle.route(ROUTE).history()
    assert [str(each.change.setting) for each in history] == ["dual", "shadow"]


async def test_who_cannot_read_the_topic_at_the_start_serves_no_stage(world: World) -> None:
    await three(world)
    late = await world.add()
    late.line.is_cut = True
    await late.serve(b"a", 0)
    assert late.passes == []
    with pytest.raises(ControlAway):
        await world.change(late, SHADOW)


async def test_a_step_over_a_rung_is_refused(world: World) -> None:
    await three(world)
    with pytest.raises(StepRefused, match="one rung at a time"):
        await world.change(world.nodes[0], DUAL)
    with pytest.raises(NoMigration, match=ROUTE):
        await world.nodes[0].changing.make(Wish("other", SHADOW, who="test"))


async def test_the_shadows_violations_of_all_replicas_forbid_to_climb(world: World) -> None:
    await three(world, SHADOW)
    for number, node in enumerate(world.nodes):
        node.numbers.counts = (100, number)
    with pytest.raises(StepRefused, match="3 of 300 requests") as refused:
        await world.change(world.nodes[0], DUAL)
    assert refused.value.extra == {"requests": 300, "violations": 3}
    assert settings(world) == ["shadow"] * 3
    done = await world.change(world.nodes[0], DUAL, accepted={"violations": 3})
    assert done.outcome.change.accepted == {"violations": 3}


async def test_records_that_the_legacy_has_not_seen_forbid_to_descend(world: World) -> None:
    await three(world, KAFKA)
    world.nodes[0].numbers.gap = Missed(37)
    with pytest.raises(StepRefused, match="not seen 37 records"):
        await world.change(world.nodes[0], DUAL)
    with pytest.raises(StepRefused, match="not seen 37 records"):
        await world.change(world.nodes[0], DUAL, accepted={"gap": 36})
    await world.change(world.nodes[0], DUAL, accepted={"gap": 37})
    assert settings(world) == ["dual"] * 3


async def test_a_replica_that_still_follows_the_last_change_judges_the_next_by_what_is_in_force(world: World) -> None:
    """It was cut off while the route went to `kafka`, and a request of before keeps it from following."""
    await three(world, DUAL)
    late = world.nodes[2]
    late.line.is_cut = True
    await asyncio.sleep(6)
    await world.change(world.nodes[0], KAFKA)
    serving = asyncio.create_task(late.serve(b"a", 2))
    await asyncio.sleep(0)
    late.line.is_cut = False
    late.numbers.gap = Missed(37)
    await until(lambda: late.control.is_fresh)
    assert str(late.control.standing(ROUTE).setting) == "dual"
    with pytest.raises(StepRefused, match="not seen 37 records"):
        await world.change(late, SHADOW)
    await serving
    await until(lambda: settings(world) == ["kafka"] * 3)
    done = await world.change(late, SHADOW, accepted={"gap": 37})
    assert str(done.outcome.change.before) == "kafka"


async def test_a_replay_that_follows_sends_the_last_of_them_while_the_keys_are_held(world: World) -> None:
    await three(world, KAFKA)
    world.nodes[0].numbers.gap = Missed(37, is_followed=True)
    await world.change(world.nodes[0], DUAL)
    assert settings(world) == ["dual"] * 3


async def test_a_replay_that_follows_and_is_too_slow_abandons_the_change_which_may_be_tried_again(world: World) -> None:
    await three(world, KAFKA)
    numbers = world.nodes[0].numbers
    numbers.gap, numbers.left = Missed(37, is_followed=True), 8
    with pytest.raises(ChangeAbandoned, match="8 records left to send"):
        await world.change(world.nodes[0], DUAL)
    assert settings(world) == ["kafka"] * 3
    numbers.left = 0
    await world.change(world.nodes[0], DUAL)
    assert settings(world) == ["dual"] * 3


async def test_a_change_whose_writer_is_not_told_is_found_out_by_reading(world: World) -> None:
    await three(world)
    world.nodes[0].line.loses_answers = True
    with contextlib.suppress(OutcomeUnknown, ChangeAbandoned, ControlAway):
        await world.change(world.nodes[0], SHADOW)
    await until(lambda: len(set(settings(world))) == 1)
    assert all(node.control.standing(ROUTE).coming is None for node in world.alive)
