"""How late the event loop is: the first thing to look at when everything is slow at once."""

import asyncio
from collections.abc import Callable

from proxy.clock import now_s


async def watch_loop(note: Callable[[float], None], every_s: float = 0.5) -> None:
    """Note again and again how many seconds too late a timer fires (`Metrics.loop_lag`). Runs until cancelled."""
    while True:
        due_s = now_s() + every_s
        await asyncio.sleep(every_s)
        note(max(0.0, now_s() - due_s))
