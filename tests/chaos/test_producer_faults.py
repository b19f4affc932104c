"""Faults aimed at the writing side: what is left of order and of the truth, and how soon all is well again."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Any

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError

from tests.chaos.verdict import Outcome
from tests.chaos.writing import Writer, until, writer
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll

KEYS = [f"key-{number}" for number in range(6)]  # in both partitions of a topic


def outcomes(one: Writer) -> set[Outcome]:
    return {told.outcome for told in one.told}


def was_replaced(one: Writer, times: int) -> bool:
    return one.producer.replaced == times


async def all_write(one: Writer, since_s: float, within_s: float = 15.0) -> float:
    """Wait until every key has been written once more; returns how long that took."""
    return await until(lambda: all(any(t.at_s > since_s for t in one.written(key)) for key in KEYS), within_s)


# ---- Kafka is away


async def test_a_frozen_broker_that_wakes_up_writes_nothing_twice_nothing_late_and_nothing_out_of_order(
    own_kafka: Kafka, topic: str, consume_all: ConsumeAll, caplog: pytest.LogCaptureFixture
) -> None:
    """The batch it had when it froze was tried again: several copies of it lie in its sockets when it wakes."""
    async with writer(own_kafka, topic) as one:
        async with one.sending(KEYS):
            await all_write(one, 0)
            own_kafka.freeze()
            await until(lambda: caplog.text.count("Got error produce response") >= 2)
            own_kafka.thaw()
            await all_write(one, one.now_s)
        assert one.producer.replaced == 0, "its retry of the same batch is what keeps order and uniqueness"
        verdict = one.verdict(await consume_all(topic))
    assert verdict.is_clean, verdict.lies
    assert set(verdict.told) == {Outcome.WRITTEN, Outcome.NOT_WRITTEN, Outcome.UNKNOWN}
    assert verdict.unknown_found == verdict.told[Outcome.UNKNOWN], "Kafka had them, and it lost nothing"


@pytest.mark.long
async def test_a_broker_that_is_killed_and_comes_back_leaves_the_producer_as_it_was(
    own_kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    async with writer(own_kafka, topic) as one:
        async with one.sending(KEYS):
            await all_write(one, 0)
            own_kafka.kill()
            await until(lambda: Outcome.NOT_WRITTEN in outcomes(one))
            await own_kafka.restart()
            await all_write(one, one.now_s)
        assert one.producer.replaced == 0
        verdict = one.verdict(await consume_all(topic))
    assert verdict.is_clean, verdict.lies


async def test_a_producer_that_dies_while_kafka_is_frozen_writes_nothing_once_it_wakes(
    own_kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    """Its stopping would never end by itself. What it had is unknown, and the next one's records are not behind it."""
    async with writer(own_kafka, topic) as one:
        async with one.sending(KEYS):
            await all_write(one, 0)
            own_kafka.freeze()
            await until(lambda: Outcome.UNKNOWN in outcomes(one))
            trip_sender(one.settings.made[-1])
            await until(lambda: was_replaced(one, 1))
            own_kafka.thaw()
            await all_write(one, one.now_s)
        verdict = one.verdict(await consume_all(topic))
    assert verdict.is_clean, verdict.lies


# ---- the producer itself is broken


def end_sender(producer: AIOKafkaProducer) -> None:
    """As when its task was cancelled: at once, with nothing to send."""
    producer._sender.sender_task.cancel()


def trip_sender(producer: AIOKafkaProducer) -> None:
    """As an error of the library's own would: with a batch in its hands."""

    def drain(*_: object, **__: object) -> None:
        raise RuntimeError("as if by a mistake of the library's")

    producer._message_accumulator.drain_by_nodes = drain


def skip_sequence(producer: AIOKafkaProducer) -> None:
    """The broker takes none of its batches any more."""
    sequences = producer._txn_manager._sequence_numbers
    for partition in list(sequences):
        sequences[partition] += 7


@pytest_asyncio.fixture
async def one(kafka: Kafka, topic: str) -> AsyncIterator[Writer]:
    async with writer(kafka, topic) as one:
        assert (await one.send("first", "first")).outcome is Outcome.WRITTEN
        yield one


@pytest.mark.parametrize("broken", [end_sender, trip_sender, skip_sequence])
async def test_a_broken_producer_is_noticed_and_replaced_within_a_second(
    broken: Callable[[AIOKafkaProducer], None], one: Writer, topic: str, consume_all: ConsumeAll
) -> None:
    async with one.sending(KEYS):
        await all_write(one, 0)
        broken(one.settings.made[-1])
        assert await until(lambda: one.producer.replaced) < 1.0
        assert await all_write(one, one.now_s) < 3.0
    assert one.producer.replaced == 1
    verdict = one.verdict(await consume_all(topic))
    assert verdict.is_clean, verdict.lies


async def test_a_batch_that_kafka_never_answered_is_unknown_and_costs_no_producer(one: Writer) -> None:
    """Kafka is merely away: another producer would not know what this one has in its sockets."""
    producer = one.settings.made[-1]
    sound = producer.send_batch

    async def given_up(*batch: Any, **where: Any) -> asyncio.Future[None]:
        await sound(*batch, **where)
        answer = asyncio.get_running_loop().create_future()
        answer.set_exception(KafkaTimeoutError())
        return answer

    producer.send_batch = given_up
    assert (await one.send("first", "lost")).outcome is Outcome.UNKNOWN
    producer.send_batch = sound
    assert (await one.send("first", "after it")).outcome is Outcome.WRITTEN
    assert one.producer.replaced == 0


async def test_a_broken_sequence_costs_nobody_an_answer(one: Writer, topic: str, consume_all: ConsumeAll) -> None:
    """Nothing of a refused batch was written, so its records go out again by the next producer, in their order."""
    async with one.sending(KEYS):
        for times in (1, 2, 3):
            await all_write(one, one.now_s)
            skip_sequence(one.settings.made[-1])
            await until(partial(was_replaced, one, times))
        await all_write(one, one.now_s)
    verdict = one.verdict(await consume_all(topic))
    assert verdict.is_clean, verdict.lies
    assert set(verdict.told) == {Outcome.WRITTEN}
