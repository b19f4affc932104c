"""Several bridges on one Kafka, before one legacy service, with clients that never stop: a migration to be disturbed.

What every client got is noted down, and what every change of stage answered; `check` holds the two against the topic
and against what the legacy service was sent.
"""

import asyncio
import contextlib
import json
import random
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from proxy.migrate.stages import STAGES, Setting, forbidden
from tests.bridge import Bridge, StartBridge
from tests.e2e.configuration import config, produce
from tests.e2e.legacy import Legacy
from tests.e2e.records import contents, until
from tests.kafka.cluster import Kafka

ROUTE = "stock"
KEYS = tuple(f"sku-{number}" for number in range(6))
IN_KAFKA, AT_LEGACY = ("dual", "kafka"), ("legacy", "shadow", "dual")


@dataclass(frozen=True, slots=True)
class Answered:
    """A 2xx: which request of which key, from which life of which bridge, and at which stage it was served."""

    key: str
    number: int
    replica: str
    stage: str
    began_s: float
    ended_s: float


@dataclass(slots=True)
class Changed:
    """A change that was asked for, from when until when, and what was answered."""

    setting: Setting
    began_s: float
    ended_s: float
    status: int
    answer: dict[str, Any]
    present: set[str]  # the replicas that had not left
    stopped: set[str]  # those of them that could not answer all the while


@dataclass(slots=True)
class Node:
    """One bridge; `replica` is the id of its present life."""

    bridge: Bridge
    replica: str = ""
    is_stopped: bool = False


@dataclass
class Fleet:
    """See the head of this file."""

    kafka: Kafka
    legacy: Legacy
    topic: str
    chance: random.Random
    nodes: list[Node] = field(default_factory=list)
    answered: list[Answered] = field(default_factory=list)
    changes: list[Changed] = field(default_factory=list)
    refusals: dict[int, int] = field(default_factory=dict)
    killed: set[str] = field(default_factory=set)
    setting: Setting = field(default_factory=lambda: Setting("legacy"))

    # ---- clients

    async def client(self, key: str) -> None:
        """One request after the other, each to any bridge that runs."""
        async with httpx.AsyncClient(timeout=15) as http:
            for number in range(1_000_000):
                node = self.chance.choice([each for each in self.nodes if not each.is_stopped])
                await self._ask(http, node, key, number)
                await asyncio.sleep(self.chance.uniform(0, 0.03))

    async def _ask(self, http: httpx.AsyncClient, node: Node, key: str, number: int) -> None:
        replica, began_s = node.replica, time.monotonic()
        try:
            answer = await http.post(f"{node.bridge.base_url}/stock", json={"sku": key, "n": number})
        except httpx.HTTPError:
            self.refusals[0] = self.refusals.get(0, 0) + 1
            return
        if not answer.is_success:
            self.refusals[answer.status_code] = self.refusals.get(answer.status_code, 0) + 1
            return
        stage = answer.headers["stepbridge-stage"]
        if replica == node.replica and not node.bridge.workers:  # else it is not known which life has answered
            self.answered.append(Answered(key, number, replica, stage, began_s, time.monotonic()))

    # ---- disturbances

    async def change(self, setting: Setting) -> Changed:
        """Ask one bridge for this stage."""
        node = self.chance.choice([each for each in self.nodes if not each.is_stopped])
        words = {"stage": setting.stage, "who": "test", "why": "a test", "accept_gap": 10**9}
        if setting.stage != "legacy":
            words["rollout"] = setting.rollout
        present, stopped = {each.replica for each in self.nodes}, {n.replica for n in self.nodes if n.is_stopped}
        began_s = time.monotonic()
        async with httpx.AsyncClient(timeout=30) as http:
            answer = await http.post(f"{node.bridge.admin_url}/admin/migration/{ROUTE}/set", params=words)
        document = answer.json()
        made = Changed(setting, began_s, time.monotonic(), answer.status_code, document, present, stopped)
        self.changes.append(made)
        if made.status == 200:
            self.setting = setting
        return made

    def next_setting(self) -> Setting:
        """Any that is a step from where the route is."""
        while True:
            stage = self.chance.choice(STAGES)
            share = self.chance.choice((2_500, 5_000, 10_000)) if stage != "legacy" else 10_000
            setting = Setting(stage, share)
            if setting != self.setting and forbidden(self.setting, setting) is None:
                return setting

    async def kill(self, node: Node) -> None:
        """And start it anew."""
        self.killed.add(node.replica)
        node.is_stopped, node.replica = True, ""
        node.bridge.kill()
        await self.start(node)

    async def restart(self, node: Node) -> None:
        """As an operator does: it drains first."""
        node.is_stopped = True
        assert await node.bridge.stop() == 0, node.bridge.log
        await self.start(node)

    async def start(self, node: Node) -> None:
        node.bridge.start()
        await node.bridge.ready()
        await self.learn(node)

    async def learn(self, node: Node) -> None:
        """Which replica it is now, once it takes part: before that it serves no stage, and no change waits for it."""

        async def takes_part() -> bool:
            return bool((await self.seen(node))["is_fresh"])

        await until(takes_part)
        node.replica = (await self.seen(node))["replica"]
        node.is_stopped = False

    async def seen(self, node: Node) -> dict[str, Any]:
        """Its own /admin/migration of the route."""
        async with httpx.AsyncClient(timeout=10) as http:
            answer = await http.get(f"{node.bridge.admin_url}/admin/migration/{ROUTE}")
        found: dict[str, Any] = answer.json()
        return found

    @asynccontextmanager
    async def cut_off(self, node: Node) -> AsyncIterator[None]:
        """It neither hears nor is heard: the process stands still."""
        node.is_stopped = True
        node.bridge.signal(signal.SIGSTOP)
        try:
            yield
        finally:
            node.bridge.signal(signal.SIGCONT)
            node.is_stopped = False

    # ---- what must hold

    async def check(self) -> None:
        self.check_named()
        self.check_stages()
        await self.check_records()

    def check_named(self) -> None:
        """Every replica that has not confirmed is named; of two changes at a time one was lost."""
        made = [each for each in self.changes if each.status == 200]
        epochs = [each.answer["epoch"] for each in made]
        assert len(set(epochs)) == len(epochs), epochs
        for each in made:
            unconfirmed = {one["replica"] for one in each.answer["unconfirmed"]}
            assert each.present - {""} <= unconfirmed | set(each.answer["confirmed"]), each
            assert each.stopped - {""} <= unconfirmed, each

    def check_stages(self) -> None:
        """No key is served at two stages by replicas that confirmed."""
        before = Setting("legacy")
        for each, until_s in self._in_force():
            confirmed = set(each.answer["confirmed"])
            for key in KEYS:
                old, new = before.stage_of(key.encode()), each.setting.stage_of(key.encode())
                if old != new:
                    served = [a for a in self.answered if a.key == key and a.replica in confirmed]
                    self._check_key(served, (old, new), each, until_s)
            before = each.setting

    def _check_key(self, served: Sequence[Answered], way: tuple[str, str], each: Changed, until_s: float) -> None:
        inside = [a for a in served if a.began_s >= each.began_s and a.ended_s <= until_s]
        first_s = min((a.ended_s for a in inside if a.stage == way[1]), default=each.ended_s)
        late = [a for a in inside if a.stage == way[0] and a.began_s > min(first_s, each.ended_s)]
        assert late == [], (way, each, late)

    def _in_force(self) -> list[tuple[Changed, float]]:
        """Each change that came, and until when nothing else was asked for."""
        ends = [each.began_s for each in self.changes[1:]] + [float("inf")]
        return [(each, end) for each, end in zip(self.changes, ends, strict=True) if each.status == 200]

    async def check_records(self) -> None:
        """Each 2xx's record is where its stage promises, and one key's are in their order."""
        records = [json.loads(put.value or b"") for put in await contents(self.kafka, self.topic)]
        sent = [json.loads(each.body) for each in self.legacy.taken]
        for name, found, stages in (("topic", records, IN_KAFKA), ("legacy", sent, AT_LEGACY)):
            for key in KEYS:
                promised = [a.number for a in self.answered if a.key == key and a.stage in stages]
                numbers = [each["n"] for each in found if each["sku"] == key]
                assert set(promised) <= set(numbers), (name, key, sorted(set(promised) - set(numbers)))
                wanted = set(promised)
                first = list(dict.fromkeys(number for number in numbers if number in wanted))
                assert first == sorted(first), (name, key, first)


@asynccontextmanager
async def fleet(
    start: StartBridge, kafka: Kafka, legacy: Legacy, topic: str, seed: int, *, bridges: int, workers: int = 1
) -> AsyncIterator[Fleet]:
    """So many bridges, and a client for each key, until the block ends; then everything is checked."""
    route = produce("POST /stock", topic, key="{body.sku}", timeout_ms=5_000) | {
        "name": ROUTE,
        "upstream": "inventory",
        "migrate": {"stage": "legacy", "stage_header": True},
        "response": {"status": 200, "body": {"ok": True}},
    }
    sections = {
        "kafka": {"bootstrap_servers": kafka.bootstrap, "internal": {"prefix": topic, "replication": 1}},
        "upstreams": {"inventory": {"url": legacy.url, "timeout_ms": 3_000}},
    }
    text = config(kafka, route, **sections)
    one = Fleet(kafka, legacy, topic, random.Random(seed))
    made = await asyncio.gather(*(start(text, workers=workers) for _ in range(bridges)))
    one.nodes = [Node(bridge) for bridge in made]
    for node in one.nodes:
        await one.learn(node)
    async with AsyncExitStack() as stack:
        clients = [asyncio.create_task(one.client(key)) for key in KEYS]
        stack.push_async_callback(_ended, clients)
        yield one
    await one.check()


async def _ended(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.gather(*tasks, return_exceptions=True)
