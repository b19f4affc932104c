"""What every section of the bench works with: the topics, the candidates, the plan, and where to say what goes on."""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from tests.load import bridge_config
from tests.load.candidates import Candidate
from tests.load.plan import Plan
from tests.load.servers import Server, ServerFailed, serving
from tests.load.topics import Topics

Round = dict[str, Any]  # what the loader measured in one round, or a reading of a process
Rounds = dict[str, list[Round]]  # by candidate


@dataclass(frozen=True, slots=True)
class Payload:
    """What a request carries (`loader/payload.py`): so many records, answered with `status` (None: the candidate's)."""

    name: str
    records: int
    status: int | None = None


ONE = Payload("one", 1)


class NoFigure(Exception):
    """A round without a figure: the message says what the server did instead."""


@dataclass(slots=True)
class Session:
    """`failures` are the rounds that gave no figure; a candidate that failed takes no further part in its section."""

    plan: Plan
    topics: Topics
    directory: Path  # for logs, configuration files, the Go binary
    with_bridge: bool
    go: Path | None
    failures: list[str] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def say(self, what: str) -> None:
        """One line of progress, on stderr."""
        print(f"[{time.monotonic() - self.started_s:4.0f} s] {what}", file=sys.stderr, flush=True)

    def fail(self, candidate: Candidate, section: str, reason: object) -> None:
        self.failures.append(f"{section}, {candidate.name}: {reason}")
        self.say(self.failures[-1])

    def log(self, candidate: Candidate) -> Path:
        return self.directory / f"{candidate.name}.log"

    def write_config(
        self, name: str, routes: Sequence[bridge_config.Route], peer_port: int | None = None, /, **limits: Any
    ) -> Path:
        """A configuration file for the bridge. `peer_port`: see `bridge_config.write`."""
        path = self.directory / f"{name}.yaml"
        return bridge_config.write(path, self.topics.bootstrap, routes, limits, peer_port=peer_port)

    async def load(self, server: Server, job: str, **details: Any) -> Round:
        """Have a loader process do one job. Raises NoFigure."""
        described = orjson.dumps({"job": job, "pid": server.pid, "port": server.port, **details}).decode()
        loader = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tests.load.loader",
            described,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        result, said = await loader.communicate()
        if loader.returncode != 0:
            raise NoFigure(said.decode(errors="replace").strip()[-500:])
        measured: Round = orjson.loads(result)
        return measured

    async def post(self, candidate: Candidate, server: Server, connections: int, payload: Payload = ONE) -> Round:
        """One round of POSTs, each connection's next when it has the answer to its last. Raises NoFigure."""
        times = {"warmup_s": self.plan.warmup_s, "window_s": self.plan.window_s}
        return await self.post_by(candidate, server, "closed_loop", payload, connections=connections, **times)

    async def post_by(
        self, candidate: Candidate, server: Server, job: str, payload: Payload = ONE, **details: Any
    ) -> Round:
        """One round of POSTs; afterwards the topic must have as many more records as were answered.

        Raises:
            NoFigure: an answer had another status, a connection broke, or the records are not all there.
        """
        before = await self._written(candidate)
        status = payload.status or candidate.status
        details |= {"path": candidate.path, "payload": payload.name, "expected_status": status}
        measured = await self.load(server, job, **details)
        expected = measured["answers_in_all"] * payload.records if candidate.topic else 0
        if wrong := what_is_wrong(measured, expected, await self._written(candidate) - before):
            raise NoFigure(wrong)
        return measured

    async def _written(self, candidate: Candidate) -> int:
        return await self.topics.count(candidate.topic) if candidate.topic else 0

    async def interleave(
        self,
        section: str,
        candidates: Sequence[Candidate],
        rounds: int,
        measure: Callable[[Candidate, Server], Awaitable[Round]],
    ) -> Rounds:
        """Start all candidates, and measure A B C D, A B C D, ... `measure` may raise NoFigure."""
        done: Rounds = {candidate.name: [] for candidate in candidates}
        async with AsyncExitStack() as stack:
            servers = await self.start(stack, section, candidates)
            for number in range(1, rounds + 1):
                for candidate, server in list(servers):
                    self.say(f"{section}: round {number} of {rounds}, {candidate.name}")
                    try:
                        done[candidate.name].append(await measure(candidate, server))
                    except NoFigure as reason:
                        self.fail(candidate, section, reason)
                        servers.remove((candidate, server))
        return {name: results for name, results in done.items() if len(results) == rounds}

    async def start(
        self, stack: AsyncExitStack, section: str, candidates: Sequence[Candidate]
    ) -> list[tuple[Candidate, Server]]:
        """All of them that start; they end with the stack."""
        servers = []
        for candidate in candidates:
            try:
                running = await stack.enter_async_context(serving(candidate, self.log(candidate)))
                servers.append((candidate, running))
            except ServerFailed as reason:
                self.fail(candidate, section, reason)
        return servers


def what_is_wrong(measured: Round, answered: int, written: int) -> str | None:
    """Why no figure may be made of this round of POSTs; None if it is sound."""
    if measured["unexpected"]:
        return f"answers by status {measured['statuses']}, one of them: {measured['unexpected']}"
    if measured["broken"] or measured["unanswered"]:
        return f"{measured['broken']} connections broke and {measured['unanswered']} requests had no answer"
    if not measured["answers"]:
        return "no answer within the round"
    if answered != written:
        return f"{answered} records were answered as written, but the topic has {written} more records"
    return None
