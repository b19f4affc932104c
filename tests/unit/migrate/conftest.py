"""Modules with `VIRTUAL_TIME = True` run on a loop whose clock jumps (tests/unit/consume/virtual.py)."""

from tests.unit.consume.conftest import clock_of_the_loop, pytest_asyncio_loop_factories

__all__ = ["clock_of_the_loop", "pytest_asyncio_loop_factories"]
