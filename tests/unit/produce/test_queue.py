import asyncio

import pytest

from proxy.clock import now_s
from proxy.errors import (
    KafkaForbids,
    NotWritten,
    OutcomeUnknown,
    ProxyError,
    RecordTooLarge,
    TopicMissing,
    Unprocessable,
)
from proxy.produce.queue import PartitionQueue
from proxy.record import Partition, Receipt, Record, Topic
from proxy.seams.produce import BatchRefused, Written
from tests.unit.produce.scripted import ScriptedBatches

SALES = Topic("sales", partitions=1)


def record(value: bytes) -> Record:
    return Record("sales", b"k", value)


def queue_on(batches: ScriptedBatches) -> PartitionQueue:
    return PartitionQueue(lambda: SALES, Partition("sales", 0), batches)


def put(queue: PartitionQueue, value: bytes, timeout_s: float = 60) -> asyncio.Future[Receipt]:
    return queue.put(record(value), len(value), now_s() + timeout_s)


async def test_what_arrives_together_leaves_in_one_batch_in_order() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    receipts = [put(queue, value) for value in (b"1", b"2", b"3")]
    sent = await batches.until(1)
    assert sent.values == [b"1", b"2", b"3"]
    sent.answer.set_result(Written(41, None))
    assert [(await receipt).offset for receipt in receipts] == [41, 42, 43]


async def test_only_one_batch_is_in_flight_and_the_next_gathers_behind_it() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    put(queue, b"1")
    first = await batches.until(1)
    late = [put(queue, b"2"), put(queue, b"3")]
    await asyncio.sleep(0)
    assert len(batches.sent) == 1
    assert (queue.waiting, queue.in_flight) == (2, 1)
    first.answer.set_result(Written(0, None))
    second = await batches.until(2)
    assert second.values == [b"2", b"3"]
    second.answer.set_result(Written(7, None))
    assert [(await receipt).offset for receipt in late] == [7, 8]


async def test_a_full_batch_leaves_the_rest_for_the_next_one() -> None:
    batches = ScriptedBatches(most=2)
    queue = queue_on(batches)
    receipts = [put(queue, value) for value in (b"1", b"2", b"3")]
    (await batches.until(1)).answer.set_result(Written(0, None))
    second = await batches.until(2)
    assert second.values == [b"3"]
    second.answer.set_result(Written(2, None))
    assert [(await receipt).offset for receipt in receipts] == [0, 1, 2]


async def test_a_record_still_waiting_at_its_deadline_was_not_written_and_never_is() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    put(queue, b"in flight")
    first = await batches.until(1)
    late = put(queue, b"late", timeout_s=0.02)
    with pytest.raises(NotWritten):
        await late
    assert queue.waiting_bytes == 0
    last = put(queue, b"last")
    first.answer.set_result(Written(0, None))
    assert (await batches.until(2)).values == [b"last"]
    batches.sent[1].answer.set_result(Written(1, None))
    assert (await last).offset == 1


async def test_a_record_handed_over_at_its_deadline_is_unknown_and_its_batch_goes_on() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    slow, patient = put(queue, b"slow", timeout_s=0.02), put(queue, b"patient")
    sent = await batches.until(1)
    with pytest.raises(OutcomeUnknown):
        await slow
    sent.answer.set_result(Written(5, None))
    assert (await patient).offset == 6


async def test_while_there_is_no_producer_records_wait_in_our_queue_and_are_not_unknown() -> None:
    batches = ScriptedBatches()
    batches.is_ready.clear()
    queue = queue_on(batches)
    early, patient = put(queue, b"early", timeout_s=0.02), put(queue, b"patient")
    with pytest.raises(NotWritten):
        await early
    batches.is_ready.set()
    sent = await batches.until(1)
    assert sent.values == [b"patient"]
    sent.answer.set_result(Written(0, None))
    assert (await patient).offset == 0


async def test_a_cancelled_waiter_takes_its_record_out() -> None:
    batches = ScriptedBatches()
    batches.is_ready.clear()
    queue = queue_on(batches)
    gone, stays = put(queue, b"gone"), put(queue, b"stays")
    gone.cancel()
    batches.is_ready.set()
    sent = await batches.until(1)
    assert sent.values == [b"stays"]
    sent.answer.set_result(Written(0, None))
    await stays


async def test_of_a_refused_batch_only_the_guilty_record_fails() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    first, guilty, last = put(queue, b"1"), put(queue, b"huge"), put(queue, b"3")
    (await batches.until(1)).answer.set_exception(BatchRefused(RecordTooLarge("one of them")))
    (await batches.until(2)).answer.set_result(Written(7, None))
    (await batches.until(3)).answer.set_exception(BatchRefused(RecordTooLarge("this one")))
    (await batches.until(4)).answer.set_result(Written(8, None))
    assert [sent.values for sent in batches.sent] == [[b"1", b"huge", b"3"], [b"1"], [b"huge"], [b"3"]]
    assert [(await first).offset, (await last).offset] == [7, 8]
    with pytest.raises(RecordTooLarge, match="this one"):
        await guilty


async def test_a_refusal_after_a_lost_answer_is_unknown_for_all_and_nothing_is_sent_again() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    receipts = [put(queue, b"1"), put(queue, b"2")]
    (await batches.until(1)).answer.set_exception(BatchRefused(OutcomeUnknown("an earlier attempt")))
    for receipt in receipts:
        with pytest.raises(OutcomeUnknown):
            await receipt
    assert len(batches.sent) == 1


async def test_a_record_that_failed_for_its_producers_fault_is_sent_by_the_next_one() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    receipt = put(queue, b"1")
    (await batches.until(1)).answer.set_exception(BatchRefused(NotWritten("broken sequence")))
    (await batches.until(2)).answer.set_result(Written(3, None))
    assert (await receipt).offset == 3


@pytest.mark.parametrize("error", [KafkaForbids("no right"), TopicMissing("deleted"), RecordTooLarge("alone")])
async def test_what_hits_all_alike_is_not_tried_record_by_record(error: ProxyError) -> None:
    batches = ScriptedBatches(most=1 if isinstance(error, RecordTooLarge) else 2)
    queue = queue_on(batches)
    receipts = [put(queue, b"1")] if isinstance(error, RecordTooLarge) else [put(queue, b"1"), put(queue, b"2")]
    (await batches.until(1)).answer.set_exception(BatchRefused(error))
    for receipt in receipts:
        with pytest.raises(type(error)):
            await receipt
    assert len(batches.sent) == 1


async def test_what_nobody_waits_for_is_left_out_when_records_are_sent_one_by_one() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    late, patient = put(queue, b"late", timeout_s=0.02), put(queue, b"patient")
    sent = await batches.until(1)
    with pytest.raises(OutcomeUnknown):
        await late
    sent.answer.set_exception(BatchRefused(RecordTooLarge("one of them")))
    second = await batches.until(2)
    assert second.values == [b"patient"]
    second.answer.set_result(Written(0, None))
    assert (await patient).offset == 0


async def test_a_fault_of_ours_leaves_the_outcome_unknown() -> None:
    batches = ScriptedBatches()
    queue = queue_on(batches)
    receipt = put(queue, b"1")
    (await batches.until(1)).answer.set_exception(ZeroDivisionError("a bug"))
    with pytest.raises(OutcomeUnknown):
        await receipt


@pytest.mark.parametrize(("brokers_clock", "timestamp_ms"), [(True, 77), (False, 123)])
async def test_the_receipt_has_the_brokers_time_where_the_topic_takes_it_else_ours(
    brokers_clock: bool, timestamp_ms: int
) -> None:
    batches = ScriptedBatches()
    topic = Topic("sales", partitions=1, log_append_time=brokers_clock)
    queue = PartitionQueue(lambda: topic, Partition("sales", 0), batches)
    receipt = queue.put(Record("sales", None, b"2", timestamp_ms=123), 1, now_s() + 60)
    (await batches.until(1)).answer.set_result(Written(0, 77))
    assert (await receipt).timestamp_ms == timestamp_ms


async def test_closing_ends_the_task_that_waits_for_a_producer() -> None:
    batches = ScriptedBatches()
    batches.is_ready.clear()
    queue = queue_on(batches)
    receipt = put(queue, b"1", timeout_s=0.02)
    with pytest.raises(NotWritten):
        await receipt
    assert not queue.busy
    await queue.close()
    assert queue.waiting == 0


async def test_a_record_that_cannot_be_encoded_costs_its_neighbours_nothing() -> None:
    batches = ScriptedBatches(poison=b"bad")
    queue = queue_on(batches)
    before, bad, after = put(queue, b"1"), put(queue, b"bad"), put(queue, b"2")
    sent = await batches.until(1)
    assert sent.values == [b"1", b"2"]
    sent.answer.set_result(Written(0, None))
    assert [(await before).offset, (await after).offset] == [0, 1]
    with pytest.raises(Unprocessable):
        await bad


async def test_nobody_is_left_without_an_answer_whatever_fails() -> None:
    def fails() -> Topic:
        raise ZeroDivisionError

    queue = PartitionQueue(fails, Partition("sales", 0), ScriptedBatches())
    with pytest.raises(NotWritten):
        await put(queue, b"1")
    with pytest.raises(NotWritten):
        await put(queue, b"2")
