"""The bridge as its users start it: `stepbridge serve` in a process of its own, on free ports.

    async def test_...(bridge: StartBridge) -> None:
        running = await bridge(CONFIG)      # ready: /readyz has answered 200
        ... running.base_url, running.admin_url, running.pid, running.log ...
        await running.stop()                # SIGTERM, and waits; the fixture ends what still runs
        running = await bridge(CONFIG, workers=2)    # ready: all of them serve (its log must be JSON)
        ... running.workers ...             # the process ids, by number

The log of every bridge that a test started is shown when the test fails.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Generator, Mapping
from pathlib import Path
from typing import Protocol

import httpx
import pytest
import pytest_asyncio
import yaml

from tests.kafka.node import free_port

READY_WITHIN_S = 20.0
STOPS_WITHIN_S = 45.0  # longer than the longest drain
LOGS = pytest.StashKey[list[Path]]()
SERVE = [sys.executable, "-m", "proxy", "serve"]


class Bridge:
    """One `stepbridge serve` process."""

    def __init__(self, config: str, directory: Path, *, command: list[str] | None = None) -> None:
        self.port, self.admin_port = free_port(), free_port()
        self.config_path = directory / "bridge.yaml"
        self.log_path = directory / "bridge.log"
        self._command = command or SERVE
        self._process: subprocess.Popen[bytes] | None = None
        self._https: set[str] = set()  # sections
        self.write_config(config)

    def __repr__(self) -> str:
        return f"<Bridge {self.base_url} admin {self.admin_url} {self.log_path}>"

    @property
    def base_url(self) -> str:
        return f"{self._scheme('server')}://127.0.0.1:{self.port}"

    @property
    def admin_url(self) -> str:
        return f"{self._scheme('admin')}://127.0.0.1:{self.admin_port}"

    @property
    def pid(self) -> int:
        assert self._process is not None, "the bridge was not started"
        return self._process.pid

    @property
    def log(self) -> str:
        """All it has written to standard output and error so far."""
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def write_config(self, config: str) -> None:
        self.config_path.write_text(config)

    def _scheme(self, section: str) -> str:
        """As the file says; one that cannot be read changes nothing, here as there."""
        with contextlib.suppress(OSError, yaml.YAMLError):
            said = yaml.safe_load(self.config_path.read_text())
            if isinstance(said, dict):
                self._https = {each for each in ("server", "admin") if (said.get(each) or {}).get("tls")}
        return "https" if section in self._https else "http"

    @property
    def workers(self) -> dict[int, int]:
        """The process id of each worker that serves, or served last; none where the bridge is one process."""
        served = (line for line in self.log.splitlines() if '"event":"worker_serving"' in line)
        return {line["worker"]: int(line["process"]) for line in map(json.loads, served)}

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        ports = ["--port", str(self.port), "--admin-port", str(self.admin_port)]
        command = [*self._command, "--config", str(self.config_path), *ports, *arguments]
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=log, env={**os.environ, **(env or {})}, start_new_session=True
            )

    async def ready(self, within_s: float = READY_WITHIN_S, *, workers: int = 1) -> None:
        """Wait until /readyz answers 200, and so many workers serve.

        Raises AssertionError, with the log, if it ends or takes longer.
        """
        until_s = time.monotonic() + within_s
        async with httpx.AsyncClient(base_url=self.admin_url, timeout=2.0, verify=False) as admin:
            while not await _answers_200(admin, "/readyz") or len(self.workers) < workers * (workers > 1):
                assert self.returncode is None, f"the bridge ended with {self.returncode}:\n{self.log}"
                assert time.monotonic() < until_s, f"the bridge was not ready within {within_s:g} s:\n{self.log}"
                await asyncio.sleep(0.05)

    @property
    def returncode(self) -> int | None:
        """None while it runs."""
        return self._process.poll() if self._process else None

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    async def ended(self, within_s: float = STOPS_WITHIN_S) -> int:
        """Wait until it has ended by itself; its exit code."""
        until_s = time.monotonic() + within_s
        while self.returncode is None:
            assert time.monotonic() < until_s, f"the bridge still runs after {within_s:g} s:\n{self.log}"
            await asyncio.sleep(0.05)
        return self.returncode

    async def stop(self, within_s: float = STOPS_WITHIN_S) -> int:
        """SIGTERM, then wait for the drain; its exit code."""
        if self.returncode is None:
            self.signal(signal.SIGTERM)
        return await self.ended(within_s)

    def kill(self) -> None:
        """SIGKILL: what a crash leaves behind. Harmless if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        for pid in self.workers.values():
            if is_worker(pid):
                os.kill(pid, signal.SIGKILL)


class StartBridge(Protocol):
    async def __call__(
        self,
        config: str,
        *arguments: str,
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> Bridge:
        """Start a bridge with this YAML text; with `ready`, wait until it is, and all its workers."""
        ...


@pytest_asyncio.fixture
async def bridge(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[StartBridge]:
    """Start as many bridges as the test needs: `running = await bridge(yaml_text)`."""
    started: list[Bridge] = []
    logs = request.node.stash.setdefault(LOGS, [])

    async def start(
        config: str,
        *arguments: str,
        workers: int = 1,
        env: Mapping[str, str] | None = None,
        ready: bool = True,
    ) -> Bridge:
        one = Bridge(config, tmp_path_factory.mktemp("bridge"))
        started.append(one)
        logs.append(one.log_path)
        one.start(*arguments, *(["--workers", str(workers)] if workers > 1 else []), env=env)
        if ready:
            await one.ready(workers=workers)
        return one

    yield start
    for one in started:
        one.kill()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        for path in item.stash.get(LOGS, []):
            report.sections.append((f"bridge log {path}", path.read_text(errors="replace")[-20_000:]))
    return report


def is_worker(pid: int) -> bool:
    """A process id may be another's by now."""
    try:
        return b"proxy.workers.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def _answers_200(client: httpx.AsyncClient, path: str) -> bool:
    try:
        return (await client.get(path)).status_code == 200
    except httpx.HTTPError:
        return False
