"""Records that the broker refuses although the bridge lets them pass: only the guilty one fails.

A refusal fails a whole batch and breaks the producer's sequence for good. Neighbours share the partitions, the batches
and the producer with the guilty client, and see nothing of it.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from tests.bridge import Bridge, StartBridge
from tests.chaos.load import Client, Pace
from tests.chaos.stage import PATH
from tests.chaos.verdict import Outcome, judge
from tests.chaos.writing import found, until
from tests.e2e.client import client
from tests.e2e.configuration import config, produce
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll

NEIGHBOURS, RECORDS = 8, 60  # of each, and at least
FAR_OFF_MS = 4_102_444_800_000  # 2100; a topic takes what lies an hour ahead, unless it is told otherwise
BODY = {"id": "guilty", "key": "guilty"}


@asynccontextmanager
async def neighbours(running: Bridge) -> AsyncIterator[Sequence[Client]]:
    """Clients that send all the time. On leaving they have had their last answer."""
    clients = [Client(number, [running.port], seed=1) for number in range(NEIGHBOURS)]
    over = asyncio.Event()
    pace = Pace(time.monotonic(), apart_s=0.005, at_most_s=60, over=over)
    async with asyncio.TaskGroup() as group:
        for one in clients:
            group.create_task(one.run(100_000, pace))
        try:
            await until(lambda: all(one.told for one in clients))
            yield clients
            await until(lambda: all(len(one.told) >= RECORDS for one in clients))
        finally:
            over.set()


async def unharmed(clients: Sequence[Client], log: ConsumeAll, topic: str, *, guilty: int = 0) -> None:
    """Every record of theirs is written, once, at its place, in order; of the guilty one's there are so many."""
    told = [told for one in clients for told in one.told]
    records = await log(topic)
    theirs = [record for record in records if record.key != b"guilty"]
    assert len(records) - len(theirs) == guilty
    verdict = judge(told, [found(record) for record in theirs], lasted_s=0)
    assert verdict.is_clean, verdict.lies
    assert set(verdict.told) == {Outcome.WRITTEN}, verdict.reasons


async def test_a_client_that_keeps_sending_what_the_broker_refuses_costs_its_neighbours_nothing(
    bridge: StartBridge, kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    """Timestamps out of the topic's range: the bridge never learns, so each one gets as far as the broker."""
    guilty = produce("POST /guilty", topic, key="{body.key}", timestamp="{query.at}")
    running = await bridge(config(kafka, produce(f"POST {PATH}", topic, key="{body.key}"), guilty))
    async with client(running.base_url) as http, neighbours(running) as clients:
        for _ in range(20):
            answer = await http.post(f"/guilty?at={FAR_OFF_MS}", json=BODY)
            assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    await unharmed(clients, consume_all, topic)
    assert "producer_replaced" in running.log, "the broker refused nothing: this test has shown nothing"


async def test_a_client_whose_records_are_too_large_since_a_moment_ago_costs_its_neighbours_nothing(
    bridge: StartBridge, kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    """The topic's limit falls behind the bridge's back, again and again."""
    running = await bridge(config(kafka, produce(f"POST {PATH}", topic, key="{body.key}")))
    async with client(running.base_url) as http, neighbours(running) as clients:
        taken = 0  # before the broker minds its new limit
        for limit_bytes in (40_000, 20_000, 10_000):
            await limit(kafka, topic, limit_bytes)
            while not await is_refused(http, 2 * limit_bytes):
                taken += 1
                assert taken < 1_000, f"the broker still takes more than {limit_bytes} bytes"
            assert await is_refused(http, limit_bytes)
    await unharmed(clients, consume_all, topic, guilty=taken)
    assert "producer_replaced" in running.log, "the broker refused nothing: this test has shown nothing"


async def is_refused(http: httpx.AsyncClient, size_bytes: int) -> bool:
    """Whether a record of more than that size is refused as too large; else it was written."""
    answer = await http.post(PATH, content=json.dumps({**BODY, "pad": "x" * size_bytes}))
    if answer.status_code == 201:
        return False
    assert (answer.status_code, answer.json()["code"]) == (413, "record_too_large"), answer.text
    return True


async def limit(kafka: Kafka, topic: str, max_message_bytes: int) -> None:
    """Change what the topic takes, behind the bridge's back."""
    wanted = ConfigResource(ConfigResourceType.TOPIC, topic, {"max.message.bytes": str(max_message_bytes)})
    async with kafka.admin() as admin:
        await admin.alter_configs([wanted])
