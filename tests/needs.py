"""Which tests run, and what is said of those that do not: never a silent skip.

`@pytest.mark.needs("chromium")` runs where Chromium is found. Elsewhere the summary says
`NOT RUN: chromium (3 tests): what to install`, and with `--all` (make test-all) the run then fails.
`@pytest.mark.long` runs with `--all` only.

In a run by several processes (pytest-xdist) each of them collects all tests and leaves out the same; the one that they
report to collects none, and is told.
"""

import importlib.util
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from tests.deploy.binaries import HELM, PROMTOOL

NOT_RUN = pytest.StashKey[Counter[str]]()
OWN_BROKER_FIXTURES = {"own_kafka", "cluster"}  # whoever asks for these needs "own-broker"


def _found(*commands: str) -> Callable[[], bool]:
    return lambda: any(shutil.which(command) for command in commands)


def _atheris_is_there() -> bool:
    return importlib.util.find_spec("atheris") is not None


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0


TOOLS: dict[str, tuple[Callable[[], bool], str]] = {  # name: (is it there?, what to do if not)
    "chromium": (_found("chromium", "chromium-browser"), "install Chromium (Debian: apt-get install chromium)"),
    "curl": (_found("curl"), "install curl (Debian: apt-get install curl)"),
    "atheris": (_atheris_is_there, "atheris is made for Python before 3.12: run the tests under 3.11"),
    "docker": (_docker_answers, "install Docker and start its engine"),
    "go": (_found("go"), "install Go 1.22 or newer (Debian: apt-get install golang-go)"),
    "helm": (HELM.is_there, "`make deploy-tools` builds it with Go 1.26"),
    "jdk": (_found("javac"), "install a JDK, 11 or newer (Debian: apt-get install openjdk-17-jdk-headless)"),
    "jq": (_found("jq"), "install jq (Debian: apt-get install jq)"),
    "nginx": (_found("nginx"), "install nginx (Debian: apt-get install nginx-light)"),
    "promtool": (PROMTOOL.is_there, "`make deploy-tools` builds it with Go 1.26"),
    "systemd-analyze": (_found("systemd-analyze"), "install systemd"),
    "own-broker": (lambda: "KAFKA_BOOTSTRAP_SERVERS" not in os.environ, "unset KAFKA_BOOTSTRAP_SERVERS"),
}


@cache
def available(tool: str) -> bool:
    """Raises KeyError for a tool that TOOLS does not know."""
    is_there, _ = TOOLS[tool]
    return is_there()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="the long tests too; fail if a test could not run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[NOT_RUN] = Counter()


@pytest.hookimpl(trylast=True)  # after -k and -m: what was not asked for is not missed
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    left_out = [item for item in items if _left_out(config, item)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def _left_out(config: pytest.Config, item: pytest.Item) -> bool:
    if item.get_closest_marker("long") and not config.getoption("--all"):
        return True
    missing = [tool for tool in _needed(item) if not available(tool)]
    config.stash[NOT_RUN].update(missing)
    return bool(missing)


def _needed(item: pytest.Item) -> set[str]:
    named = {tool for marker in item.iter_markers("needs") for tool in marker.args}
    if OWN_BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
        named.add("own-broker")
    if unknown := named - TOOLS.keys():
        raise pytest.UsageError(f"{item.nodeid} needs {', '.join(sorted(unknown))}, which tests/needs.py does not know")
    return named


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A process of several has ended. One that crashed has told nothing; the others tell the same."""
    left_out: Counter[str] = node.config.stash[NOT_RUN]
    left_out |= Counter(getattr(node, "workeroutput", {}).get("not_run", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for tool, count in sorted(config.stash[NOT_RUN].items()):
        _, what_to_do = TOOLS[tool]
        tests = "1 test" if count == 1 else f"{count} tests"
        terminalreporter.write_line(f"NOT RUN: {tool} ({tests}): {what_to_do}", yellow=True)
    if skipped := terminalreporter.stats.get("skipped"):
        terminalreporter.write_line(f"{len(skipped)} tests were skipped, which no test may be: mark what they need")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """`--all` promises that everything ran."""
    left_out = session.config.stash[NOT_RUN]
    if hasattr(session.config, "workeroutput"):  # one process of several
        session.config.workeroutput["not_run"] = dict(left_out)
        return
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter is not None and reporter.stats.get("skipped")
    incomplete = session.config.getoption("--all") and left_out
    if exitstatus == pytest.ExitCode.OK and (skipped or incomplete):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
