"""`stepbridge check --live` against a real Kafka."""

import asyncio
import re
import sys
from pathlib import Path

from tests.kafka.cluster import Kafka


async def check(directory: Path, kafka: Kafka, *topics: str) -> tuple[int, str, str]:
    """Exit code and output of a check of a file with one route that writes to each topic."""
    routes = "\n".join(f"  - {{route: POST /{topic}, produce: {{topic: {topic}}}}}" for topic in topics)
    file = directory / "bridge.yaml"
    file.write_text(f"kafka: {{bootstrap_servers: '{kafka.bootstrap}'}}\nauth: none\nroutes:\n{routes}\n")
    command = (sys.executable, "-m", "proxy", "check", "--config", str(file), "--live")
    child = await asyncio.create_subprocess_exec(*command, stdout=-1, stderr=-1)
    out, err = await child.communicate()
    assert child.returncode is not None
    return child.returncode, out.decode(), err.decode()


async def test_a_topic_that_is_there_passes_and_shows_its_sample(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    code, out, err = await check(tmp_path, kafka, topic)
    assert (code, err) == (0, "")
    assert re.search(rf"^ok +{topic} +partitions 2, replicas 1, min.insync.replicas 1$", out, re.MULTILINE)
    assert re.search(rf"^topic {topic} +DESCRIBE, DESCRIBE_CONFIGS, WRITE +allowed$", out, re.MULTILINE)
    assert f"POST /{topic} (post-{topic}), a sample\n  body       sample\n" in out
    assert await kafka.consume_all(topic) == []


async def test_a_missing_topic_fails_and_is_not_made_by_asking(kafka: Kafka, topic: str, tmp_path: Path) -> None:
    code, out, _ = await check(tmp_path, kafka, topic, f"{topic}-missing")
    assert code == 1
    assert re.search(rf"^fail +{topic}-missing +does not exist", out, re.MULTILINE)
    assert f"{topic}-missing" not in await kafka.list_topics()


async def test_a_frozen_kafka_is_said_within_half_a_minute(own_kafka: Kafka, topic: str, tmp_path: Path) -> None:
    own_kafka.freeze()
    code, _, err = await check(tmp_path, own_kafka, topic)
    assert code == 1
    assert err.startswith("stepbridge: no Kafka broker answers at ")
    assert len(err.splitlines()) == 1
