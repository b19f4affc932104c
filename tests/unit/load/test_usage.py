"""CPU and memory of processes that are known to have used some."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.load.usage import cpu_s, memory

BURN = """
import time
while time.process_time() < 0.3: pass
"""
THREAD = f"""
import threading
thread = threading.Thread(target=exec, args=({BURN!r}, {{}}))
thread.start()
thread.join()
"""
CHILD = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {BURN!r} + "print(flush=True); input()"], stdin=-1, stdout=-1)
child.stdout.readline()
"""
ENDED = CHILD + "child.communicate(b'\\n')"


@contextmanager
def _process(work: str) -> Iterator[int]:
    """A Python that has done the work, and now waits."""
    command = [sys.executable, "-c", work + "\nprint('done', flush=True)\ninput()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        yield process.pid
        process.communicate("\n")


@pytest.mark.parametrize("work", [BURN, THREAD, CHILD, ENDED], ids=["itself", "thread", "child", "ended-child"])
def test_cpu_of_the_process_its_threads_and_its_children_is_counted(work: str) -> None:
    with _process(work) as pid:
        used_s = cpu_s(pid)
        assert used_s >= 0.29  # what an ended child used is known in hundredths
        assert cpu_s(pid) - used_s < 0.2  # it only waits now


def test_a_process_that_is_gone_has_no_figure() -> None:
    with _process("") as pid:
        pass
    with pytest.raises(ProcessLookupError):
        cpu_s(pid)


def test_memory_counts_what_the_process_holds() -> None:
    with _process("held = b'x' * (50 * 2**20)") as pid:
        held = memory(pid)
    assert 50 < held.pss_mb <= held.rss_mb < 150
