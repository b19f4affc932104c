"""Schemathesis on the bridge's own OpenAPI, against a running bridge on a real Kafka: bounded, no shrinking.

What it makes of the document, valid and not, is answered with a status that the document declares for the operation,
never with a 500, and with a body that fits what is declared.
"""

import asyncio
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis.checks import CHECKS, load_all_checks

from tests.bridge import StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, consume, produce
from tests.kafka.cluster import Kafka

EXAMPLES = 15  # for each operation; with the long tests twenty times as many
WANTED = ("not_a_server_error", "status_code_conformance", "content_type_conformance", "response_schema_conformance")


def try_all(document: dict[str, Any], base_url: str, examples: int) -> int:
    """Every operation of the document. Returns how many requests were made."""
    schema, made = schemathesis.openapi.from_dict(document), 0
    load_all_checks()
    checks = CHECKS.get_by_names(list(WANTED))
    for found in schema.get_all_operations():
        operation = found.ok()  # type: ignore[union-attr]  # raises for what is no operation

        @hypothesis.settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[hypothesis.Phase.generate],
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.given(case=operation.as_strategy())
        def ask(case: Any) -> None:
            nonlocal made
            made += 1
            if case.method == "GET":  # a long poll, or a stream, would take its time
                case.query = {**(case.query or {}), "wait": "0"}
                case.headers = {**(case.headers or {}), "Accept": "application/json"}
            case.call_and_validate(base_url=base_url, checks=checks, timeout=10)

        ask()
    return made


async def run(bridge: StartBridge, kafka: Kafka, topic: str, examples: int) -> None:
    routes = (
        produce("POST /in/{id}", topic, key="{path.id}"),
        produce("POST /checked", topic, key="{body.sku}"),
        produce("POST /many", topic, batch=True),
        consume("GET /feed", topic),
        consume("GET /group", topic, group=f"g-{topic}"),
    )
    running = await bridge(config(kafka, *routes, limits={"max_body_bytes": 20_000}))
    async with client(running.admin_url) as admin:
        document = (await admin.get("/openapi.json")).json()
    made = await asyncio.to_thread(try_all, document, running.base_url, examples)
    assert made > examples
    assert '"request_failed"' not in running.log


async def test_what_the_document_allows_is_answered_as_it_declares(
    bridge: StartBridge, kafka: Kafka, topic: str
) -> None:
    await run(bridge, kafka, topic, EXAMPLES)


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_five_times_as_much_of_it_too(bridge: StartBridge, kafka: Kafka, topic: str) -> None:
    await run(bridge, kafka, topic, 5 * EXAMPLES)
