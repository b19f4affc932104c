"""docs/uses/logs-and-metrics.md: what each shipper of the page sends, as it sends it, and the answer."""

import gzip
import json
import re
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.client import client
from tests.e2e.shared import SharedBridge
from tests.kafka.cluster import Kafka
from tests.pages import BLOCKS, Block

PAGE = "docs/uses/logs-and-metrics.md"
EVENTS = [{"time": "2026-11-22T20:56:09.729Z", "log": "paid"}, {"time": "2026-11-22T20:56:09.730Z", "log": "sent"}]
BODY = json.dumps(EVENTS).encode()


def block(holding: str) -> Block:
    (found,) = [each for each in BLOCKS if each.page == PAGE and holding in each.text]
    return found


@pytest.fixture
async def ops(shared: SharedBridge) -> dict[str, str]:
    """The page's routes that write, with topics of the test's own: the topic of each of the page's."""
    routes = [route for route in yaml.safe_load(block("kafka:").text)["routes"] if "produce" in route]
    topics = {name: shared.topic(1) for name in {route["produce"]["topic"] for route in routes}}
    for route in routes:
        route["produce"]["topic"] = topics[route["produce"]["topic"]]
    await shared.add(*routes)
    return topics


def said(key: str, text: str) -> str:
    """What an option of a shipper's file is."""
    found = re.search(rf"(?m)^ *{key}(?: *[=:] *| +)\"?([^\s\"]+)", text)
    assert found is not None, key
    return found[1]


async def values(kafka: Kafka, topic: str) -> list[Any]:
    return [json.loads(record.value or b"") for record in await kafka.consume_all(topic)]


async def post(shared: SharedBridge, path: str, body: bytes, **headers: str) -> httpx.Response:
    async with client(shared.base_url) as http:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await http.post(path, content=body, headers=named)


async def test_what_fluent_bit_sends_is_a_record_an_event_and_201(
    shared: SharedBridge, kafka: Kafka, ops: dict[str, str]
) -> None:
    """One array of a chunk, compressed: 201 only if all of it is written, since it sends again what is answered 207."""
    conf = block("[OUTPUT]").text
    assert (said("format", conf), said("compress", conf)) == ("json", "gzip")
    kind = {"content_type": "application/json", "content_encoding": "gzip", "user_agent": "Fluent-Bit"}
    answer = await post(shared, said("uri", conf), gzip.compress(BODY), **kind)
    assert answer.status_code == 201, answer.text
    assert await values(kafka, ops["ops.logs"]) == EVENTS


async def test_what_vector_sends_is_the_event_and_its_answer_the_events(
    shared: SharedBridge, kafka: Kafka, ops: dict[str, str]
) -> None:
    sinks = yaml.safe_load(block("data_dir:").text)["sinks"]
    for name, topic in (("logs", "ops.logs"), ("metrics", "ops.metrics")):
        sink = sinks[name]
        assert sink["batch"] == {"max_events": 1}
        path = re.sub(r"^http://[^/]+", "", sink["uri"])
        kind = {"content_type": sink["request"]["headers"]["Content-Type"]}
        answer = await post(shared, path, json.dumps(EVENTS[0]).encode() + b"\n", **kind)
        assert answer.status_code == 201, answer.text
        assert await values(kafka, ops[topic]) == EVENTS[:1]


async def test_what_rsyslog_sends_is_the_message_and_its_answer_the_messages(
    shared: SharedBridge, kafka: Kafka, ops: dict[str, str]
) -> None:
    conf = block("omhttp").text
    assert said("batch", conf) == "off"
    kind = {"content_type": said("httpcontenttype", conf)}
    answer = await post(shared, "/" + said("restpath", conf), json.dumps(EVENTS[0]).encode(), **kind)
    assert answer.status_code == 201, answer.text
    assert await values(kafka, ops["ops.logs"]) == EVENTS[:1]
