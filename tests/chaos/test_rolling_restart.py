"""Three replicas are restarted one after the other under load: a client with one retry sees no failed request."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

import httpx

from tests.bridge import Bridge, StartBridge
from tests.chaos.writing import until
from tests.e2e.client import client
from tests.e2e.configuration import config, produce
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll

REPLICAS, CLIENTS = 3, 12
BETWEEN = 100  # records that are written between two restarts
DRAIN = {"delay_ms": 500, "timeout_ms": 10_000}


class RoundRobin:
    """Asks the replicas in turn; if one cannot, the one beside it, once."""

    def __init__(self, replicas: Sequence[httpx.AsyncClient]) -> None:
        self.answered: list[str] = []
        self.failed: list[str] = []
        self.broken: list[str] = []  # sent, and the connection ended without an answer: a retry may write it twice
        self._turns: Iterator[Sequence[httpx.AsyncClient]] = itertools.cycle(pairwise([*replicas, replicas[0]]))

    async def post(self, name: str) -> None:
        why = []
        for replica in next(self._turns):
            reason = await self._try(replica, name)
            if reason is None:
                self.answered.append(name)
                return
            why.append(reason)
        self.failed.append(f"{name}: {why}")

    async def _try(self, replica: httpx.AsyncClient, name: str) -> str | None:
        """None once it is written, else why not."""
        try:
            answer = await replica.post("/records", content=json.dumps({"id": name}))
        except httpx.ConnectError as exc:
            return repr(exc)
        except httpx.TransportError as exc:
            self.broken.append(name)
            return repr(exc)
        return None if answer.status_code == 201 else answer.text


async def restart(replica: Bridge) -> None:
    assert await replica.stop() == 0, replica.log
    replica.start()
    await replica.ready()


async def test_a_rolling_restart_fails_no_request_of_a_client_with_one_retry(
    bridge: StartBridge, kafka: Kafka, topic: str, consume_all: ConsumeAll
) -> None:
    text = config(kafka, produce("POST /records", topic), drain=DRAIN)
    replicas = [await bridge(text) for _ in range(REPLICAS)]
    https = [client(one.base_url) for one in replicas]
    one = RoundRobin(https)
    over = asyncio.Event()

    async def send_on(number: int) -> None:
        for count in itertools.count():
            if over.is_set():
                return
            await one.post(f"{number}-{count}")

    async with asyncio.TaskGroup() as group:
        for number in range(CLIENTS):
            group.create_task(send_on(number))
        for replica in replicas:
            so_far = len(one.answered)
            await until(lambda wanted=so_far + BETWEEN: len(one.answered) >= wanted)  # type: ignore[misc]
            await restart(replica)
        over.set()
    for http in https:
        await http.aclose()

    assert one.failed == []
    copies = Counter(json.loads(record.value or b"")["id"] for record in await consume_all(topic))
    assert copies.keys() == set(one.answered)
    assert {name for name, count in copies.items() if count > 1} <= set(one.broken)
    assert len(one.broken) <= 1, "a drain asks its clients to leave; only who sends at that very moment is unlucky"
