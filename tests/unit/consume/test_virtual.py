"""The clock that jumps moves on, too, while several only look at it."""

import asyncio

VIRTUAL_TIME = True


async def test_waits_for_less_than_a_timer_can_tell_come_to_an_end_beside_each_other() -> None:
    loop = asyncio.get_running_loop()
    end_s = loop.time() + 5e-12

    async def look() -> None:
        for _ in range(100_000):
            if loop.time() >= end_s:
                return
            await asyncio.sleep(end_s - loop.time())
        raise AssertionError("the clock stands still")

    async with asyncio.TaskGroup() as looking:
        looking.create_task(look())
        await asyncio.sleep(0)
        looking.create_task(look())
