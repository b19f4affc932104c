"""A release as far as a machine without a cluster can play it: the bridge runs with what a pod would find."""

import asyncio
from pathlib import Path

import pytest

from tests.bridge import StartBridge
from tests.deploy.chart import VALUES, notes, render
from tests.deploy.pod import environment
from tests.kafka.cluster import Kafka
from tests.kafka.fixtures import ConsumeAll

pytestmark = pytest.mark.needs("helm", "curl")
(MINIMAL,) = [path for path in VALUES if path.stem == "minimal"]
ON_THIS_MACHINE = ("config.server.host=127.0.0.1", "config.admin.host=127.0.0.1")


async def test_the_curl_of_the_notes_writes_a_record(
    kafka: Kafka, topic: str, consume_all: ConsumeAll, bridge: StartBridge, free_port: int, tmp_path: Path
) -> None:
    """From values to a record in Kafka, with nothing of one's own but the values."""
    settings = [
        *ON_THIS_MACHINE,
        f"config.peer.listen=127.0.0.1:{free_port}",
        f"config.peer.advertise=${{POD_IP}}:{free_port}",
        f"config.kafka.bootstrap_servers={kafka.bootstrap}",
        f"config.routes[0].produce.topic={topic}",
    ]
    more = [f"--set={setting}" for setting in settings]
    release = render(MINIMAL, *more)
    running = await bridge(
        release.one("ConfigMap")["data"]["stepbridge.yaml"], env={**environment(release), "POD_IP": "127.0.0.1"}
    )

    curl = notes(MINIMAL, tmp_path / "copy", *more).strip().splitlines()[-1].strip()
    shell = await asyncio.create_subprocess_shell(
        curl.replace("http://localhost:8080", running.base_url), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(shell.communicate(), 20)

    assert said.startswith(b"HTTP/1.1 201 ")
    (record,) = await consume_all(topic)
    assert (record.key, record.value) == (b"sample-store:sample-sku", b'{"sku":"sample-sku"}')
