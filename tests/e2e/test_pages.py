"""The commands of README.md and docs/ are run as they stand there, page by page, against a real bridge and Kafka.

A page is followed from top to bottom in an empty directory: a YAML block that names its file is written, a shell block
is run, one marked `background` is left running. Only what this machine cannot have is replaced: ports, and the names
of topics and groups, which other tests may use.
"""

import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import yaml

from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port
from tests.pages import BLOCKS, CHECKOUT, HARMLESS, Block, programs

RUN = sorted({block.page for block in BLOCKS if block.is_run})
TOPICS = re.compile(r"\b(?=(?:retail|shop|ops)\.[a-z])")
GROUPS = re.compile(r"(?<=\bgroup: )")
WITHIN_S = 40

pytestmark = pytest.mark.needs("curl", "jq")


class Reader:
    """Somebody who does what a page says, in a directory of their own."""

    def __init__(self, directory: Path, bootstrap: str) -> None:
        self._directory = directory
        self._ports = {"localhost:8080": free_port(), "localhost:9090": free_port()}
        self._bootstrap = bootstrap
        self._prefix = f"page-{uuid.uuid4().hex[:6]}-"
        self._running: list[subprocess.Popen[bytes]] = []
        self._environ = {
            **os.environ,
            "PATH": f"{self._command()}:{os.environ['PATH']}",
            "PYTHONPATH": str(CHECKOUT),
            "STEPBRIDGE_ADMIN": f"http://127.0.0.1:{self._ports['localhost:9090']}",
            "STEPBRIDGE_SECRET": "a secret that only this page knows",
        }

    def _command(self) -> Path:
        """The directory of the command `stepbridge`, which serves where nobody else does."""
        script = self._directory / "bin" / "stepbridge"
        script.parent.mkdir()
        ports = " ".join(map("{} {}".format, ("--port", "--admin-port"), self._ports.values()))
        script.write_text(
            f'#!/bin/bash\nif [ "$1" = serve ]; then set -- "$@" {ports}; fi\nexec {sys.executable} -m proxy "$@"\n'
        )
        script.chmod(0o755)
        return script.parent

    def topics_of_others(self, block: Block) -> set[str]:
        """Those that a file names and does not have made: on a real cluster they are there."""
        said = yaml.safe_load(self._here(block.text)) if block.is_whole_configuration else {}
        if not said or said.get("topics", {}).get("create"):
            return set()
        parts = [route.get(part, {}) for route in said["routes"] for part in ("produce", "consume")]
        return {topic for part in parts for topic in [*part.get("topics", []), part.get("topic")] if topic}

    def follow(self, block: Block) -> None:
        if block.file:
            (self._directory / block.file).write_text(self._here(block.text))
        elif block.is_run and block.is_background:
            self._leave_running(block)
        elif block.is_run:
            self._run(block)

    def _here(self, text: str) -> str:
        """The same, with what this machine has."""
        for theirs, port in self._ports.items():
            text = text.replace(theirs, f"127.0.0.1:{port}")
        text = TOPICS.sub(self._prefix, text.replace("localhost:9092", self._bootstrap))
        return GROUPS.sub(self._prefix, text)

    def _run(self, block: Block) -> None:
        assert programs(block) <= HARMLESS, f"{block}: mark it `not-run`"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self._here(block.commands)],
            cwd=self._directory,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}\n{self.log}"
        assert done.stdout.strip(), f"{block} printed nothing"

    def _leave_running(self, block: Block) -> None:
        with (self._directory / "log").open("ab") as log:
            command = ["bash", "-c", f"exec {self._here(block.commands).strip()}"]
            process = subprocess.Popen(command, cwd=self._directory, env=self._environ, stdout=log, stderr=log)
        self._running.append(process)
        until_s = time.monotonic() + WITHIN_S
        while not self._is_ready():
            assert process.poll() is None, f"{block} ended:\n{self.log}"
            assert time.monotonic() < until_s, f"{block} is not ready:\n{self.log}"
            time.sleep(0.05)

    def _is_ready(self) -> bool:
        """It serves, and has reached Kafka."""
        try:
            serves = httpx.get(f"{self._environ['STEPBRIDGE_ADMIN']}/readyz").status_code == 200
        except httpx.HTTPError:
            return False
        return serves and all(f'"event":"{event}"' in self.log for event in ("kafka_reached", "producer_started"))

    @property
    def log(self) -> str:
        path = self._directory / "log"
        return path.read_text(errors="replace")[-10_000:] if path.exists() else ""

    def leave(self) -> None:
        for process in self._running:
            process.send_signal(signal.SIGINT)
        for process in self._running:
            try:
                process.wait(WITHIN_S)
            except subprocess.TimeoutExpired:
                process.kill()


@contextmanager
def reading(directory: Path, bootstrap: str) -> Iterator[Reader]:
    reader = Reader(directory, bootstrap)
    try:
        yield reader
    finally:
        reader.leave()


@pytest.mark.parametrize("page", RUN)
async def test_what_a_page_says_can_be_done_as_it_says(page: str, kafka: Kafka, tmp_path: Path) -> None:
    with reading(tmp_path, kafka.bootstrap) as reader:
        for block in BLOCKS:
            if block.page == page:
                for topic in reader.topics_of_others(block):
                    await kafka.create_topic(topic)
                reader.follow(block)
