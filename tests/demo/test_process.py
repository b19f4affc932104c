"""The demo's children: they end with it, whatever ends it."""

import asyncio
import os
import socket
import sys
import textwrap
import time
from pathlib import Path

import pytest

from proxy.demo.process import Child, DemoFailed, free_port

WITHIN_S = 20.0
STAYS = "tests.demo.stays"  # says its pid, and stays


def is_running(pid: int) -> bool:
    """Whether the process exists, and is not merely waiting to be collected by a parent that does not come."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def gone(pid: int) -> None:
    until_s = time.monotonic() + WITHIN_S
    while is_running(pid):
        assert time.monotonic() < until_s, f"process {pid} still runs"
        await asyncio.sleep(0.02)


async def test_a_child_says_a_line_and_ends_when_it_is_stopped(tmp_path: Path) -> None:
    child = await Child.start("sitter", STAYS, log=tmp_path / "log", talks=True)
    pid = int(await child.line(timeout_s=WITHIN_S))
    assert is_running(pid)
    await child.stop(timeout_s=WITHIN_S)
    await child.stop(timeout_s=WITHIN_S)  # again: harmless
    assert child.ended
    assert not is_running(pid)


async def test_a_child_that_ignores_its_end_is_killed(tmp_path: Path) -> None:
    child = await Child.start("sitter", STAYS, "stubborn", log=tmp_path / "log", talks=True)
    pid = int(await child.line(timeout_s=WITHIN_S))
    await child.stop(timeout_s=0.2)
    assert not is_running(pid)
    assert child.killed


async def test_a_child_is_out_of_reach_of_ctrl_c(tmp_path: Path) -> None:
    child = await Child.start("sitter", STAYS, log=tmp_path / "log", talks=True)
    pid = int(await child.line(timeout_s=WITHIN_S))
    assert os.getsid(pid) == pid != os.getsid(0)
    await child.stop(timeout_s=WITHIN_S)


async def test_a_child_dies_when_its_parent_is_killed(tmp_path: Path) -> None:
    script = f"""
        import asyncio, time
        from pathlib import Path
        from proxy.demo.process import Child

        async def main():
            child = await Child.start("sitter", "{STAYS}", log=Path({str(tmp_path / "log")!r}), talks=True)
            print(await child.line(timeout_s={WITHIN_S}), flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(script), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await asyncio.wait_for(parent.stdout.readline(), WITHIN_S))
    assert is_running(pid)
    parent.kill()
    await parent.wait()
    await gone(pid)


async def test_a_child_that_fails_shows_the_end_of_its_log(tmp_path: Path) -> None:
    child = await Child.start("sitter", "no.such.module", log=tmp_path / "log", talks=True)
    with pytest.raises(DemoFailed, match=r"the sitter ended(.|\n)*No module named 'no'"):
        await child.line(timeout_s=WITHIN_S)
    assert await child.wait() == 1
    await child.stop(timeout_s=1)


def test_a_taken_port_is_replaced_by_a_free_one() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        assert free_port(wanted) not in (0, wanted)
    assert free_port(wanted) == wanted
