"""The embedded broker, for real: it is there, has its topics, and goes."""

import asyncio
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer  # the bridge's client, not the one that made the broker

from proxy.demo.broker import embedded_broker


async def test_the_broker_has_its_topics_takes_records_and_goes(tmp_path: Path) -> None:
    async with (
        embedded_broker(["demo.one", "demo.two"], log=tmp_path / "log") as address,
        AIOKafkaProducer(bootstrap_servers=address, enable_idempotence=True) as producer,
    ):
        partitions = {topic: await producer.partitions_for(topic) for topic in ("demo.one", "demo.two")}
        assert partitions == {"demo.one": {0, 1, 2, 3}, "demo.two": {0, 1, 2, 3}}
        sent = await producer.send_and_wait("demo.one", b"a record", partition=2)
        assert (sent.partition, sent.offset) == (2, 0)
    host, _, port = address.partition(":")
    with pytest.raises(OSError, match="Connect call failed"):
        await asyncio.open_connection(host, int(port))
