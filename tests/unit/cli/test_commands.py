"""What holds for all commands: help, versions, exit codes, no tracebacks."""

import subprocess
import sys
from pathlib import Path

import pytest

import proxy
from tests.unit.cli.conftest import Run

COMMANDS = ("serve", "check", "routes", "groups", "reload", "demo")


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version") == (0, f"stepbridge {proxy.__version__}\n", "")


def test_help_lists_every_command_with_a_whole_sentence(run: Run) -> None:
    code, out, _ = run("--help")
    assert code == 0
    for command in COMMANDS:
        (line,) = [line for line in out.splitlines() if line.startswith(f"  {command} ")]
        assert line.endswith(".")
        assert not line.endswith("...")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_says_its_exit_codes(run: Run, command: str) -> None:
    code, out, _ = run(command, "--help")
    assert code == 0
    for meaning in ("0  it went well", "1  it failed", "2  mistakes"):
        assert meaning in out


@pytest.mark.parametrize("words", [["nonsense"], ["check"], ["serve", "--config", "x", "--port", "70000"]])
def test_a_mistyped_command_is_2_and_says_so_without_a_traceback(run: Run, words: list[str]) -> None:
    code, _, err = run(*words)
    assert code == 2
    assert "Error" in err
    assert "Traceback" not in err


def test_serving_a_file_that_is_not_there_is_2(run: Run, tmp_path: Path) -> None:
    code, out, err = run("serve", "--config", tmp_path / "nothing.yaml")
    assert (code, out) == (2, "")
    assert "nothing.yaml:1:1: file: cannot be read" in err


def test_the_package_is_the_command() -> None:
    told = subprocess.run([sys.executable, "-m", "proxy", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout == f"stepbridge {proxy.__version__}\n"


def test_a_command_does_not_load_what_it_does_not_need() -> None:
    """`serve` would pay for tables on every start, `routes` for Kafka."""
    code = "import sys, proxy.cli.commands; print(*{name.split('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"rich", "aiokafka", "uvicorn", "starlette"} & set(told.stdout.split())
