"""Modules with `VIRTUAL_TIME = True` run on a loop whose clock jumps (virtual.py)."""

import asyncio
from collections.abc import Callable, Iterator, Mapping

import pytest

from proxy import clock
from tests.unit.consume.virtual import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Function) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    is_virtual = getattr(item.module, "VIRTUAL_TIME", False)
    return {"virtual": VirtualLoop} if is_virtual else {"real": asyncio.new_event_loop}


@pytest.fixture(autouse=True)
def clock_of_the_loop(request: pytest.FixtureRequest) -> Iterator[None]:
    """The process's monotonic clock goes with the virtual loop's."""
    if not getattr(request.module, "VIRTUAL_TIME", False):
        yield
        return
    with clock.going_by(lambda: asyncio.get_running_loop().time()):
        yield
