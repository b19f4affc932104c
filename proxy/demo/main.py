"""One run of the demo, from the command to its exit status."""

import asyncio
import signal
from collections.abc import Coroutine

from rich.console import Console

from proxy.demo.check import check
from proxy.demo.live import live
from proxy.demo.migration.walk import walk
from proxy.demo.process import DemoFailed
from proxy.demo.stage import Options

WIDTH = 130  # where the output is not a terminal and so has none


def main(options: Options, *, check_only: bool, migrate: bool = False) -> int:
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    try:
        return asyncio.run(_until_signal(_play(options, console, check_only=check_only, migrate=migrate)))
    except DemoFailed as error:
        console.print(f"The demo cannot go on: {error}", markup=False, highlight=False, soft_wrap=True, style="red")
        return 1
    except asyncio.CancelledError:
        console.print("The demo has ended." if not check_only else "The check was interrupted: it proves nothing.")
        return 130 if check_only else 0


async def _play(options: Options, console: Console, *, check_only: bool, migrate: bool) -> int:
    if migrate:
        return await walk(options, console)
    if check_only:
        return await check(options, console)
    await live(options, console)
    return 0


async def _until_signal(work: Coroutine[None, None, int]) -> int:
    """Cancel `work` on Ctrl-C or SIGTERM: every `async with` on the way then ends what it started."""
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    return await task
