"""A bridge that ends, by SIGTERM or by a crash, and its successor; and two bridges that share a group."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import chain

import httpx
import pytest
import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume
from tests.e2e.reader import Reader
from tests.e2e.records import Put, committed, numbered, until, write
from tests.kafka.cluster import Kafka

Open = Callable[[Bridge], Awaitable[Reader]]


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Open]:
    """`await reader(running)`: a client of its route GET /r."""
    async with AsyncExitStack() as stack:

        async def of(running: Bridge) -> Reader:
            return await stack.enter_async_context(Reader(running.base_url, "/r"))

        yield of


async def end(running: Bridge, how: str) -> None:
    """As a deployment does, or as a crash does."""
    if how == "SIGKILL":
        running.kill()
    else:
        assert await running.stop() == 0, running.log


# ---- one after the other


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
async def test_what_was_accepted_never_comes_again_and_the_rest_does(
    how: str, bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 2)
    await write(kafka, name, *(Put(b"%d" % n, partition=n % 2) for n in range(40)))
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=1_000))
    first = await bridge(text)
    before = await reader(first)
    polled = await before.poll(most=40)
    while len(polled.records) < 30:  # both partitions
        await before.ack(polled.lease, release="all")
        polled = await before.poll(most=40)
    accepted = polled.records[1::3]
    await before.accept(polled.lease, [record["id"] for record in accepted])
    await end(first, how)

    after = await reader(await bridge(text))
    values = await after.take(40 - len(accepted))
    assert sorted(values) == sorted(set(range(40)) - {record["value"] for record in accepted})
    assert (await after.poll(wait_s=1)).records == []


@pytest.mark.parametrize("how", [pytest.param("SIGTERM", marks=pytest.mark.long), "SIGKILL"])
async def test_a_lease_of_before_the_restart_can_be_accepted_after_it(
    how: str, bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(10))
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=60_000))
    first = await bridge(text)
    polled = await (await reader(first)).poll(most=6)
    assert polled.values == [0, 1, 2, 3, 4, 5]
    await end(first, how)

    after = await reader(await bridge(text))
    answer = await after.ack(polled.lease, accept=[*polled.ids[:3], polled.ids[5]], release=[polled.ids[4]])
    assert (answer.status_code, answer.json()) == (200, {"accepted": 4, "released": 1, "rejected": 0, "renewed": 0})
    commit = await committed(kafka, name, name)
    assert commit is not None
    assert commit.offset == 3
    assert {4, 6, 7, 8, 9} <= set((await after.poll()).values) <= {3, 4, 6, 7, 8, 9}


async def test_after_a_drain_what_is_out_is_held_back_until_its_lease_ends_and_counts_go_on(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(4))
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=4_000))
    first = await bridge(text)
    before = await reader(first)
    polled = await before.poll(most=2)
    await before.ack(polled.lease, release="all")
    leased_s = time.monotonic()
    polled = await before.poll(most=2)
    assert polled.deliveries == [2, 2]
    assert await first.stop() == 0

    after = await reader(await bridge(text))
    came: dict[int, tuple[int, float]] = {}  # by value: deliveries, and seconds since the lease
    while len(came) < 4:
        taken = await after.poll()
        await after.accept(taken.lease)
        since_s = time.monotonic() - leased_s
        came |= {record["value"]: (record["deliveries"], since_s) for record in taken.records}
    assert [came[value][0] for value in range(4)] == [3, 3, 1, 1]
    assert min(came[0][1], came[1][1]) >= 3.9


async def test_with_two_secrets_the_older_one_still_opens_leases(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    old, new = "the secret of last year", "the secret of this year"
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(2))
    route = consume("GET /r", name, group=name, lease_ms=60_000)
    first = await bridge(config(kafka, route, secret=old))
    polled = await (await reader(first)).poll(most=1)
    assert await first.stop() == 0
    second = await bridge(config(kafka, route, secret=[new, old]))
    await (await reader(second)).accept(polled.lease)
    newer = await (await reader(second)).poll()
    assert newer.values == [1]
    assert await second.stop() == 0
    third = await reader(await bridge(config(kafka, route, secret=new)))
    assert (await third.ack(polled.lease, accept="all")).status_code == 403
    await third.accept(newer.lease)


async def test_without_a_secret_the_log_says_what_a_restart_costs(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name)
    await write(kafka, name, *numbered(2))
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=2_000), secret=[])
    first = await bridge(text)
    polled = await (await reader(first)).poll()
    assert '"event":"secret_made_up"' in first.log
    assert "secret" in first.log
    assert await first.stop() == 0
    after = await reader(await bridge(text))
    answer = await after.ack(polled.lease, accept="all")
    assert (answer.status_code, answer.json()["code"]) == (403, "token_not_ours")
    assert (await after.poll()).values == [0, 1]


# ---- two at once


async def partitions_of(running: Bridge, group: str) -> list[int]:
    """The partitions that this bridge has of the group."""
    async with client(running.admin_url) as admin:
        groups = (await admin.get("/admin/groups")).json()["groups"]
    (mine,) = [each for each in groups if each["group"] == group]
    return [partition["partition"] for partition in mine["partitions"]]


async def shared_out(group: str, *running: Bridge) -> None:
    """Wait until each of these bridges has partitions, and together they have all four."""

    async def is_so() -> bool:
        parts = [await partitions_of(each, group) for each in running]
        return all(parts) and sorted(chain.from_iterable(parts)) == [0, 1, 2, 3]

    await until(is_so, within_s=20)


async def test_two_bridges_share_a_group_a_record_goes_to_one_client_and_is_acknowledged_where_it_came_from(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 4)
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=60_000))
    both = [await bridge(text), await bridge(text)]
    await shared_out(name, *both)
    await write(kafka, name, *(Put(b"%d" % n, partition=n % 4) for n in range(200)))
    one, other = [await reader(each) for each in both]
    polled = await one.poll(most=10)
    elsewhere = await other.ack(polled.lease, accept="all")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "lease_moved")
    await one.accept(polled.lease)
    values = await asyncio.gather(one.take(100 - len(polled.records)), other.take(100))
    assert sorted([*polled.values, *values[0], *values[1]]) == list(range(200))


@pytest.mark.parametrize("how", ["SIGTERM", pytest.param("SIGKILL", marks=pytest.mark.long)])
async def test_when_one_of_two_bridges_ends_the_other_goes_on_with_everything(
    how: str, bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 4)
    await write(kafka, name, *(Put(b"%d" % n, partition=n % 4) for n in range(80)))
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=1_500))
    stays, goes = [await bridge(text), await bridge(text)]
    await shared_out(name, stays, goes)
    accepted: list[int] = []
    leaving = await reader(goes)
    polled = await leaving.poll(most=10)
    await leaving.accept(polled.lease, polled.ids[:5])
    accepted += polled.values[:5]
    began_s = time.monotonic()
    await end(goes, how)
    staying = await reader(stays)
    accepted += await staying.take(75)
    assert sorted(accepted) == list(range(80))
    assert time.monotonic() - began_s < 20
    assert (await staying.poll(wait_s=0)).records == []


@pytest.mark.long
async def test_readers_go_on_through_a_rolling_restart(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    """Each bridge is replaced in turn while records are written, read and accepted: nothing accepted comes again."""
    await kafka.create_topic(name, 4)
    text = config(kafka, consume("GET /r", name, group=name, lease_ms=2_000))
    running = [await bridge(text), await bridge(text)]
    accepted: list[int] = []
    stop = asyncio.Event()

    async def read(which: int) -> None:
        while not stop.is_set():
            one = await reader(running[which])
            try:
                polled = await one.poll(wait_s=1)
                answer = await one.ack(polled.lease, accept="all") if polled.records else None
            except (AssertionError, OSError, httpx.HTTPError):
                await asyncio.sleep(0.05)  # it is being replaced
                continue
            if answer is not None and answer.status_code == 200:
                accepted.extend(polled.values)
            elif answer is not None and answer.status_code == 409:
                refused = set(answer.json()["refused"])
                accepted.extend(r["value"] for r in polled.records if r["id"] not in refused)

    reading = [asyncio.create_task(read(which)) for which in (0, 1)]
    for which in (0, 1):
        await write(kafka, name, *(Put(b"%d" % n, partition=n % 4) for n in range(which * 100, which * 100 + 100)))
        former = running[which]
        assert await former.stop() == 0
        running[which] = await bridge(text)
    async with asyncio.timeout(30):
        while len(set(accepted)) < 200:
            await asyncio.sleep(0.05)
    stop.set()
    await asyncio.gather(*reading)
    assert sorted(accepted) == list(range(200))
