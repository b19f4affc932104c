import asyncio
import zlib

import pytest

from proxy.clock import Deadline
from proxy.errors import FieldInvalid, KeyRequired, NotWritten, OutcomeUnknown, RecordTooLarge, TopicMissing
from proxy.produce.submitter import ProduceQueues
from proxy.record import Receipt, Record, Topic
from proxy.seams.produce import Written
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


# ---- many at once


async def test_many_records_have_an_outcome_each_in_their_order() -> None:
    batches = ScriptedBatches()
    queues = queues_on(batches)
    records = [
        Record("plain", b"k", b"0"),
        Record("plain", b"k", b"x" * 300),
        Record("nowhere", b"k", b"1"),
        Record("plain", b"k", b"2"),
        Record("compacted", None, b"3"),
    ]
    task = asyncio.create_task(queues.submit_many(records, Deadline.after(5)))
    sent = await batches.until(1)
    assert sent.values == [b"0", b"2"]
    sent.answer.set_result(Written(7, None))
    first, too_large, missing, second, keyless = await task
    assert isinstance(first, Receipt)
    assert isinstance(second, Receipt)
    assert (first.offset, second.offset) == (7, 8)
    assert [type(each) for each in (too_large, missing, keyless)] == [RecordTooLarge, TopicMissing, KeyRequired]


async def test_records_of_many_partitions_are_with_kafka_side_by_side() -> None:
    batches = ScriptedBatches()
    queues = queues_on(batches)
    records = [Record("plain", None, b"%d" % number, partition=number % 4) for number in range(8)]
    task = asyncio.create_task(queues.submit_many(records, Deadline.after(5)))
    await batches.until(4)
    assert [sent.values for sent in batches.sent] == [[b"%d" % number, b"%d" % (number + 4)] for number in range(4)]
    for sent in batches.sent:
        sent.answer.set_result(Written(10 * sent.partition.partition, None))
    receipts = [receipt for receipt in await task if isinstance(receipt, Receipt)]
    assert [receipt.offset for receipt in receipts] == [0, 10, 20, 30, 1, 11, 21, 31]


async def test_one_of_many_that_nobody_answers_is_unknown_and_one_that_waits_is_not_written() -> None:
    batches = ScriptedBatches(most=1)
    queues = queues_on(batches)
    records = [Record("plain", b"k", b"1"), Record("plain", b"k", b"2")]
    unknown, not_written = await queues.submit_many(records, Deadline.after(0.02))
    assert (type(unknown), type(not_written)) == (OutcomeUnknown, NotWritten)
    batches.sent[0].answer.set_result(Written(0, None))


async def test_a_caller_of_many_that_is_cancelled_takes_out_what_waits() -> None:
    batches = ScriptedBatches(most=1)
    queues = queues_on(batches)
    task = asyncio.create_task(
        queues.submit_many([Record("plain", b"k", b"%d" % number) for number in range(3)], Deadline.after(5))
    )
    sent = await batches.until(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sent.answer.set_result(Written(0, None))
    last = asyncio.create_task(queues.submit(Record("plain", b"k", b"last"), Deadline.after(5)))
    assert (await batches.until(2)).values == [b"last"]
    batches.sent[1].answer.set_result(Written(1, None))
    assert (await last).offset == 1


async def test_nothing_to_submit_is_no_trouble() -> None:
    assert list(await queues_on(ScriptedBatches()).submit_many([], Deadline.after(5))) == []
