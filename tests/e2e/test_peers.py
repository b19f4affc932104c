"""Replicas that know each other as peers: any of them serves any client of a group."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from itertools import cycle
from typing import Any

import pytest_asyncio

from tests.bridge import Bridge, StartBridge
from tests.e2e.configuration import config, consume
from tests.e2e.reader import Polled, Reader
from tests.e2e.records import Put, committed, until, write
from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port

Open = Callable[[Bridge], Awaitable[Reader]]
PEER_SECRET = "what only these replicas know"


@pytest_asyncio.fixture
async def reader() -> AsyncIterator[Open]:
    """`await reader(running)`: a client of its route GET /r."""
    async with AsyncExitStack() as stack:

        async def of(running: Bridge) -> Reader:
            return await stack.enter_async_context(Reader(running.base_url, "/r"))

        yield of


def replica(kafka: Kafka, name: str, *, secret: str = PEER_SECRET, **keys: Any) -> str:
    """One more replica's file."""
    peer = {"listen": f"127.0.0.1:{free_port()}", "secret": secret}
    return config(kafka, consume("GET /r", name, group=name, **keys), peer=peer)


async def connected(*replicas: Bridge) -> None:
    """Wait until each has called all the others."""

    async def are() -> bool:
        return all(each.log.count('"event":"peer_connected"') >= len(replicas) - 1 for each in replicas)

    await until(are, within_s=20)


async def test_polls_and_acks_may_hop_from_replica_to_replica(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 4)
    replicas = [await bridge(replica(kafka, name, lease_ms=60_000)) for _ in range(3)]
    await connected(*replicas)
    await write(kafka, name, *(Put(b"%d" % n, partition=n % 4) for n in range(300)))
    readers = [await reader(each) for each in replicas]
    values: list[int] = []
    for here, there in zip(cycle(readers), cycle([*readers[1:], readers[0]]), strict=False):
        polled = await here.poll(most=20)
        await there.accept(polled.lease)
        values += polled.values
        if len(values) >= 300:
            break
    assert sorted(values) == list(range(300))
    offsets = [commit.offset for n in range(4) if (commit := await committed(kafka, name, name, n)) is not None]
    assert offsets == [75, 75, 75, 75]


async def test_more_replicas_than_partitions_starve_none_of_their_clients(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 1)
    replicas = [await bridge(replica(kafka, name)) for _ in range(2)]
    await connected(*replicas)
    polls = [asyncio.create_task((await reader(each)).poll(most=1)) for each in replicas]
    await write(kafka, name, Put(b"1"), Put(b"2"))
    got: list[Polled] = [await poll for poll in polls]
    assert sorted(each.values for each in got) == [[1], [2]]


async def test_who_was_killed_and_is_back_need_not_wait_for_its_own_session_to_end(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    """Without its former member leaving, joining takes the session's 6 s: the poll's wait would be over."""
    await kafka.create_topic(name, 1)
    text = replica(kafka, name)
    first = await bridge(text)
    await write(kafka, name, Put(b"1"))
    before = await reader(first)
    await before.accept((await before.poll()).lease)
    first.kill()
    await write(kafka, name, Put(b"2"))
    again = await bridge(text)
    assert (await (await reader(again)).poll(wait_s=3)).values == [2]
    assert '"event":"former_member_left"' in again.log


async def test_a_replica_with_another_secret_is_refused_and_serves_what_it_owns(
    bridge: StartBridge, reader: Open, kafka: Kafka, name: str
) -> None:
    await kafka.create_topic(name, 2)
    ours = await bridge(replica(kafka, name))
    stranger = await bridge(replica(kafka, name, secret="another one, alas"))

    async def are_refused() -> bool:
        return '"event":"peer_refused"' in ours.log and '"event":"peer_refused"' in stranger.log

    await until(are_refused, within_s=20)
    assert "peer.secret" in ours.log
    await write(kafka, name, Put(b"0", partition=0), Put(b"1", partition=1))
    values = [(await (await reader(each)).poll()).values for each in (ours, stranger)]
    assert sorted(values) == [[0], [1]]
