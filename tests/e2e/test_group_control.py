"""An operator's side of groups, on two replicas and a real Kafka: whichever of them is asked, it is the same."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume
from tests.e2e.reader import Reader
from tests.e2e.records import Put, committed, until, write
from tests.e2e.test_admin import number
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll
from tests.kafka.node import free_port, free_ports

NOON_MS = int(time.time() * 1000) - 3_600_000  # within what the broker keeps
SECRET = "a secret of peers alone"
BOTH = (0, 1)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two replicas that read one topic of two partitions, one each, for one group."""

    kafka: Kafka
    topic: str
    replicas: tuple[Bridge, Bridge]
    admins: tuple[httpx.AsyncClient, httpx.AsyncClient]
    readers: tuple[Reader, Reader]

    @property
    def group(self) -> str:
        return self.topic

    @property
    def dead(self) -> str:
        return f"{self.topic}.dead"

    async def post(self, at: int, what: str, **query: Any) -> httpx.Response:
        return await self.admins[at].post(f"/admin/groups/{self.group}/{what}", params=query)

    async def letters(self, at: int, **query: Any) -> list[dict[str, Any]]:
        answer = await self.admins[at].get(f"/admin/groups/{self.group}/dead", params=query)
        assert answer.status_code == 200, answer.text
        assert answer.json()["is_complete"]
        letters: list[dict[str, Any]] = answer.json()["letters"]
        return letters

    async def shown(self, at: int) -> dict[str, Any]:
        """The group, but for what goes on while one looks."""
        [group] = (await self.admins[at].get("/admin/groups")).json()["groups"]
        assert isinstance(group, dict)
        return group

    async def committed(self) -> list[int | None]:
        found = [await committed(self.kafka, self.group, self.topic, partition) for partition in BOTH]
        return [each.offset if each is not None else None for each in found]


@pytest_asyncio.fixture
async def pair(bridge: StartBridge, kafka: Kafka, name: str) -> AsyncIterator[Pair]:
    """Five records in each partition, a second apart."""
    await kafka.create_topic(name, 2)
    await kafka.create_topic(f"{name}.dead", 2)
    await write(
        kafka,
        name,
        *(
            Put(b'"%d.%d"' % (partition, n), b"k%d" % n, partition, [("h", b"1")], NOON_MS + 1_000 * n)
            for partition in BOTH
            for n in range(5)
        ),
    )
    route = consume("GET /r", name, group=name, lease_ms=60_000, max_deliveries=2, dead_letter=f"{name}.dead")
    started = [
        await bridge(config(kafka, route, peer={"listen": f"127.0.0.1:{free_port()}", "secret": SECRET})) for _ in BOTH
    ]
    first, second = started
    async with (
        client(first.admin_url) as a,
        client(second.admin_url) as b,
        Reader(first.base_url, "/r") as c,
        Reader(second.base_url, "/r") as d,
    ):
        one = Pair(kafka, name, (first, second), (a, b), (c, d))

        async def are_joined() -> bool:
            for at in BOTH:
                group = await one.shown(at)
                told = [
                    each["is_reachable"] and each["is_joined"] and len(each["partitions"]) == 1
                    for each in group["members"]
                ]
                if told != [True, True] or any(each["end"] is None for each in group["partitions"]):
                    return False
            return True

        await until(are_joined, within_s=30)
        yield one


async def take(reader: Reader, count: int) -> list[str]:
    return sorted(await reader.take(count))


def everything(*partitions: int, start: int = 0) -> list[str]:
    return [f"{partition}.{n}" for partition in partitions or BOTH for n in range(start, 5)]


async def test_the_whole_group_is_shown_alike_at_both_replicas(pair: Pair) -> None:
    polled = await pair.readers[0].poll(most=3)
    await pair.readers[0].accept(polled.lease, polled.ids[1:])

    async def is_settled() -> bool:
        return [(await pair.shown(at))["leases_out"] for at in BOTH] == [1, 1]

    await until(is_settled, within_s=5)
    first, second = await pair.shown(0), await pair.shown(1)
    for group in (first, second):
        assert sum(each.pop("is_here") for each in group["members"]) == 1
        assert group.pop("oldest_lease_s") > 0
        for each in group["partitions"]:
            each.pop("oldest_lease_s")
    assert first == second
    assert (first["lag"], first["leases_out"], first["is_joined"], first["trouble"]) == (10, 1, True, None)
    assert [(each["partition"], each["end"]) for each in first["partitions"]] == [(0, 5), (1, 5)]
    assert len({each["owner"] for each in first["partitions"]}) == 2
    assert sum(each["holes"] for each in first["partitions"]) == 1
    for at in BOTH:  # lag is told by the owner alone
        lags = [
            await number(
                pair.admins[at], "stepbridge_group_lag_records", group=pair.group, topic=pair.topic, partition=p
            )
            for p in "01"
        ]
        assert sorted(lags) == [0, 5]
        assert await number(pair.admins[at], "stepbridge_peers_connected") == 1


async def test_a_replica_that_is_gone_is_shown_so_until_it_is_forgotten(pair: Pair) -> None:
    pair.replicas[1].kill()
    group = await pair.shown(0)
    assert [each["is_reachable"] for each in group["members"]].count(False) == 1
    [lost] = [each for each in group["members"] if not each["is_reachable"]]
    [partition] = [each for each in group["partitions"] if each["owner"] == lost["address"]]
    assert partition["lag"] is None


async def test_a_group_goes_to_the_end_back_to_the_beginning_to_a_time_and_to_an_offset_from_either_replica(
    pair: Pair,
) -> None:
    moved = (await pair.post(0, "seek", to="end")).json()["moved"]
    assert [(each["from"], each["to"], each["trouble"]) for each in moved] == [(0, 5, None)] * 2
    assert await pair.committed() == [5, 5]
    moved = (await pair.post(1, "seek", to="begin")).json()["moved"]
    assert [(each["from"], each["to"], each["trouble"]) for each in moved] == [(5, 0, None)] * 2
    assert await pair.committed() == [0, 0]
    assert await take(pair.readers[0], 10) == everything()
    between = datetime.fromtimestamp(NOON_MS / 1000 + 2.5, UTC).isoformat()
    answer = await pair.post(0, "seek", to=between)
    assert [each["to"] for each in answer.json()["moved"]] == [3, 3]
    assert await take(pair.readers[1], 4) == everything(start=3)
    answer = await pair.post(1, "seek", to=4, topic=pair.topic, partition=1)
    assert [(each["partition"], each["from"], each["to"]) for each in answer.json()["moved"]] == [(1, 5, 4)]
    assert await pair.committed() == [5, 4]
    assert await take(pair.readers[0], 1) == ["1.4"]


async def test_an_offset_outside_of_the_log_is_refused_with_its_range(pair: Pair) -> None:
    answer = await pair.post(0, "seek", to=6)
    assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid")
    assert [(each["begins"], each["ends"]) for each in answer.json()["ranges"]] == [(0, 5)] * 2
    assert (await pair.post(1, "seek", to="end", partition=7)).status_code == 422
    assert await pair.committed() in ([None, None], [0, 0], [0, None], [None, 0])


async def test_leases_from_before_a_seek_are_told_that_they_are_over(pair: Pair) -> None:
    polled = await pair.readers[0].poll(most=3)
    assert (await pair.post(1, "seek", to="begin")).status_code == 200
    answer = await pair.readers[0].ack(polled.lease, accept="all")
    assert (answer.status_code, answer.json()["code"]) in [(409, "lease_expired"), (409, "lease_moved")]
    assert await take(pair.readers[0], 10) == everything()


async def test_a_leased_record_is_skipped_from_either_replica_and_does_not_come_again(pair: Pair) -> None:
    polled = await pair.readers[0].poll(most=1)
    [record] = polled.ids
    for at, is_skipped in ((0, True), (1, False)):
        answer = await pair.post(at, "skip", record=record)
        assert (answer.status_code, answer.json()) == (200, {"record": record, "skipped": is_skipped})
    assert sorted(offset or 0 for offset in await pair.committed()) == [0, 1]
    await pair.readers[0].ack(polled.lease, release="all")
    assert polled.values[0] not in await take(pair.readers[1], 9)
    assert (await pair.post(0, "skip", record=f"{pair.topic}:0:5")).status_code == 422


async def test_dead_letters_are_listed_and_go_back_once(pair: Pair, consume_all: ConsumeAll) -> None:
    polled = await pair.readers[0].poll(most=1)
    answer = await pair.readers[0].ack(polled.lease, reject="all")
    assert answer.status_code == 200, answer.text
    [record] = polled.records
    [listed] = await pair.letters(1, values=1)
    assert (listed["origin"], listed["reason"], listed["deliveries"]) == (record["id"], "rejected", 1)
    assert (listed["key"], listed["value"], listed["is_replayed"]) == (record["key"], record["value"], False)
    assert "value" not in (await pair.letters(0))[0]
    replayed = (await pair.post(0, "replay", all=1)).json()
    [(name, to)] = [(each["id"], each["to"]) for each in replayed["replayed"]]
    assert (name, replayed["troubles"], replayed["is_complete"]) == (listed["id"], [], True)
    assert (await pair.post(1, "replay", all=1)).json()["replayed"] == []
    assert [each["is_replayed"] for each in await pair.letters(1)] == [True]
    [again] = [each for each in await consume_all(pair.topic) if f"{each.topic}:{each.partition}:{each.offset}" == to]
    assert (again.partition, again.key, again.value) == (
        record["partition"],
        record["key"].encode(),
        b'"%s"' % record["value"].encode(),
    )
    assert list(again.headers) == [("h", b"1"), ("stepbridge-replayed-from", name.encode())]
    assert sorted(await take(pair.readers[1], 10)) == everything()  # the one that was replayed, once more
    once_more = (await pair.post(1, "replay", id=name)).json()
    assert [each["id"] for each in once_more["replayed"]] == [name]


async def test_what_was_handed_out_too_often_is_a_dead_letter_of_its_own_reason(pair: Pair) -> None:
    await pair.post(0, "seek", to="end")
    await pair.post(0, "seek", to=4, partition=1)  # so that it is the only one
    for deliveries in (1, 2):
        polled = await pair.readers[0].poll(most=1)
        assert polled.deliveries == [deliveries]
        await pair.readers[0].ack(polled.lease, release="all")

    async def is_listed() -> bool:
        return [each["reason"] for each in await pair.letters(1)] == ["max_deliveries"]

    await until(is_listed, within_s=10)
    told = [
        await number(admin, "stepbridge_group_dead_letters_total", group=pair.group, reason="max_deliveries")
        for admin in pair.admins
    ]
    assert sum(told) == 1
    assert all([(await pair.shown(at))["dead_letters"] == 1 for at in BOTH])


async def test_two_workers_under_a_supervisor_are_one_group_to_an_operator(
    bridge: StartBridge, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 2)
    await write(kafka, name, *(Put(b"%d" % n, partition=n % 2) for n in range(10)))
    peer = {"listen": f"127.0.0.1:{free_ports(2)}", "secret": SECRET}
    running = await bridge(config(kafka, consume("GET /r", name, group=name), peer=peer), workers=2)
    async with client(running.admin_url) as admin:

        async def are_joined() -> bool:
            groups = (await admin.get("/admin/groups")).json()["groups"]
            owners = {each["owner"] for group in groups for each in group["partitions"]}
            reached = [each["is_reachable"] and each["is_joined"] for group in groups for each in group["members"]]
            return len(owners) == 2 and reached == [True, True]

        await until(are_joined, within_s=30)
        for to, offset in (("end", 5), ("begin", 0)):
            moved = (await admin.post(f"/admin/groups/{name}/seek?to={to}")).json()["moved"]
            assert [(each["partition"], each["to"], each["trouble"]) for each in moved] == [
                (0, offset, None),
                (1, offset, None),
            ]
            assert [found.offset for p in BOTH if (found := await committed(kafka, name, name, p))] == [offset] * 2
        for partition in BOTH:
            answer = await admin.post(f"/admin/groups/{name}/skip?record={name}:{partition}:0")
            assert (answer.status_code, answer.json()["skipped"]) == (200, True)
        assert (await admin.get(f"/admin/groups/{name}/dead")).json()["code"] == "no_dead_letters"
    async with Reader(running.base_url, "/r") as reader:
        assert sorted(await reader.take(8)) == list(range(2, 10))
