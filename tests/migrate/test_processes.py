"""A migration on real processes, disturbed: what each client got holds against the topic and the legacy service."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from proxy.migrate.stages import Setting
from tests.bridge import StartBridge
from tests.e2e.legacy import Legacy, legacy_service
from tests.e2e.records import until
from tests.kafka.cluster import Kafka
from tests.migrate.fleet import Fleet, fleet


@pytest_asyncio.fixture
async def legacy() -> AsyncIterator[Legacy]:
    async with legacy_service() as service:
        yield service


async def follow(one: Fleet, epoch: int) -> None:
    """Until every bridge is at that change."""

    async def all_follow() -> bool:
        epochs: list[int] = [(await one.seen(node))["epoch"] for node in one.nodes]
        return min(epochs) >= epoch

    await until(all_follow)


async def test_keys_climb_and_descend_while_a_bridge_is_killed_and_another_stands_still(
    bridge: StartBridge, kafka: Kafka, topic: str, legacy: Legacy
) -> None:
    async with fleet(bridge, kafka, legacy, topic, seed=7, bridges=2) as one:
        assert (await one.change(Setting("shadow"))).status == 200
        assert (await one.change(Setting("dual", 5_000))).status == 200
        await one.kill(one.nodes[0])
        changed = await one.change(Setting("dual"))
        assert changed.status == 200
        assert not one.killed & set(changed.answer["confirmed"])
        async with one.cut_off(one.nodes[1]):
            changed = await one.change(Setting("kafka", 5_000))
            assert changed.status == 200
        await follow(one, changed.answer["epoch"])
        pair = await asyncio.gather(one.change(Setting("kafka")), one.change(Setting("dual")))
        assert sorted(each.status for each in pair) in ([200, 409], [200, 200])
        before = len(one.answered)
        async with asyncio.timeout(10):
            while len(one.answered) < before + 30:  # some more, at the last stage
                await asyncio.sleep(0.01)
    assert {each.stage for each in one.answered} == {"legacy", "shadow", "dual", "kafka"}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(4))
async def test_any_sequence_of_changes_and_disturbances(
    bridge: StartBridge, kafka: Kafka, topic: str, legacy: Legacy, seed: int
) -> None:
    async with fleet(bridge, kafka, legacy, topic, seed, bridges=3) as one:
        for _ in range(20):
            node = one.chance.choice(one.nodes)
            match one.chance.choice(("change", "change", "change", "pair", "kill", "restart", "stop", "stop")):
                case "change":
                    await one.change(one.next_setting())
                case "pair":
                    await asyncio.gather(one.change(one.next_setting()), one.change(one.next_setting()))
                case "kill":
                    await one.kill(node)
                case "restart":
                    await one.restart(node)
                case "stop":
                    async with one.cut_off(node):
                        await one.change(one.next_setting())
        made = [each for each in one.changes if each.status == 200]
        assert len(made) >= 3, one.changes
        await follow(one, made[-1].answer["epoch"])


async def test_each_worker_of_a_bridge_takes_part_for_itself(
    bridge: StartBridge, kafka: Kafka, topic: str, legacy: Legacy
) -> None:
    async with fleet(bridge, kafka, legacy, topic, seed=1, bridges=1, workers=2) as one:
        changed = await one.change(Setting("shadow"))
        assert changed.status == 200, changed
        assert len(changed.answer["confirmed"]) == 2
        assert changed.answer["unconfirmed"] == []
        async with httpx.AsyncClient(base_url=one.nodes[0].bridge.admin_url) as admin:
            seen = (await admin.get("/admin/migration")).json()
            assert {each["replica"] for each in seen["workers"]} == set(changed.answer["confirmed"])
            [route] = (await admin.get("/admin/routes")).json()["routes"]
            assert route["migration"] == {"stage": "shadow", "rollout": "100%", "source": "control topic"}
            assert 'stepbridge_stage_share{route="stock",stage="shadow"} 1.0' in (await admin.get("/metrics")).text
