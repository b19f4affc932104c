"""The whole scenario against a scripted bridge: a faithful one passes, and each kind of unfaithful one does not."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from proxy.demo.check import Script, play
from proxy.demo.process import DemoFailed
from proxy.demo.retail import DASHBOARD, INVENTORY, PRICING, RECOMMENDATION
from proxy.demo.stage import client_session
from proxy.demo.verdict import Verdict
from tests.demo.scripted import LEASE_S, Record, ScriptedBridge

SCRIPT = Script(
    rounds=2,
    arrive_within_s=LEASE_S + 1,
    quiet_s=LEASE_S + 1,  # and more than a reader of NDJSON waits before it comes back
    drops={DASHBOARD: (40, 120)},
)
# No connection lost in full flow: a tampered batch might be lost with it, and come again as it should be.
CALM = replace(SCRIPT, drops={})


@asynccontextmanager
async def serving(bridge: ScriptedBridge) -> AsyncIterator[aiohttp.ClientSession]:
    server = TestServer(bridge.app())
    await server.start_server()
    try:
        async with client_session(str(server.make_url("/"))) as http:
            yield http
    finally:
        await server.close()


async def verdict_on(bridge: ScriptedBridge, script: Script = SCRIPT) -> Verdict:
    async with serving(bridge) as http:
        return await play(http, script, lambda text: None)


async def test_a_faithful_bridge_passes_and_everything_that_goes_wrong_on_purpose_happened() -> None:
    bridge = ScriptedBridge()
    verdict = await verdict_on(bridge)
    assert verdict.failures == []
    rows = {(row.reader, row.topic): row for row in verdict.rows}
    assert all(row.seen == row.sent > 0 for row in rows.values())
    assert sum(row.again_before for row in rows.values() if row.reader == INVENTORY) > 0
    assert sum(row.again_before for row in rows.values() if row.reader != INVENTORY) == 0
    resumed = [headers for headers in bridge.headers if "Last-Event-ID" in headers]
    assert len(resumed) == 2 + 2 * 3  # the dashboard's own, and those of every stream in a pause


class Nth:
    """Tampers with the n-th record of one reader, once."""

    def __init__(self, reader: str, nth: int, tamper: str) -> None:
        self.reader, self.nth, self.how = reader, nth, tamper
        self.passed: Counter[str] = Counter()
        self.early: list[Record] = []

    def __call__(self, reader: str, records: list[Record]) -> list[Record]:
        self.passed[reader] += len(records)
        if reader != self.reader or self.passed[reader] < self.nth or not records:
            self.early.extend(record for record in records if reader == self.reader)
            return records
        done, self.nth = getattr(self, self.how)(records), 10**9
        return list(done)

    def lose(self, records: list[Record]) -> list[Record]:
        return records[1:]

    def repeat(self, records: list[Record]) -> list[Record]:
        return [*records, self.early[0]]

    def alter(self, records: list[Record]) -> list[Record]:
        return [{**records[0], "value": {**records[0]["value"], "quantity": -1}}, *records[1:]]


@pytest.mark.parametrize(
    ("reader", "tamper", "complaint"),
    [
        (PRICING, "lose", "never arrived"),
        (RECOMMENDATION, "lose", "never arrived"),
        (DASHBOARD, "lose", "never arrived"),
        (PRICING, "repeat", "came again after"),
        (DASHBOARD, "repeat", "came again after"),
        (RECOMMENDATION, "alter", "another value"),
    ],
)
async def test_an_unfaithful_bridge_fails(reader: str, tamper: str, complaint: str) -> None:
    verdict = await verdict_on(ScriptedBridge(Nth(reader, 70, tamper)), CALM)
    assert len(verdict.failures) == 1
    assert verdict.failures[0].startswith(f"{reader}: 1 of ")
    assert complaint in verdict.failures[0]


async def test_a_bridge_that_swaps_two_records_of_a_key_fails() -> None:
    held: list[Record] = []

    def swap(reader: str, records: list[Record]) -> list[Record]:
        """Hold one back until a later one with its key has passed."""
        if reader != DASHBOARD or not records:
            return records
        if not held:
            held.append(records[0])
            return [*records[1:]]
        late = held[0]
        for place, record in enumerate(records):
            if len(held) == 1 and (record["topic"], record["key"]) == (late["topic"], late["key"]):
                held.append(record)
                return [*records[: place + 1], {**late, "offset": record["offset"]}, *records[place + 1 :]]
        return records

    verdict = await verdict_on(ScriptedBridge(swap), CALM)
    assert [failure.partition(" of ")[0] for failure in verdict.failures] == ["dashboard: 1"]
    assert "out of order" in verdict.failures[0]


async def test_a_bridge_that_forgets_a_release_fails() -> None:
    """The record left behind never comes again, and neither does what was released."""

    bridge = ScriptedBridge()
    bridge.groups[INVENTORY].release = lambda name: None  # type: ignore[method-assign]
    verdict = await verdict_on(bridge, CALM)
    assert any(failure.startswith("inventory") and "did not come again" in failure for failure in verdict.failures)


async def test_a_bridge_that_ends_in_the_middle_ends_the_check_with_the_reason() -> None:
    async def ends() -> None:
        raise DemoFailed("the bridge ended by itself with status 1")

    async with serving(ScriptedBridge()) as http:
        with pytest.raises(DemoFailed, match="the bridge ended by itself"):
            await play(http, CALM, lambda text: None, ends())


async def test_a_bridge_without_a_dashboard_is_told_from_a_slow_one() -> None:
    async with TestServer(web.Application()) as nothing, client_session(str(nothing.make_url("/"))) as http:
        with pytest.raises(DemoFailed, match=r"/dashboard/events .*did not open within .*404"):
            await play(http, replace(CALM, open_within_s=0.5), lambda text: None)
