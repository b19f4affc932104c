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


def bridge(config: Path, topic: str | None, *, name: str = "bridge", path: str = STOCK, workers: int = 1) -> Candidate:
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


def legacy() -> Candidate:
    """The service behind a passthrough."""
    return Candidate("legacy", lambda: _uvicorn("tests.load.legacy:app"), None)


def forwarder(upstream: str) -> Candidate:
    def command() -> Command:
        port = free_port()
        environ = {"BENCH_UPSTREAM": upstream, "BENCH_PORT": str(port)}
        return Command([sys.executable, "-m", "tests.load.forwarder"], port, environ)

    return Candidate("forwarder", command, None)


def nginx(upstream: str, directory: Path) -> Candidate | None:
    """One process of it, with connections kept; None where there is no nginx."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        return None

    def command() -> Command:
        port, home = free_port(), directory / "nginx"
        (home / "logs").mkdir(parents=True, exist_ok=True)
        conf = NGINX_CONF.format(port=port, home=home, upstream=upstream.removeprefix("http://"))
        (home / "nginx.conf").write_text(conf)
        return Command(
            [str(binary), "-p", str(home), "-c", str(home / "nginx.conf"), "-e", str(home / "error.log")], port
        )

    return Candidate("nginx", command, None)


NGINX_CONF = """
daemon off; master_process off; pid {home}/nginx.pid; error_log {home}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000;
  client_body_temp_path {home}/body; proxy_temp_path {home}/proxy; fastcgi_temp_path {home}/fastcgi;
  uwsgi_temp_path {home}/uwsgi; scgi_temp_path {home}/scgi;
  upstream legacy {{ server {upstream}; keepalive 256; keepalive_requests 1000000000; keepalive_timeout 4s; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://legacy; proxy_http_version 1.1; proxy_buffering off; proxy_request_buffering off;
      proxy_set_header Connection ""; proxy_set_header Host $host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    }}
  }}
}}
"""


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
