"""Modules with `VIRTUAL_TIME = True` run on a loop whose clock jumps (virtual.py)."""

import asyncio
from collections.abc import Callable, Mapping

import pytest

from tests.unit.consume.virtual import VirtualLoop


def pytest_asyncio_loop_factories(item: pytest.Function) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    is_virtual = getattr(item.module, "VIRTUAL_TIME", False)
    return {"virtual": VirtualLoop} if is_virtual else {"real": asyncio.new_event_loop}
