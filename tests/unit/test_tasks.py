"""Tasks that nobody awaits: none is forgotten, and none fails in silence."""

import asyncio
import gc
from typing import Any

import pytest

from proxy.tasks import Tasks


@pytest.fixture
async def told() -> list[dict[str, Any]]:
    """What the loop's exception handler is told."""
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    return told


async def test_one_that_nobody_holds_runs_to_its_end() -> None:
    tasks, done = Tasks(), asyncio.Event()

    async def wait_for_what_only_it_holds() -> None:
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.01, lambda: waiting.set_result(None))
        await waiting
        done.set()

    tasks.begin(wait_for_what_only_it_holds(), name="wait")
    assert repr(tasks) == "<Tasks wait>"
    await asyncio.sleep(0)
    gc.collect()
    await tasks.finish()
    assert done.is_set()
    assert repr(tasks) == "<Tasks none>"


async def test_what_one_raises_is_told_at_once_and_the_others_go_on(told: list[dict[str, Any]]) -> None:
    tasks, error = Tasks(), ValueError("broken")

    async def fail() -> None:
        raise error

    tasks.begin(fail(), name="count stock")
    other = asyncio.create_task(asyncio.sleep(0.01, "done"))
    tasks.keep(other)
    await tasks.finish()
    assert other.result() == "done"
    assert told == [{"message": "count stock failed", "exception": error}]


async def test_whoever_ends_them_waits_for_what_they_do_last(told: list[dict[str, Any]]) -> None:
    tasks, order = Tasks(), list[str]()

    async def tidy_up() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            order.append("tidied up")

    task = asyncio.create_task(tidy_up())
    tasks.keep(task)
    await asyncio.sleep(0)
    await tasks.end()
    order.append("ended")
    assert order == ["tidied up", "ended"]
    assert task.cancelled()
    assert told == []
