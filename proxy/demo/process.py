"""The demo's child processes: each in a session of its own (Ctrl-C is ours alone to handle), and none outlives us."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

TAIL_LINES = 15


class DemoFailed(Exception):
    """The demo cannot go on; the message says why, and what to do."""


class Child:
    """A Python module running on a leash (`leash.py`). What it writes goes to its log file, or comes by `line`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.log = log
        self.killed = False  # it did not end when it was asked to
        self._process = process

    @classmethod
    async def start(
        cls, name: str, *command: str, log: Path, env: Mapping[str, str] | None = None, talks: bool = False
    ) -> "Child":
        """Start `python -m COMMAND`; `env` is added to our own environment, `talks` leaves its output to `line`."""
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "proxy.demo.leash", *command),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE if talks else output,
                stderr=output,
                env={**os.environ, **(env or {})},
                start_new_session=True,
            )
        return cls(name, process, log)

    def __repr__(self) -> str:
        state = "running" if self._process.returncode is None else f"ended {self._process.returncode}"
        return f"<Child {self.name} pid={self._process.pid} {state}>"

    @property
    def ended(self) -> bool:
        return self._process.returncode is not None

    async def wait(self) -> int:
        """Until it ends; its exit status."""
        return await self._process.wait()

    async def line(self, *, timeout_s: float) -> str:
        """The next line of what a child that `talks` has to say. Raises DemoFailed if there is none in time."""
        assert self._process.stdout is not None, f"{self.name} was started without talks=True"
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), timeout_s)
        except TimeoutError:
            raise self.failure(f"said nothing within {timeout_s:g} s") from None
        if not line:
            raise self.failure("ended before it had anything to say")
        return line.decode().strip()

    def failure(self, what: str) -> DemoFailed:
        """The error to raise when this child is the reason; it shows the end of its log."""
        lines = self.log.read_text(errors="replace").splitlines()[-TAIL_LINES:]
        shown = "".join(f"\n    {line}" for line in lines) or " (its log is empty)"
        return DemoFailed(f"the {self.name} {what}. The end of its log:{shown}")

    async def stop(self, *, timeout_s: float) -> None:
        """SIGTERM, and SIGKILL to its whole session if it has not ended in time. Repeatable."""
        if not self.ended:
            self._process.terminate()
            try:
                await asyncio.wait_for(self._process.wait(), timeout_s)
            except TimeoutError:
                self.killed = True
                os.killpg(self._process.pid, signal.SIGKILL)
                await self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()


def free_port(wanted: int) -> int:
    """`wanted` if nothing listens there, else one that the system chooses."""
    for port in (wanted, 0):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise DemoFailed("no port is free on 127.0.0.1")
