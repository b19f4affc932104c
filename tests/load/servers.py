"""The servers under measurement as processes: started, waited for, ended."""

import asyncio
import os
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.load.candidates import Candidate
from tests.load.loader.http1 import Answer, Exchange
from tests.load.loader.payload import stock_request
from tests.load.usage import cpu_s

START_S = 15.0
END_S = 15.0
PROBE_STORE, PROBE_SKU = 17, "sku-probe"


class ServerFailed(Exception):
    """A server did not start, or not serve. The message ends with the last lines it wrote."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that has answered the probe: `started_s` after its exec, with `ready_cpu_s` CPU-seconds used."""

    name: str
    pid: int
    port: int
    started_s: float
    ready_cpu_s: float
    first_answer: Answer


@asynccontextmanager
async def serving(candidate: Candidate, log: Path) -> AsyncIterator[Server]:
    """Run the candidate until the block ends. Enters once a first stock level was answered as it should be.

    Raises:
        ServerFailed: it ended, or did not answer so within 15 s.
    """
    command = candidate.command()
    start_s = time.monotonic()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command.argv, env={**os.environ, **command.environ}, stdout=output, stderr=output
        )
    try:
        answer = await _first_answer(process, command.port, candidate, log)
        started_s = time.monotonic() - start_s
        yield Server(candidate.name, process.pid, command.port, started_s, cpu_s(process.pid), answer)
    finally:
        await _end(process)


async def _first_answer(process: Process, port: int, candidate: Candidate, log: Path) -> Answer:
    probe = stock_request(candidate.path, PROBE_STORE, PROBE_SKU)
    deadline_s = time.monotonic() + START_S
    answer = None
    while time.monotonic() < deadline_s and process.returncode is None:
        with suppress(OSError, TimeoutError):  # nobody listens yet
            answer = await _ask_once(port, probe)
        if answer is not None and answer.status == candidate.status:
            return answer
        await asyncio.sleep(0.005)
    raise ServerFailed(f"{candidate.name} {_how_it_failed(process, answer)}; it wrote:\n    {_last_lines(log)}")


def _how_it_failed(process: Process, answer: Answer | None) -> str:
    ended = f"is not ready after {START_S:g} s" if process.returncode is None else f"ended with {process.returncode}"
    return f"{ended}; " + (
        f"its last answer was {answer.status} {answer.body[:300]!r}" if answer else "it never answered"
    )


def _last_lines(log: Path) -> str:
    return "\n    ".join(line[:600] for line in log.read_text(errors="replace").splitlines()[-8:])


async def _ask_once(port: int, data: bytes) -> Answer:
    exchange = await Exchange.open(port)
    try:
        return await asyncio.wait_for(exchange.ask(data), START_S)
    finally:
        exchange.close()


async def _end(process: Process) -> None:
    """SIGTERM, and SIGKILL for one that is still there after 15 s."""
    if process.returncode is None:
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), END_S)
    except TimeoutError:
        process.kill()
        await process.wait()
