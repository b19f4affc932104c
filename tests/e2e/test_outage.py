"""Kafka frozen, killed, or not there yet: every answer says whether the record was written, and all mends by itself."""

import asyncio
import itertools
import time
from dataclasses import dataclass, field

import httpx
import pytest

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.e2e.reader import Reader
from tests.e2e.records import committed, numbered, until, write
from tests.kafka.cluster import Kafka

TIMEOUT_S = 0.8  # of the routes here
LATE_S = 1.0  # this much after its deadline an answer may come, on a busy machine


@dataclass(slots=True)
class Answer:
    """What one POST was answered with."""

    value: bytes
    status: int
    code: str | None
    took_s: float
    place: tuple[int, int] | None  # partition and offset of a 201


@dataclass(slots=True)
class Till:
    """A client that posts one record after the other, under its own key, whatever is answered."""

    name: str
    answers: list[Answer] = field(default_factory=list)

    async def work(self, running: Bridge, stop: asyncio.Event) -> None:
        async with client(running.base_url) as http:
            for number in itertools.count():
                if stop.is_set():
                    return
                self.answers.append(await self._post(http, b"%s %d" % (self.name.encode(), number)))

    async def _post(self, http: httpx.AsyncClient, value: bytes) -> Answer:
        began_s = time.monotonic()
        answer = await http.post(f"/w/{self.name}", content=value)
        body = answer.json()
        place = (body["partition"], body["offset"]) if answer.status_code == 201 else None
        return Answer(value, answer.status_code, body.get("code"), time.monotonic() - began_s, place)

    @property
    def works(self) -> bool:
        """Its last answer was a receipt."""
        return bool(self.answers) and self.answers[-1].status == 201


async def all_work(tills: list[Till]) -> None:
    async def do() -> bool:
        return all(till.works for till in tills)

    await until(do, within_s=30)


@pytest.mark.parametrize("fault", ["frozen", "killed"])
async def test_through_an_outage_each_answer_is_true_and_in_time(
    fault: str, bridge: StartBridge, own_kafka: Kafka, name: str
) -> None:
    await own_kafka.create_topic(name, 2)
    route = produce("POST /w/{till}", name, key="{path.till}", timeout_ms=int(TIMEOUT_S * 1000))
    running = await bridge(config(own_kafka, route))
    tills = [Till(letter) for letter in "abcdefgh"]
    stop = asyncio.Event()
    working = [asyncio.create_task(till.work(running, stop)) for till in tills]
    await all_work(tills)
    if fault == "frozen":
        own_kafka.freeze()
        await all_refused(tills)
        own_kafka.thaw()
    else:
        own_kafka.kill()
        await all_refused(tills)
        await own_kafka.restart()
    await all_work(tills)
    stop.set()
    await asyncio.gather(*working)

    answers = [answer for till in tills for answer in till.answers]
    told = {(answer.status, answer.code) for answer in answers}
    assert told <= {(201, None), (503, "not_written"), (503, "kafka_unavailable"), (504, "outcome_unknown")}
    assert (504, "outcome_unknown") in told
    assert max(answer.took_s for answer in answers) < TIMEOUT_S + LATE_S
    found = {(r.partition, r.offset): r.value for r in await own_kafka.consume_all(name)}
    assert len(set(found.values())) == len(found), "a record is there twice"
    for answer in answers:
        if answer.place is not None:
            assert found.get(answer.place) == answer.value
        elif answer.status == 503:
            assert answer.value not in found.values(), f"{answer} is there all the same"
    for till in tills:
        places = [answer.place for answer in till.answers if answer.place is not None]
        assert places == sorted(places), f"the records of {till.name} are out of order"


async def all_refused(tills: list[Till]) -> None:
    """Wait until nobody has got a receipt for a while."""
    counts = [len(till.answers) for till in tills]

    async def is_so() -> bool:
        return all(len(till.answers) >= count + 3 and not till.works for till, count in zip(tills, counts, strict=True))

    await until(is_so, within_s=20)


async def test_what_waits_in_the_bridge_is_not_written_when_its_time_is_over(
    bridge: StartBridge, own_kafka: Kafka, name: str
) -> None:
    """One batch is with Kafka: its records are unknown. All behind it never left: a repeat of them is safe."""
    await own_kafka.create_topic(name)
    running = await bridge(config(own_kafka, produce("POST /w", name, timeout_ms=800)))
    async with client(running.base_url) as http:
        assert (await http.post("/w", content=b"before")).status_code == 201
        own_kafka.freeze()
        first = asyncio.create_task(http.post("/w", content=b"handed over"))
        await asyncio.wait([first], timeout=0.3)
        rest = await asyncio.gather(*(http.post("/w", content=b"waiting %d" % number) for number in range(20)))
        own_kafka.thaw()
        assert ((await first).status_code, (await first).json()["code"]) == (504, "outcome_unknown")
        assert {(answer.status_code, answer.json()["code"]) for answer in rest} == {(503, "not_written")}
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in rest)
        assert (await http.post("/w", content=b"after")).status_code == 201
    values = [record.value for record in await own_kafka.consume_all(name)]
    assert values in ([b"before", b"handed over", b"after"], [b"before", b"after"])


async def test_above_its_bounds_a_request_is_refused_at_once_and_room_is_given_back(
    bridge: StartBridge, own_kafka: Kafka, name: str
) -> None:
    await own_kafka.create_topic(name)
    routes = [
        produce("POST /few", name, timeout_ms=2_000, limits={"in_flight": 3}),
        produce("POST /any", name, timeout_ms=2_000),
    ]
    running = await bridge(config(own_kafka, *routes, limits={"in_flight_bytes": 10_000, "max_body_bytes": 10_000}))
    async with client(running.base_url) as http:
        assert (await http.post("/few")).status_code == 201
        own_kafka.freeze()
        held = [asyncio.create_task(http.post("/few", content=b"x" * 1_000)) for _ in range(3)]
        await asyncio.wait(held, timeout=0.3)
        began_s = time.monotonic()
        for answer in [await http.post("/few"), await http.post("/any", content=b"x" * 8_000)]:
            assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
            assert "retry-after" in answer.headers
        assert time.monotonic() - began_s < 1
        own_kafka.thaw()
        await asyncio.gather(*held)
        assert (await http.post("/few")).status_code == 201
        assert (await http.post("/any", content=b"x" * 8_000)).status_code == 201


async def test_a_bridge_started_before_kafka_works_once_kafka_is_there(
    bridge: StartBridge, own_kafka: Kafka, name: str
) -> None:
    await own_kafka.create_topic(name)
    await write(own_kafka, name, b"0")
    own_kafka.kill()
    running = await bridge(
        config(own_kafka, produce("POST /w", name, timeout_ms=500), consume("GET /r", name, group=name))
    )
    async with client(running.base_url) as http, Reader(running.base_url, "/r") as reader:
        answer = await http.post("/w", content=b"1")
        assert (answer.status_code, answer.json()["code"]) == (503, "kafka_unavailable")
        polling = asyncio.create_task(http.get("/r?wait=60"))
        await own_kafka.restart()

        async def is_taken() -> bool:
            return (await http.post("/w", content=b"2")).status_code == 201

        await until(is_taken, within_s=10)
        early = await polling
        assert early.status_code in (200, 503)
        values = [record["value"] for record in early.json().get("records", [])]
        if values:
            await reader.accept(early.json()["lease"])
        values += await reader.take(2 - len(values))
    assert values == [0, 2]


async def test_an_ack_in_an_outage_is_answered_when_it_is_committed(
    bridge: StartBridge, own_kafka: Kafka, name: str
) -> None:
    await own_kafka.create_topic(name)
    await write(own_kafka, name, *numbered(6))
    running = await bridge(config(own_kafka, consume("GET /r", name, group=name, lease_ms=60_000)))
    async with Reader(running.base_url, "/r") as reader:
        polled = await reader.poll(most=4)
        own_kafka.freeze()
        acking = asyncio.create_task(reader.ack(polled.lease, accept=polled.ids[:3]))
        await asyncio.wait([acking], timeout=1.0)
        assert not acking.done(), "answered without a commit"
        own_kafka.thaw()
        answer = await acking
        assert (answer.status_code, answer.json()["accepted"]) == (200, 3)
        commit = await committed(own_kafka, name, name)
        assert commit is not None
        assert commit.offset == 3
        assert (await reader.poll()).values == [4, 5]


@pytest.mark.long
async def test_an_ack_without_a_commit_is_unknown_and_can_be_repeated(
    bridge: StartBridge, own_kafka: Kafka, name: str
) -> None:
    await own_kafka.create_topic(name)
    await write(own_kafka, name, *numbered(6))
    running = await bridge(config(own_kafka, consume("GET /r", name, group=name, lease_ms=120_000)))
    async with Reader(running.base_url, "/r") as reader:
        polled = await reader.poll(most=4)
        own_kafka.kill()
        began_s = time.monotonic()
        answer = await reader.ack(polled.lease, accept="all")
        assert (answer.status_code, answer.json()["code"]) in [(504, "outcome_unknown"), (503, "unavailable")]
        assert time.monotonic() - began_s < 12
        await own_kafka.restart()

        async def is_accepted() -> bool:
            return (await reader.ack(polled.lease, accept="all")).status_code == 200

        await until(is_accepted, within_s=30)
        commit = await committed(own_kafka, name, name)
        assert commit is not None
        assert commit.offset == 4
        assert (await reader.poll()).values == [4, 5]


@pytest.mark.long
async def test_readers_go_on_after_kafka_was_killed(bridge: StartBridge, own_kafka: Kafka, name: str) -> None:
    await own_kafka.create_topic(name)
    await write(own_kafka, name, *numbered(5))
    running = await bridge(config(own_kafka, consume("GET /r", name, group=name, lease_ms=3_000)))
    async with Reader(running.base_url, "/r") as reader, client(running.admin_url) as admin:
        polled = await reader.poll()
        await reader.accept(polled.lease, polled.ids[:2])
        own_kafka.kill()

        async def is_noticed() -> bool:
            return (await admin.get("/readyz?strict=1")).status_code == 503

        await until(is_noticed, within_s=20)
        assert (await admin.get("/healthz")).status_code == 200
        assert (await admin.get("/readyz")).status_code == 200
        await own_kafka.restart()
        await write(own_kafka, name, b"5")
        values: list[int] = []

        async def all_came() -> bool:
            answer = await reader.http.get("/r?wait=5")
            if answer.status_code == 200 and answer.json()["records"]:
                await reader.accept(answer.json()["lease"])
                values.extend(record["value"] for record in answer.json()["records"])
            return len(values) >= 4

        await until(all_came, within_s=40)
        assert sorted(values) == [2, 3, 4, 5]


@pytest.mark.long
async def test_a_bridge_whose_kafka_is_frozen_still_drains(bridge: StartBridge, own_kafka: Kafka, name: str) -> None:
    """Every request is answered, by its deadline, and the process ends in time."""
    await own_kafka.create_topic(name)
    running = await bridge(
        config(own_kafka, produce("POST /w", name, timeout_ms=1_500), consume("GET /r", name, group=name))
    )
    async with client(running.base_url) as http:
        assert (await http.post("/w")).status_code == 201
        assert (await http.get("/r?wait=10")).status_code == 200
        own_kafka.freeze()
        posting = [asyncio.create_task(http.post("/w")) for _ in range(5)]
        polling = asyncio.create_task(http.get("/r?wait=30"))
        await asyncio.wait([*posting, polling], timeout=0.3)
        began_s = time.monotonic()
        assert await running.stop(within_s=25) == 0
        assert time.monotonic() - began_s < 20
        assert {(await each).status_code for each in posting} <= {503, 504}
        assert (await polling).status_code == 200


@pytest.mark.long
async def test_with_too_few_replicas_a_record_is_not_written_until_they_are_back(
    bridge: StartBridge, cluster: Kafka, name: str
) -> None:
    await cluster.create_topic(name)
    running = await bridge(config(cluster, produce("POST /w", name, timeout_ms=3_000)))
    async with client(running.base_url) as http:
        assert (await http.post("/w", content=b"all")).status_code == 201
        cluster.kill(2)

        async def is_taken() -> bool:
            return (await http.post("/w", content=b"two")).status_code == 201

        await until(is_taken, within_s=30)  # two in sync are enough
        cluster.kill(1)
        answers = [await http.post("/w", content=b"one") for _ in range(3)]
        assert {answer.status_code for answer in answers} <= {503, 504}
        await cluster.restart(1)
        await until(is_taken, within_s=60)
    values = [record.value for record in await cluster.consume_all(name)]
    written = sum(answer.status_code == 503 for answer in answers)
    assert values.count(b"one") <= 3 - written
