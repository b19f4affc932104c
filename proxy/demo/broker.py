"""The embedded broker: librdkafka's mock cluster, in memory, in a process of its own.

It speaks enough of Kafka's protocol for the scenario. What it cannot do (a second member in a group, DescribeConfigs,
offsets by time) is why the demo runs one bridge with one worker. As a program it makes the topics it is given, prints
its address, and stays until it is ended.
"""

import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from confluent_kafka import Producer

from proxy.demo.process import Child

START_TIMEOUT_S = 20.0
NOTE = (
    "Times to the readers are the embedded broker's: it answers a fetch that finds nothing only after 500 ms, and "
    "lets a group join in 3 s. On a real Kafka (demo --bootstrap HOST:PORT) they are those of the bridge."
)


@asynccontextmanager
async def embedded_broker(topics: Sequence[str], *, log: Path) -> AsyncIterator[str]:
    """A broker with these topics, by its `host:port`. Raises DemoFailed if it does not come up."""
    child = await Child.start("embedded broker", "proxy.demo.broker", *topics, log=log, talks=True)
    try:
        yield await child.line(timeout_s=START_TIMEOUT_S)
    finally:
        await child.stop(timeout_s=2.0)


def main(topics: Sequence[str]) -> None:
    producer = Producer({"test.mock.num.brokers": "1"})
    (broker,) = producer.list_topics(timeout=START_TIMEOUT_S).brokers.values()
    for topic in topics:
        producer.list_topics(topic, timeout=START_TIMEOUT_S)  # the mock makes a topic when it is first asked about
    sys.stdout.write(f"{broker.host}:{broker.port}\n")
    sys.stdout.flush()
    signal.pause()  # the cluster lives in this producer's threads


if __name__ == "__main__":
    main(sys.argv[1:])
