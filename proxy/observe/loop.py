"""How late the event loop is: the first thing to look at when everything is slow at once."""

import asyncio

from proxy.clock import now_s
from proxy.observe.metrics import Metrics


async def watch_loop(metrics: Metrics, every_s: float = 0.5) -> None:
    """Note twice a second how much too late a timer fires. Runs until cancelled; leaves nothing behind."""
    while True:
        due_s = now_s() + every_s
        await asyncio.sleep(every_s)
        metrics.loop_lag(max(0.0, now_s() - due_s))
