"""Who passes at which stage while it changes, in one process."""

import asyncio

import pytest

from proxy.errors import StageChanging, StageUnknown
from proxy.migrate import standing as module
from proxy.migrate.stages import Setting, place_of
from proxy.migrate.standing import Standing
from tests.unit.wait import until

FIRST, LAST = sorted((b"a", b"b"), key=place_of)  # the order in which they climb
FIRST_ONLY = place_of(LAST)  # a share that has the one, and not the other


def at_dual() -> Standing:
    standing = Standing("orders", Setting("dual"))
    standing.know(Setting("dual"), 0)
    return standing


async def test_requests_pass_at_the_stage_of_their_key() -> None:
    standing = at_dual()
    standing.know(Setting("kafka", FIRST_ONLY), 1)
    assert [(await standing.enter(key)).stage for key in (FIRST, LAST)] == ["kafka", "dual"]
    assert standing.inside == 2


async def test_keys_that_change_wait_and_go_on_at_the_new_stage() -> None:
    standing = at_dual()
    standing.announce(Setting("kafka"))
    waiting = asyncio.create_task(standing.enter(FIRST))
    await until(lambda: standing.waiting == 1)
    standing.know(Setting("kafka"), 1)
    assert (await waiting).stage == "kafka"


async def test_an_abandoned_change_lets_them_go_on_at_the_old_one() -> None:
    standing = at_dual()
    standing.announce(Setting("kafka"))
    waiting = asyncio.create_task(standing.enter(FIRST))
    await until(lambda: standing.waiting == 1)
    standing.abandon(1)
    assert (await waiting).stage == "dual"
    assert (standing.epoch, standing.coming) == (1, None)


async def test_keys_that_keep_their_stage_pass_as_ever() -> None:
    standing = at_dual()
    standing.announce(Setting("kafka", FIRST_ONLY))
    assert (await standing.enter(LAST)).stage == "dual"
    waiting = asyncio.create_task(standing.enter(FIRST))
    await until(lambda: standing.waiting == 1)
    waiting.cancel()


async def test_it_settles_when_those_inside_have_left_and_the_queue_is_flushed() -> None:
    flushed = asyncio.Event()

    async def flush() -> None:
        flushed.set()

    standing = at_dual()
    standing.on_flush = flush
    inside = [await standing.enter(FIRST), await standing.enter(LAST)]
    standing.announce(Setting("kafka"))
    settling = asyncio.create_task(standing.settle())
    for passage in inside:
        await asyncio.sleep(0)
        assert not flushed.is_set()
        passage.leave()
        passage.leave()
    await settling
    assert flushed.is_set()


async def test_it_does_not_wait_for_those_that_keep_their_stage() -> None:
    standing = at_dual()
    await standing.enter(LAST)
    standing.announce(Setting("kafka", FIRST_ONLY))
    await standing.settle()
    assert standing.inside == 1


async def test_a_wait_ends_with_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = at_dual()
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    standing.announce(Setting("kafka"))
    with pytest.raises(StageChanging):
        await standing.enter(FIRST)
    assert (standing.inside, standing.waiting) == (0, 0)


async def test_nobody_passes_before_the_stage_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    standing = Standing("orders", Setting("legacy"))
    monkeypatch.setattr(module, "WAIT_S", 0.01)
    with pytest.raises(StageUnknown):
        await standing.enter(None)
    monkeypatch.undo()
    waiting = asyncio.create_task(standing.enter(None))
    await until(lambda: standing.waiting == 1)
    standing.know(Setting("shadow"), 4)
    assert (await waiting).stage == "shadow"


async def test_it_holds_nobody_once_it_resumes() -> None:
    standing = at_dual()
    standing.announce(Setting("kafka"))
    standing.resume()
    assert (await standing.enter(FIRST)).stage == "dual"
