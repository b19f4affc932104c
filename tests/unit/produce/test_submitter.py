import asyncio
import zlib

import pytest

from proxy.clock import Deadline
from proxy.errors import FieldInvalid, KeyRequired, RecordTooLarge, TopicMissing
from proxy.produce.submitter import ProduceQueues
from proxy.record import Record, Topic
from proxy.seams import Written
from tests.unit.produce.scripted import KnownTopics, ScriptedBatches

PLAIN = Topic("plain", partitions=4, max_message_bytes=200)
COMPACTED = Topic("compacted", partitions=1, compacted=True)


def queues_on(batches: ScriptedBatches) -> ProduceQueues:
    return ProduceQueues(KnownTopics(PLAIN, COMPACTED), batches, {"plain": zlib.crc32, "compacted": zlib.crc32})


@pytest.mark.parametrize(
    ("record", "error"),
    [
        (Record("plain", b"k", b"x" * 300), RecordTooLarge),
        (Record("compacted", None, b"x"), KeyRequired),
        (Record("nowhere", b"k", b"x"), TopicMissing),
        (Record("plain", b"k", b"x", partition=4), FieldInvalid),
        (Record("plain", b"k", b"x", partition=-1), FieldInvalid),
    ],
)
async def test_what_the_broker_would_refuse_is_never_handed_over(record: Record, error: type[Exception]) -> None:
    batches = ScriptedBatches()
    with pytest.raises(error):
        await queues_on(batches).submit(record, Deadline.after(5))
    assert batches.sent == []


async def test_records_with_one_key_go_to_one_partition() -> None:
    batches = ScriptedBatches()
    queues = queues_on(batches)
    tasks = [asyncio.create_task(queues.submit(Record("plain", b"k", b"%d" % i), Deadline.after(5))) for i in range(9)]
    sent = await batches.until(1)
    assert (len(sent.values), sent.partition.partition) == (9, zlib.crc32(b"k") % 4)
    sent.answer.set_result(Written(0, None))
    assert [(await task).offset for task in tasks] == list(range(9))


async def test_records_without_a_key_share_the_open_batch() -> None:
    batches = ScriptedBatches()
    queues = queues_on(batches)
    tasks = [asyncio.create_task(queues.submit(Record("plain", None, b"%d" % i), Deadline.after(5))) for i in range(9)]
    sent = await batches.until(1)
    assert len(sent.values) == 9
    sent.answer.set_result(Written(0, None))
    await asyncio.gather(*tasks)


async def test_the_largest_record_that_fits_is_taken() -> None:
    batches = ScriptedBatches()
    queues = queues_on(batches)
    fits = 200 - 61 - 2 - 4 - 2 - 2  # batch head, record length, fixed fields, key, length of the value
    task = asyncio.create_task(queues.submit(Record("plain", b"k", b"x" * fits), Deadline.after(5)))
    (await batches.until(1)).answer.set_result(Written(0, None))
    await task
    with pytest.raises(RecordTooLarge, match="201 bytes"):
        await queues.submit(Record("plain", b"k", b"x" * (fits + 1)), Deadline.after(5))
