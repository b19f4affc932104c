"""The harness that starts the bridge, tried on a stand-in: what it does when the bridge is slow, dies, or is killed."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bridge import Bridge

STAND_IN = """
import argparse, http.server, signal, sys, time
options = argparse.ArgumentParser()
for name in ("--config", "--port", "--admin-port"):
    options.add_argument(name)
asked = options.parse_args()
print("serving", open(asked.config).read(), flush=True)
STATUS = 200

class Admin(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(STATUS if self.path == "/readyz" else 404)
        self.end_headers()

def end(*_):
    print("drained", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, end)
http.server.HTTPServer(("127.0.0.1", int(asked.admin_port)), Admin).serve_forever()
"""


class StandIn:
    """Starts bridges whose program is this source, and ends them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.started: list[Bridge] = []

    def __call__(self, source: str) -> Bridge:
        program = self.directory / "stand_in.py"
        program.write_text(source)
        one = Bridge("routes: []", self.directory, command=[sys.executable, str(program)])
        one.start()
        self.started.append(one)
        return one


@pytest.fixture
def stand_in(tmp_path: Path) -> Iterator[StandIn]:
    start = StandIn(tmp_path)
    yield start
    for one in start.started:
        one.kill()


async def test_a_bridge_is_ready_once_readyz_says_so_and_drains_on_sigterm(stand_in: StandIn) -> None:
    running = stand_in(STAND_IN)
    await running.ready()
    assert running.returncode is None
    assert await running.stop() == 0
    assert "serving routes: []" in running.log
    assert "drained" in running.log


async def test_a_bridge_that_dies_at_start_is_reported_with_its_log(stand_in: StandIn) -> None:
    running = stand_in("print('bridge.yaml:1:1: wrong'); raise SystemExit(2)")
    with pytest.raises(AssertionError, match=r"ended with 2:\s+bridge.yaml:1:1: wrong"):
        await running.ready()


async def test_a_bridge_that_never_gets_ready_is_reported_with_its_log(stand_in: StandIn) -> None:
    running = stand_in(STAND_IN.replace("STATUS = 200", "STATUS = 503"))
    with pytest.raises(AssertionError, match=r"not ready within 1 s:\s+serving"):
        await running.ready(within_s=1)


async def test_a_killed_bridge_is_gone_at_once(stand_in: StandIn) -> None:
    running = stand_in(STAND_IN)
    await running.ready()
    running.kill()
    assert running.returncode == -signal.SIGKILL


async def test_a_bridge_that_ignores_sigterm_is_reported(stand_in: StandIn) -> None:
    running = stand_in(STAND_IN.replace("sys.exit(0)", "pass"))
    await running.ready()
    with pytest.raises(AssertionError, match=r"still runs after 0\.5 s"):
        await running.stop(within_s=0.5)


def test_a_failing_test_shows_the_log_of_its_bridge(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    pytester.makeconftest('pytest_plugins = ["tests.bridge"]')
    pytester.makepyfile(stand_in=STAND_IN)
    pytester.makepyfile(
        """
        import sys, pytest
        from tests import bridge as harness
        @pytest.mark.asyncio
        async def test_fails(bridge, monkeypatch):
            monkeypatch.setattr(harness, "SERVE", [sys.executable, "stand_in.py"])
            running = await bridge("some: yaml")
            assert running.base_url == "elsewhere"
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*bridge log*", "serving some: yaml"])
