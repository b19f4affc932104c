"""How much is logged, changed while the bridge runs, in all its workers."""

import json
import os
import signal

import httpx

from tests.bridge import Bridge, StartBridge
from tests.e2e.client import client
from tests.e2e.configuration import config, produce
from tests.e2e.records import until
from tests.kafka.cluster import Kafka


def refusals(bridge: Bridge) -> list[dict[str, object]]:
    """The lines that only `debug` has: one for each request that is refused."""
    return [line for line in map(json.loads, bridge.log.splitlines()) if line["event"] == "refused"]


async def _told_by_both(running: Bridge) -> None:
    """Ask what nobody serves, each time on a connection of its own, until each worker has logged it."""

    async def both() -> bool:
        async with client(running.base_url) as http:
            assert (await http.get("/nothing")).status_code == 404
        return {line["worker"] for line in refusals(running)} == {0, 1}

    await until(both)


async def test_a_level_set_at_run_time_holds_in_all_workers_also_later_ones_until_a_reload(
    kafka: Kafka, bridge: StartBridge
) -> None:
    running = await bridge(config(kafka, produce("POST /orders", "orders")), workers=2)
    async with client(running.base_url) as http, client(running.admin_url) as admin:
        await http.get("/nothing")
        assert (await admin.get("/admin/log-level")).json() == {"level": "info"}
        assert refusals(running) == []
        assert (await admin.post("/admin/log-level?level=debug")).json() == {"level": "debug"}
        await _told_by_both(running)
        seen = len(refusals(running))
        await _replace_a_worker(running)
        assert (await admin.get("/admin/log-level")).json() == {"level": "debug"}

        async def new_one_tells() -> bool:
            async with client(running.base_url) as fresh:
                await fresh.get("/nothing")
            return any(line["worker"] == 0 for line in refusals(running)[seen:])

        await until(new_one_tells)
        await _reload(admin)
        assert (await admin.get("/admin/log-level")).json() == {"level": "info"}
        count = len(refusals(running))
        await http.get("/nothing")
        assert len(refusals(running)) == count
    assert all(line["request_id"] for line in refusals(running))


async def _replace_a_worker(running: Bridge) -> None:
    before = running.workers[0]
    os.kill(before, signal.SIGKILL)

    async def another() -> bool:
        return running.workers[0] != before

    await until(another)


async def _reload(admin: httpx.AsyncClient) -> None:
    answer = await admin.post("/admin/reload")
    assert answer.status_code == 200, answer.text
