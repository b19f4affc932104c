"""The bridge as people first meet it: by the curl of their terminal, with the lines of README.md."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.e2e.configuration import consume, produce
from tests.e2e.shared import SharedBridge

pytestmark = pytest.mark.needs("curl")
JSON = ("-H", "Content-Type: application/json")
SALE = '{"sku": "espresso-250g", "quantity": 2, "price_cents": 749}'


async def curl(*arguments: str) -> str:
    """What it prints; raises AssertionError unless it ends well within 20 s."""
    process = await asyncio.create_subprocess_exec("curl", *arguments, stdout=PIPE, stderr=PIPE)
    said, complaint = await asyncio.wait_for(process.communicate(), 20)
    assert process.returncode == 0, complaint.decode()
    return said.decode()


@asynccontextmanager
async def running(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec("curl", *arguments, stdout=PIPE)
    try:
        yield process
    finally:
        process.terminate()
        await process.wait()


async def lines_until(process: Process, start: bytes) -> list[bytes]:
    """The lines up to the one that begins so."""
    assert process.stdout is not None
    lines: list[bytes] = []
    async with asyncio.timeout(20):
        while not (lines and lines[-1].startswith(start)):
            line = await process.stdout.readline()
            assert line, f"it ended after {lines}"
            lines.append(line.rstrip(b"\r\n"))
    return lines


@pytest.fixture
async def routes(shared: SharedBridge) -> str:
    topic = shared.topic(1)
    await shared.add(
        produce("POST /stores/{store}/sales", topic, key="{path.store}:{body.sku}", batch=True),
        consume("GET /dashboard/events", topic, from_="earliest"),
        consume("GET /inventory/changes", topic, group=f"group-of-{topic}"),
    )
    return topic


async def test_a_sale_is_reported_and_comes_out_of_the_stream(shared: SharedBridge, routes: str) -> None:
    url = f"{shared.base_url}/dashboard/events"
    async with running("-sN", "-H", "Accept: text/event-stream", url) as stream:
        said = await curl("-si", f"{shared.base_url}/stores/berlin/sales", *JSON, "-d", SALE)
        head, _, body = said.partition("\r\n\r\n")
        assert head.startswith("HTTP/1.1 201 Created\r\n")
        assert "x-request-id: " in head
        data = (await lines_until(stream, b"data: "))[-1]
    event, receipt = json.loads(data.removeprefix(b"data: ")), json.loads(body)
    assert (event["key"], event["value"]) == ("berlin:espresso-250g", json.loads(SALE))
    assert (event["topic"], event["offset"]) == (receipt["topic"], receipt["offset"]) == (routes, 0)


async def test_a_group_is_read_and_acknowledged_with_what_curl_calls_a_form(shared: SharedBridge, routes: str) -> None:
    """`-d` alone says that it sends a form, and an ack is read as JSON all the same."""
    await curl("-s", f"{shared.base_url}/stores/berlin/sales", *JSON, "-d", SALE)
    url = f"{shared.base_url}/inventory/changes"
    page = json.loads(await curl("-s", f"{url}?max=100&wait=20"))
    assert [record["value"] for record in page["records"]] == [json.loads(SALE)]
    done = json.loads(await curl("-s", f"{url}/ack", "-d", json.dumps({"lease": page["lease"], "accept": "all"})))
    assert (done["accepted"], done["released"]) == (1, 0)


async def test_a_form_where_json_is_meant_is_told_what_to_write(shared: SharedBridge, routes: str) -> None:
    said = json.loads(await curl("-s", f"{shared.base_url}/stores/berlin/sales", "-d", "price_cents=749"))
    assert (said["status"], said["code"]) == (422, "field_missing")


async def test_results_of_an_upload_from_a_pipe_come_line_by_line(shared: SharedBridge, routes: str) -> None:
    url = f"{shared.base_url}/stores/berlin/sales"
    ndjson = (
        "-H",
        "Content-Type: application/x-ndjson",
        "-T",
        ".",
        "-X",
        "POST",
    )  # a dot, not a dash: results are read meanwhile
    upload = await asyncio.create_subprocess_exec("curl", "-sN", url, *ndjson, stdin=PIPE, stdout=PIPE)
    assert upload.stdin is not None
    for index in range(3):
        upload.stdin.write(SALE.encode() + b"\n")
        result = json.loads((await lines_until(upload, b"{"))[-1])  # before the next line is sent
        assert (result["index"], result["status"]) == (index, 201)
    upload.stdin.close()
    assert await asyncio.wait_for(upload.wait(), 20) == 0
