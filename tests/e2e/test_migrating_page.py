"""docs/migrating.md, typed from top to bottom: stores go on calling, and in the end nobody lacks a movement.

What a reader has is given: a Kafka, with the topic in it, and a checkout. Replaced are ports, and the names of topics.
"""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port
from tests.pages import BLOCKS, CHECKOUT, Block

PAGE = [block for block in BLOCKS if block.page == "docs/migrating.md" and block.is_shell]
WITHIN_S = 30.0
TOPIC = "retail.stock-movements"

pytestmark = pytest.mark.needs("curl")


class Reader:
    """Somebody with a copy of the files, who types one block after the other."""

    def __init__(self, directory: Path, bootstrap: str) -> None:
        self.old, self.bridge, self.admin = free_port(), free_port(), free_port()
        self.topic = f"page-{uuid.uuid4().hex[:6]}.stock-movements"
        self._directory = directory
        self._left = list(PAGE)
        self._running: list[subprocess.Popen[bytes]] = []
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT),
            "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
            "INVENTORY_URL": f"http://127.0.0.1:{self.old}",
            "STEPBRIDGE_ADMIN": f"http://127.0.0.1:{self.admin}",
        }
        self._copy_files()
        self._make_venv()

    def _copy_files(self) -> None:
        shutil.copytree(CHECKOUT / "config/migration", self._directory / "config/migration")
        file = self._directory / "config/migration/inventory.yaml"
        internal = f"{{replication: 1, prefix: {self.topic}}}"
        text = file.read_text().replace(TOPIC, self.topic)
        assert "internal: {replication: 1}" in text
        file.write_text(text.replace("internal: {replication: 1}", f"internal: {internal}"))

    def _make_venv(self) -> None:
        """As the checkout's, of which this one may be anywhere."""
        scripts = self._directory / ".venv/bin"
        scripts.mkdir(parents=True)
        (scripts / "activate").write_text('PATH="$PWD/.venv/bin:$PATH"\n')
        for name, what in (("python", ""), ("stepbridge", "-m proxy")):
            (scripts / name).write_text(f'#!/bin/sh\nexec {sys.executable} {what} "$@"\n')
            (scripts / name).chmod(0o755)

    async def types(self, *, holding: str = "") -> str:
        """The next block, which has these words in it; what it prints. Fails the test if a command fails."""
        code, text = await self.tries(holding=holding)
        assert code == 0, f"{text}\n{self.log}"
        return text

    async def tries(self, *, holding: str = "") -> tuple[int, str]:
        """The next block; how it ends, and what it prints."""
        block = self._left.pop(0)
        assert holding in block.text, f"{block} is another one"
        command = ["bash", "-euo", "pipefail", "-c", self._here(block)]
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            cwd=self._directory,
            env=self._environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        return done.returncode, done.stdout

    async def leaves_running(self, *, holding: str, ready: str) -> None:
        """The next block, until that URL answers."""
        block = self._left.pop(0)
        assert block.is_background
        assert holding in block.text, f"{block} is another one"
        process = self._started(self._here(block, "exec "))
        async with httpx.AsyncClient() as client, asyncio.timeout(WITHIN_S):
            while not await _answers(client, ready):
                assert process.poll() is None, f"{block} ended:\n{self.log}"
                await asyncio.sleep(0.05)

    def _started(self, commands: str) -> subprocess.Popen[bytes]:
        with (self._directory / "log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", "-euc", commands], cwd=self._directory, env=self._environ, stdout=log, stderr=log
            )
        self._running.append(process)
        return process

    def _here(self, block: Block, before: str = "") -> str:
        text = block.commands.replace("localhost:8080", f"127.0.0.1:{self.bridge}").replace(" 8000", f" {self.old}")
        text = text.replace("stepbridge serve", f"stepbridge serve --port {self.bridge} --admin-port {self.admin}")
        return f". .venv/bin/activate\n{before}{text}"

    def is_done(self) -> bool:
        return not self._left

    @property
    def log(self) -> str:
        return (self._directory / "log").read_text()[-10_000:]

    def leave(self) -> None:
        for process in self._running:
            process.send_signal(signal.SIGINT)
        for process in self._running:
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False


class Stores:
    """They go on as ever: a movement at a time, each answered as the old service would."""

    def __init__(self, bridge: int, old: int) -> None:
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{bridge}")
        self._old = old
        self.sent = ["berlin-1"]  # by the page

    async def __aenter__(self) -> "Stores":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def move(self, count: int = 5) -> set[str]:
        """So many movements of five articles; the stages that answered them."""
        stages = set()
        for number in range(count):
            movement, sku = f"berlin-{len(self.sent) + 1}", f"sku-{number % 5}"
            body = {"movement": movement, "sku": sku, "quantity": 1}
            answer = await self.client.post("/stores/berlin/stock", json=body)
            assert (answer.status_code, answer.json()) == (200, {"ok": True, "sku": sku}), answer.text
            stages.add(answer.headers["stepbridge-stage"])
            self.sent.append(movement)
        return stages

    async def at_old_service(self) -> list[str]:
        async with httpx.AsyncClient() as direct:
            taken = (await direct.get(f"http://127.0.0.1:{self._old}/movements")).json()
        return [movement for _, movement in taken]

    async def in_kafka(self) -> list[str]:
        """As the new services read it."""
        answer = await self.client.get("/stock-movements", params={"max": 1000, "wait": 0})
        return [record["value"]["movement"] for record in answer.json()["records"]]

    async def knows(self, who: Callable[[], Awaitable[list[str]]], movements: list[str]) -> None:
        """Wait until one side has these."""
        async with asyncio.timeout(WITHIN_S):
            while not set(movements) <= set(await who()):
                await asyncio.sleep(0.05)


@pytest_asyncio.fixture
async def reader(kafka: Kafka, tmp_path: Path) -> AsyncIterator[Reader]:
    reader = Reader(tmp_path, kafka.bootstrap)
    await kafka.create_topic(reader.topic)
    try:
        yield reader
    finally:
        reader.leave()


@pytest.mark.long
async def test_the_page_can_be_followed_from_top_to_bottom(reader: Reader) -> None:
    await reader.types(holding="activate")
    await reader.leaves_running(holding="demo.migration", ready=f"http://127.0.0.1:{reader.old}/movements")
    assert reader.topic in await reader.types(holding="check")
    await reader.leaves_running(holding="serve", ready=f"http://127.0.0.1:{reader.admin}/readyz")
    told = await reader.types(holding="curl")
    assert "200 OK" in told
    assert "stepbridge-stage: legacy" in told

    async with Stores(reader.bridge, reader.old) as stores:
        await climb(reader, stores)
        await descend(reader, stores)
    assert reader.is_done()


async def climb(reader: Reader, stores: Stores) -> None:
    assert await stores.move() == {"legacy"}
    await reader.types(holding="shadow --rollout 25%")
    assert await stores.move() == {"shadow"}
    await stores.knows(stores.in_kafka, stores.sent[-5:])

    await reader.types(holding="dual --why")
    assert await stores.move() == {"dual"}
    assert (await stores.in_kafka())[-5:] == stores.sent[-5:]
    assert await stores.at_old_service() == stores.sent

    told = await reader.types(holding="kafka --rollout 25%")
    assert "first quarter" in told
    assert await stores.move() == {"kafka"}
    assert (await stores.in_kafka())[-5:] == stores.sent[-5:]
    assert await stores.at_old_service() == stores.sent[:-5], "it is no longer asked"


async def descend(reader: Reader, stores: Stores) -> None:
    code, told = await reader.tries(holding="set stock dual")
    assert code == 1, told
    assert " 5 " in told, told

    await reader.types(holding="replay stock --follow")
    assert await stores.move() == {"dual"}
    assert sorted(await stores.at_old_service()) == sorted(stores.sent)
    assert (await stores.in_kafka())[-10:] == stores.sent[-10:]
