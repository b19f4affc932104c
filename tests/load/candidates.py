"""Who is measured: the bridge, and what it is measured against."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.kafka.node import free_port

HERE = Path(__file__).parent


STOCK = "/stores/{store}/stock"


@dataclass(frozen=True, slots=True)
class Command:
    """What to execute, and the loopback port it will serve on."""

    argv: Sequence[str]
    port: int
    environ: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """`command` starts it; a POST to `path` is answered with `status`, and writes to `topic` if there is one."""

    name: str
    command: Callable[[], Command]
    topic: str | None
    status: int = 201
    path: str = STOCK


def bridge(config: Path, topic: str, *, name: str = "bridge", path: str = STOCK, workers: int = 1) -> Candidate:
    """The real thing, as an operator starts it."""

    def command() -> Command:
        port = free_port()
        serve = [sys.executable, "-m", "proxy", "serve", "--config", str(config), "--workers", str(workers)]
        return Command([*serve, "--port", str(port), "--admin-port", str(free_port())], port)

    return Candidate(name, command, topic, path=path)


def bare() -> Candidate:
    return Candidate("bare", lambda: _uvicorn("tests.load.bare:app"), None, status=204)


def broadcast() -> Candidate:
    command = partial(_uvicorn, "tests.load.broadcast:app", "--timeout-graceful-shutdown", "1")
    return Candidate("broadcast", command, None, status=204)


def minimal(bootstrap: str, topic: str) -> Candidate:
    environ = {"BENCH_BOOTSTRAP": bootstrap, "BENCH_TOPIC": topic}
    return Candidate("minimal", lambda: _uvicorn("tests.load.minimal_bridge:app", **environ), topic)


def _uvicorn(app: str, *more: str, **environ: str) -> Command:
    port = free_port()
    options = [*more, "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"]
    return Command([sys.executable, "-m", "uvicorn", app, "--port", str(port), *options], port, environ)


def go(binary: Path, bootstrap: str, topic: str, *, name: str = "go", group: str = "") -> Candidate:
    def command() -> Command:
        port = free_port()
        flags = ["-bootstrap", bootstrap, "-topic", topic, "-group", group]
        return Command([str(binary), *flags, "-listen", f"127.0.0.1:{port}"], port)

    return Candidate(name, command, topic)


def build_go(into: Path) -> Path | str:
    """The binary of the Go bridge, or the reason why there is none."""
    if shutil.which("go") is None:
        return "Go not found: left out"
    binary = into / "gobridge"
    built = subprocess.run(
        ["go", "build", "-o", str(binary), "."], cwd=HERE / "gobridge", capture_output=True, text=True
    )
    if built.returncode != 0:
        return f"the Go bridge did not build, left out: {' '.join(built.stderr.split())[-300:]}"
    return binary
