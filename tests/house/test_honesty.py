"""No test may be skipped without a word: what a test needs is marked, and named in the summary when it is missing."""

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FORBIDDEN = {"skip", "skipif", "skipIf", "skipUnless", "SkipTest", "xfail", "importorskip"}


def _forbidden_names(source: str) -> list[tuple[int, str]]:
    """Line and name of every use of `pytest.skip`, `mark.skipif`, `unittest.SkipTest` and their like."""
    nodes = ast.walk(ast.parse(source))
    used = [(node.lineno, _name(node)) for node in nodes if isinstance(node, ast.Name | ast.Attribute)]
    return [(line, name) for line, name in used if name in FORBIDDEN]


def _name(node: ast.Name | ast.Attribute) -> str:
    """The name that a test framework could mean; "" for a method of something else (a log skips offsets, too)."""
    if isinstance(node, ast.Name):
        return node.id
    owner = ast.unparse(node.value)
    return node.attr if owner in ("pytest", "mark", "pytest.mark", "unittest", "self") else ""


@pytest.mark.parametrize("line", ["pytest.skip('x')", "@pytest.mark.xfail\ndef test(): ...", "importorskip('go')"])
def test_a_skip_is_noticed(line: str) -> None:
    assert _forbidden_names(line)


def test_a_method_of_that_name_is_none() -> None:
    assert not _forbidden_names("log.skip(partition, 3)")


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    found = {str(file): _forbidden_names(file.read_text()) for file in TESTS.rglob("*.py")}
    assert {file: names for file, names in found.items() if names} == {}


INNER = """
import pytest
@pytest.mark.needs("no-such-tool")
def test_that_cannot_run(): ...
@pytest.mark.long
def test_that_takes_long(): ...
def test_that_runs(): ...
"""


@pytest.fixture
def inner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A run of pytest of its own, with the plugin of tests/needs.py and a tool that is nowhere."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS.parent))
    pytester.makeconftest(
        """
        from tests import needs
        needs.TOOLS["no-such-tool"] = (lambda: False, "build one")
        pytest_plugins = ["tests.needs"]
        """
    )
    pytester.makeini("[pytest]\nmarkers =\n    needs: x\n    long: x\n")
    return pytester


@pytest.mark.long
def test_several_processes_tell_once_what_could_not_run(inner: pytest.Pytester) -> None:
    inner.makepyfile(INNER)
    result = inner.runpytest_subprocess("--all", "--numprocesses=2")
    assert [line for line in result.outlines if "NOT RUN" in line] == ["NOT RUN: no-such-tool (1 test): build one"]
    result.assert_outcomes(passed=2)
    assert result.ret == 1


@pytest.mark.long
def test_what_could_not_run_is_named_with_what_to_install(inner: pytest.Pytester) -> None:
    inner.makepyfile(INNER)
    result = inner.runpytest_subprocess()
    result.stdout.fnmatch_lines(["NOT RUN: no-such-tool (1 test): build one"])
    result.assert_outcomes(passed=1, deselected=2)
    assert result.ret == 0


@pytest.mark.long
def test_all_means_all_a_run_that_left_something_out_fails(inner: pytest.Pytester) -> None:
    inner.makepyfile(INNER)
    result = inner.runpytest_subprocess("--all")
    result.assert_outcomes(passed=2, deselected=1)
    assert result.ret == 1


def test_a_skip_at_run_time_fails_the_run(inner: pytest.Pytester) -> None:
    inner.makepyfile("import pytest\ndef test_a(): pytest.__dict__['sk' 'ip']('no')\ndef test_b(): ...")
    result = inner.runpytest_subprocess()
    result.assert_outcomes(passed=1, skipped=1)
    assert result.ret == 1


def _collected(seed: int) -> list[str]:
    command = [sys.executable, "-m", "pytest", "--all", "--collect-only", "--quiet"]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed)}
    done = subprocess.run(command, cwd=TESTS.parent, env=environment, capture_output=True, text=True, check=False)
    return [line for line in done.stdout.splitlines() if "::" in line]


@pytest.mark.long
def test_tests_are_called_the_same_whenever_they_are_collected() -> None:
    """Or the processes of one run would not agree on what is to be done."""
    once = _collected(1)
    assert len(once) > 1_000
    assert _collected(2) == once
