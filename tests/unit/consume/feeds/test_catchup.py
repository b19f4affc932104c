"""The readers for clients far behind: bounded, found again by who left them, never held by who does not read."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.consume.feeds.catchup import CatchUp, Reader
from proxy.errors import Overloaded
from tests.unit.consume.scripted_log import ScriptedLog

VIRTUAL_TIME = True


@pytest.fixture
def log() -> ScriptedLog:
    return ScriptedLog({"t": 1})


@pytest.fixture
async def catch_up(log: ScriptedLog) -> AsyncIterator[CatchUp]:
    async with CatchUp(log.tail, readers=2) as catch_up:
        yield catch_up


async def _borrow(catch_up: CatchUp, owner: object) -> Reader:
    async with catch_up.borrow(owner) as reader:
        reader.owner = owner
        return reader


async def test_who_comes_back_finds_the_reader_he_left(catch_up: CatchUp) -> None:
    one, other = await _borrow(catch_up, "one"), await _borrow(catch_up, "other")
    assert one is not other
    async with catch_up.borrow("one") as reader:
        assert (reader, reader.owner) == (one, "one")


async def test_a_third_gets_the_reader_that_was_left_longest_ago_and_is_not_told_that_it_is_his(
    catch_up: CatchUp, log: ScriptedLog
) -> None:
    await _borrow(catch_up, "one")
    other = await _borrow(catch_up, "other")
    one = await _borrow(catch_up, "one")
    async with catch_up.borrow("third") as reader:
        assert (reader, reader.owner) == (other, None)
    assert await _borrow(catch_up, "one") is one
    assert len(log.tails) == 2


async def test_the_reader_of_one_who_will_not_come_back_is_taken_first(catch_up: CatchUp) -> None:
    await _borrow(catch_up, "one")
    other = await _borrow(catch_up, "other")
    catch_up.forget("other")
    assert await _borrow(catch_up, "third") is other


async def test_a_reader_that_failed_is_nobody_s(catch_up: CatchUp) -> None:
    async def fail() -> None:
        async with catch_up.borrow("one") as reader:
            reader.owner = "one"
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with catch_up.borrow("one") as again:
        assert again.owner is None


async def test_when_all_are_in_use_one_waits_and_then_is_told_to_come_back(catch_up: CatchUp) -> None:
    async with catch_up.borrow("one"):
        async with catch_up.borrow("other"):
            waiting = asyncio.create_task(_borrow(catch_up, "third"))
            with pytest.raises(Overloaded, match="All 2 readers") as refused:
                await _borrow(catch_up, "fourth")
            assert refused.value.retry_after_s
            with pytest.raises(Overloaded):
                await waiting
        await _borrow(catch_up, "third")  # one is free again


async def test_readers_are_closed_at_the_end(log: ScriptedLog) -> None:
    async with CatchUp(log.tail) as catch_up:
        await _borrow(catch_up, "one")
    assert [tail.is_closed for tail in log.tails] == [True]
