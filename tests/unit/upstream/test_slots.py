"""Who may be with an upstream, who waits, and who is sent away."""

import asyncio

import pytest

from proxy.errors import UpstreamBusy
from proxy.upstream.slots import Slots


async def test_who_waits_longest_gets_the_slot() -> None:
    slots, order = Slots(1, 2, 5.0), []

    async def enter(name: str) -> None:
        await slots.enter()
        order.append(name)

    await slots.enter()
    waiting = [asyncio.create_task(enter(name)) for name in "ab"]
    await asyncio.sleep(0)
    assert slots.waiting == 2
    slots.leave()
    await waiting[0]
    slots.leave()
    await waiting[1]
    assert (order, slots.count) == (["a", "b"], 1)


async def test_beyond_those_that_may_wait_one_is_sent_away_at_once() -> None:
    slots = Slots(1, 0, 5.0)
    await slots.enter()
    with pytest.raises(UpstreamBusy, match="1 requests are with the service, and 0 wait"):
        await slots.enter()


async def test_nobody_waits_longer_than_the_time() -> None:
    slots = Slots(1, 1, 0.01)
    await slots.enter()
    with pytest.raises(UpstreamBusy, match=r"none ended in 0\.01 s"):
        await slots.enter()
    assert (slots.count, slots.waiting) == (1, 0)


async def test_who_leaves_while_waiting_leaves_nothing_behind() -> None:
    slots = Slots(1, 1, 5.0)
    await slots.enter()
    waiting = asyncio.create_task(slots.enter())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    slots.leave()
    assert (slots.count, slots.waiting) == (0, 0)


async def test_a_slot_that_was_given_to_someone_who_left_goes_to_the_next() -> None:
    slots = Slots(1, 2, 5.0)
    await slots.enter()
    first, second = (asyncio.create_task(slots.enter()) for _ in range(2))
    await asyncio.sleep(0)
    slots.leave()  # to the first, which is cancelled before it runs
    first.cancel()
    await second
    assert (slots.count, slots.waiting) == (1, 0)


async def test_idle_waits_until_nobody_is_in() -> None:
    slots = Slots(1, 1, 5.0)
    await slots.enter()
    idle = asyncio.create_task(slots.idle())
    await asyncio.sleep(0)
    assert not idle.done()
    slots.leave()
    await idle
    await slots.idle()
