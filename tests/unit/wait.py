"""Waiting for a condition, with a bound, instead of for a time."""

import asyncio
from collections.abc import Callable


async def until(true: Callable[[], object], *, within_s: float = 10.0) -> None:
    """Return as soon as it is true. Raises TimeoutError."""
    async with asyncio.timeout(within_s):
        while not true():
            await asyncio.sleep(0.002)
