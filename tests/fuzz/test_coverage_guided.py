"""A few seconds of atheris for each target; twenty with the long tests. See targets.py."""

import subprocess
import sys

import pytest

TARGETS = ["templates", "positions", "leases", "ndjson", "arrays", "paths"]


def fuzz(name: str, seconds: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.fuzz.targets", name, str(seconds)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)


@pytest.mark.needs("atheris")
@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_crash_what_reads_them_nor_make_it_grow(name: str) -> None:
    done = fuzz(name, 2)
    assert done.returncode == 0, done.stdout[-1_000:] + done.stderr[-4_000:]
    assert "stat::number_of_executed_units" in done.stderr


@pytest.mark.long
@pytest.mark.needs("atheris")
@pytest.mark.parametrize("name", TARGETS)
def test_no_bytes_crash_what_reads_them_in_twenty_seconds(name: str) -> None:
    done = fuzz(name, 20)
    assert done.returncode == 0, done.stdout[-1_000:] + done.stderr[-4_000:]


@pytest.mark.needs("atheris")
def test_the_guided_runs_cover_each_target() -> None:
    """atheris is loaded in a process of its own: it changes how modules are imported."""
    code = "from tests.fuzz.targets import TARGETS; print(*TARGETS)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == TARGETS
