"""The watch over the event loop."""

import asyncio
import time

from proxy.observe.loop import watch_loop


async def test_a_blocked_loop_is_seen() -> None:
    noted: asyncio.Queue[float] = asyncio.Queue()
    task = asyncio.create_task(watch_loop(noted.put_nowait, every_s=0.001))
    await asyncio.sleep(0)  # let it set its timer
    time.sleep(0.03)  # noqa: ASYNC251 (what is to be seen)
    async with asyncio.timeout(5):
        assert await noted.get() >= 0.025
    task.cancel()
