"""The systemd unit: systemd reads it, it leaves time to drain, and the bridge has no more rights than it needs."""

import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

from proxy.cli.exits import MISTAKES
from proxy.config.model import Drain, Limits, Server

SYSTEMD = Path(__file__).parents[2] / "deploy/systemd"
UNIT = SYSTEMD / "stepbridge.service"
MOST_EXPOSED = 20  # tenths, of 100; what systemd calls OK ends at 50


def settings() -> dict[str, list[str]]:
    """Every setting of the unit, each time it is given."""
    found = defaultdict(list)
    for name, value in re.findall(r"(?m)^(\w+)=(.*)$", UNIT.read_text()):
        found[name].append(value)
    return found


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The unit as it would be on a host that has the command: verification looks for the file."""
    path = tmp_path / UNIT.name
    path.write_text(UNIT.read_text().replace("/opt/stepbridge/bin/stepbridge", "/bin/true"))
    return path


def analyze(*arguments: str | Path) -> str:
    done = subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.needs("systemd-analyze")
def test_systemd_reads_it_without_a_complaint(installed: Path) -> None:
    said = analyze("verify", "--recursive-errors=no", installed)
    assert [line for line in said.splitlines() if UNIT.name in line] == []


@pytest.mark.needs("systemd-analyze")
def test_systemd_finds_little_that_it_could_do_to_the_host(installed: Path) -> None:
    analyze("security", "--offline=true", f"--threshold={MOST_EXPOSED}", installed)


def test_it_is_given_the_time_to_drain() -> None:
    drain_s = (Drain().delay_ms + Drain().timeout_ms) / 1_000
    assert [float(one) for one in settings()["TimeoutStopSec"]] >= [drain_s + 10]


def test_a_file_with_mistakes_is_neither_put_in_force_nor_tried_again() -> None:
    check, signal = settings()["ExecReload"]
    assert check == settings()["ExecStart"][0].replace(" serve ", " check ")
    assert signal == "/bin/kill -HUP $MAINPID"
    assert settings()["RestartPreventExitStatus"] == [str(MISTAKES)]


def test_only_the_supervisor_is_told_to_stop() -> None:
    assert settings()["KillMode"] == ["mixed"]


def test_as_many_files_may_be_open_as_streams_are_allowed() -> None:
    assert int(settings()["LimitNOFILE"][0]) > 2 * Limits().streams


def test_it_runs_as_a_user_that_is_made_for_it_on_ports_that_need_no_right() -> None:
    made = re.findall(r"(?m)^u (\S+)", (SYSTEMD / "sysusers.conf").read_text())
    assert settings()["User"] == settings()["Group"] == made
    assert settings()["CapabilityBoundingSet"] == [""]
    assert Server().port > 1_023


def test_the_installation_in_its_comment_takes_files_that_are_there() -> None:
    checkout = SYSTEMD.parents[1]
    named = set(re.findall(r"(?<= )((?:deploy|config|requirements)/\S+)", UNIT.read_text()))
    assert len(named) >= 4
    assert [name for name in named if not (checkout / name).is_file()] == []
