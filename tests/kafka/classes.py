"""Kafka's classes as the JVM has them in memory, in a file beside the jars: with it brokers start in half the CPU time.

`python -m tests.kafka.classes` makes it, once: a broker writes it when it ends. Without it, or with that of another
Java, brokers start as ever.
"""

import asyncio
import logging
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.kafka import jars
from tests.kafka.cluster import Kafka
from tests.kafka.node import Node


async def make() -> None:
    """Start a broker, let it do what every test has it do, and end it."""
    written = jars.classes().with_suffix(".new")
    with tempfile.TemporaryDirectory(prefix="stepbridge-classes-") as directory:
        node = Node(1, Path(directory) / "node")
        node.format(f"1@127.0.0.1:{node.controller_port}", 1)
        node.start(classes_to=written)
        try:
            kafka = Kafka.at(f"127.0.0.1:{node.port}")
            await kafka.answers()
            await kafka.create_topic("t", 2)
            await kafka.consume_all("t")
            node.end()
        finally:
            node.kill()
    written.replace(jars.classes())


def main() -> int:
    if jars.classes().exists():
        return 0
    print("Preparing Kafka's classes (the first time only)", flush=True)
    logging.disable()  # of a broker that does not answer yet
    try:
        asyncio.run(make())
    except (OSError, RuntimeError, subprocess.SubprocessError) as exc:
        print(f"That failed, and brokers start a little later for it: {exc}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
