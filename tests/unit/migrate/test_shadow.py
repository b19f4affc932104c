import asyncio
from contextlib import suppress

from proxy.errors import RecordTooLarge
from proxy.migrate.losses import KEPT, Losses
from proxy.migrate.shadow import Shadow
from proxy.record import Receipt, Record
from tests.unit.migrate.scripted import ScriptedSubmitter


def shadow_of(submitter: ScriptedSubmitter, bound: int = 3) -> Shadow:
    return Shadow(submitter, bound=bound, bound_bytes=10_000, patience_s=1.0)


async def flushed(shadow: Shadow) -> None:
    task = asyncio.create_task(shadow.run())
    async with asyncio.timeout(5):
        await shadow.flush()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_is_written_is_counted_and_told() -> None:
    receipts: list[Receipt] = []
    shadow = shadow_of(ScriptedSubmitter())
    shadow.offer(Record("t", b"k", b"v"), "id", receipts.append)
    assert shadow.depth == 1
    await flushed(shadow)
    assert (shadow.written, shadow.depth, len(receipts), shadow.losses.counts.total()) == (1, 0, 1, 0)


async def test_each_loss_is_counted_with_its_reason_and_listed() -> None:
    shadow = shadow_of(ScriptedSubmitter(lambda: RecordTooLarge("too large")))
    for number in range(4):
        shadow.offer(Record("t", b"k%d" % number, b"v"), f"id-{number}")
    await flushed(shadow)
    assert shadow.written == 2
    assert shadow.losses.counts == {"queue_full": 1, "record_too_large": 1}
    newest, oldest = shadow.losses.newest()
    assert (newest.reason, newest.request_id, newest.key) == ("record_too_large", "id-0", "k0")
    assert oldest.as_json() | {"time_ms": 0} == {
        "time_ms": 0,
        "reason": "queue_full",
        "detail": "3 records wait already, of 3.",
        "request_id": "id-3",
        "key": "k3",
    }


async def test_what_is_left_at_the_end_is_lost_and_listed() -> None:
    shadow = shadow_of(ScriptedSubmitter())
    shadow.offer(Record("t", b"k", b"v"), "id")
    shadow.stop()
    assert shadow.losses.counts == {"not_written": 1}


def test_the_list_is_bounded_and_the_count_is_not() -> None:
    losses = Losses()
    for number in range(KEPT + 5):
        losses.note("x", "", str(number), None)
    assert losses.counts["x"] == KEPT + 5
    assert [losses.newest()[0].request_id, len(losses.newest())] == [str(KEPT + 4), KEPT]
