import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from proxy.errors import NotWritten, OutcomeUnknown, ProxyError, RecordTooLarge
from proxy.migrate import behind
from proxy.migrate.behind import WriteBehind
from proxy.record import Receipt, Record
from tests.unit.migrate.scripted import ScriptedSubmitter, away


def record(text: str) -> Record:
    return Record("t", b"k", text.encode())


@asynccontextmanager
async def running(queue: WriteBehind) -> AsyncIterator[None]:
    task = asyncio.create_task(queue.run())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def queue_of(submitter: ScriptedSubmitter, *, bound: int = 10, patience_s: float | None = 60.0) -> WriteBehind:
    return WriteBehind(submitter, bound=bound, bound_bytes=10_000, patience_s=patience_s)


def into(ended: list[object]) -> Callable[[Receipt | ProxyError], None]:
    return lambda outcome: ended.append(outcome.code if isinstance(outcome, ProxyError) else outcome.offset)


async def test_what_is_offered_is_written_in_its_order_and_flush_waits_for_it() -> None:
    submitter, ended = ScriptedSubmitter(), list[object]()
    queue = queue_of(submitter)
    for number in range(5):
        assert queue.offer(record(str(number)), into(ended))
    assert queue.depth == 5
    async with running(queue), asyncio.timeout(5):
        await queue.flush()
    assert [each.value for each in submitter.log] == [b"0", b"1", b"2", b"3", b"4"]
    assert ended == [0, 1, 2, 3, 4]
    assert queue.depth == 0


async def test_at_its_bound_it_takes_nothing_and_says_so() -> None:
    queue = queue_of(ScriptedSubmitter(), bound=2)
    assert [queue.offer(record("x"), into([])) for _ in range(3)] == [True, True, False]
    large = WriteBehind(ScriptedSubmitter(), bound=10, bound_bytes=5, patience_s=None)
    assert [large.offer(record("xxxxx"), into([])) for _ in range(2)] == [True, False]


async def test_what_kafka_did_not_take_stays_the_first_and_is_tried_again() -> None:
    submitter, ended = ScriptedSubmitter(away, away), list[object]()
    queue = queue_of(submitter)
    queue.offer(record("a"), into(ended))
    queue.offer(record("b"), into(ended))
    async with running(queue), asyncio.timeout(5):
        await queue.flush()
    assert [each.value for each in submitter.log] == [b"a", b"b"]
    assert submitter.calls == 2


async def test_what_is_unknown_or_refused_is_not_tried_again() -> None:
    submitter, ended = ScriptedSubmitter(lambda: OutcomeUnknown("?"), lambda: RecordTooLarge("!")), list[object]()
    queue = queue_of(submitter)
    for text in "abc":
        queue.offer(record(text), into(ended))
    async with running(queue), asyncio.timeout(5):
        await queue.flush()
    assert ended == ["outcome_unknown", "record_too_large", 0]


async def test_patience_ends() -> None:
    ended = list[object]()
    queue = queue_of(ScriptedSubmitter(away), patience_s=0.0)
    queue.offer(record("a"), into(ended))
    async with running(queue), asyncio.timeout(5):
        await queue.flush()
    assert ended == ["kafka_unavailable"]


async def test_what_came_while_others_were_with_kafka_is_written_after_them() -> None:
    submitter = ScriptedSubmitter()
    submitter.may.clear()
    queue = queue_of(submitter)
    queue.offer(record("a"), into([]))
    async with running(queue), asyncio.timeout(5):
        while not submitter.calls:
            await asyncio.sleep(0)
        queue.offer(record("b"), into([]))
        submitter.may.set()
        await queue.flush()
    assert [each.value for each in submitter.log] == [b"a", b"b"]
    assert submitter.calls == 2


async def test_giving_up_ends_all_that_is_left() -> None:
    ended = list[object]()
    queue = queue_of(ScriptedSubmitter())
    for text in "ab":
        queue.offer(record(text), into(ended))
    queue.give_up(NotWritten("the end"))
    assert ended == ["not_written", "not_written"]
    async with asyncio.timeout(1):
        await queue.flush()
    assert behind.AT_ONCE > 2
