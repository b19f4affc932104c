"""The demo as its users start it: the real bridge on the embedded broker, and Ctrl-C."""

import asyncio
import os
import pty
import re
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from proxy.demo.process import free_port
from proxy.demo.retail import READS
from tests.demo.test_process import gone, is_running
from tests.kafka.cluster import Kafka

WITHIN_S = 40.0


class Demo:
    """One `stepbridge demo` process, and what it has said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    def children(self) -> list[int]:
        """The broker and the bridge."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in task.read_text().split()]

    async def until(self, condition: Callable[[], Any]) -> Any:
        until_s = time.monotonic() + WITHIN_S
        while not (found := condition()):
            assert self.process.returncode is None, f"it ended:\n{self.output}"
            assert time.monotonic() < until_s, self.output
            await asyncio.sleep(0.05)
        return found

    async def address(self) -> str:
        """Of the live page."""
        found = await self.until(lambda: re.search(r"Open (http://\S+/)", self.output))
        return str(found[1])

    async def ended(self) -> int:
        return await asyncio.wait_for(self.process.wait(), WITHIN_S)


@asynccontextmanager
async def demo(*arguments: str, terminal: bool = False) -> AsyncIterator[Demo]:
    """On free ports; with `terminal` its output goes to one."""
    reader, writer = pty.openpty() if terminal else os.pipe()
    ports = [f"--{name}={free_port(0)}" for name in ("port", "admin-port", "page-port")]
    command = [sys.executable, "-m", "proxy", "demo", *ports, *arguments]
    process = await asyncio.create_subprocess_exec(
        *command, stdout=writer, stderr=writer, env={**os.environ, "TERM": "xterm", "COLUMNS": "140"}
    )
    os.close(writer)
    running = Demo(process)
    listening = asyncio.create_task(asyncio.to_thread(_listen, reader, running))
    try:
        yield running
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        await asyncio.wait_for(listening, WITHIN_S)
        os.close(reader)


def _listen(reader: int, running: Demo) -> None:
    while True:
        try:
            said = os.read(reader, 65_536)
        except OSError:  # what a terminal says at its end
            return
        if not said:
            return
        running.output += said.decode(errors="replace")


async def readers_with_records(page: str) -> set[str]:
    async with aiohttp.ClientSession() as browser, browser.get(f"{page}state.json") as answer:
        state = await answer.json()
    return {reader["reader"] for reader in state["readers"] if reader["seen"]}


@pytest.mark.timeout(120)
async def test_every_reader_sees_records_and_ctrl_c_ends_all_of_it() -> None:
    async with demo() as running:
        page = await running.address()
        children = running.children()
        assert len(children) == 2
        async with asyncio.timeout(WITHIN_S):
            while await readers_with_records(page) != READS.keys():
                await asyncio.sleep(0.2)
        async with aiohttp.ClientSession() as browser, browser.get(f"{page}events") as events:
            assert events.content_type == "text/event-stream"
            async with asyncio.timeout(WITHIN_S):
                while not (await events.content.readline()).startswith(b"data: "):
                    pass
        await running.until(lambda: "written (" in running.output)  # no terminal: a line every few seconds
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
        for child in children:
            assert not is_running(child)
    assert "Traceback" not in running.output
    assert running.output.rstrip().endswith("The demo has ended.")


@pytest.mark.timeout(120)
async def test_on_a_terminal_it_shows_tables_and_leaves_it_as_it_was() -> None:
    async with demo(terminal=True) as running:
        await running.until(lambda: "inventory" in running.output)
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
    hidden, shown = running.output.rfind("\x1b[?25l"), running.output.rfind("\x1b[?25h")
    assert 0 < hidden < shown  # the cursor
    assert "Traceback" not in running.output


@pytest.mark.timeout(120)
async def test_ctrl_c_while_it_starts_ends_all_of_it_too() -> None:
    async with demo() as running:
        await running.until(lambda: "starting the bridge" in running.output)
        children = running.children()
        running.process.send_signal(signal.SIGINT)
        assert await running.ended() == 0
        for child in children:
            await gone(child)
    assert "Traceback" not in running.output


@pytest.mark.timeout(120)
async def test_nothing_outlives_a_demo_that_is_killed() -> None:
    async with demo() as running:
        await running.address()
        children = running.children()
        assert len(children) == 2
        running.process.kill()
        await running.process.wait()
        for child in children:
            await gone(child)


@pytest.mark.timeout(180)
async def test_the_check_passes_on_the_embedded_broker() -> None:
    async with demo("--check") as running:
        status = await asyncio.wait_for(running.process.wait(), 150)
    assert status == 0, running.output
    assert "Every record reached every reader" in running.output


@pytest.mark.long
@pytest.mark.timeout(180)
async def test_the_check_passes_on_a_real_kafka(kafka: Kafka) -> None:
    async with demo("--check", "--bootstrap", kafka.bootstrap) as running:
        status = await asyncio.wait_for(running.process.wait(), 150)
    assert status == 0, running.output


@pytest.mark.timeout(120)
async def test_a_kafka_that_is_not_there_is_named() -> None:
    nowhere = f"127.0.0.1:{free_port(0)}"
    async with demo("--bootstrap", nowhere) as running:
        assert await running.ended() == 1
    assert f"no Kafka answers at {nowhere}" in running.output
    assert "Traceback" not in running.output
