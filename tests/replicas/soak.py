"""What a long round looks like from outside, every minute: what was read, and what each process holds."""

import asyncio
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.replicas.load import World
from tests.replicas.report import HEADS, figures
from tests.replicas.stage import Stage
from tests.replicas.verdict import LOST

SOAK_APART_S = (10.0, 40.0)  # between faults: processes live long enough to grow, if they do
EVERY_S = 60.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """`fds`: open files and connections."""

    rss_mb: float
    fds: int

    @classmethod
    def of(cls, pid: int) -> "Process | None":
        """None if it is gone."""
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            return cls(pages * PAGE_BYTES / 2**20, len(os.listdir(f"/proc/{pid}/fd")))
        except OSError:
            return None

    def __str__(self) -> str:
        return f"{self.rss_mb:.0f} MB/{self.fds}"


async def watch(stage: Stage, world: World) -> None:
    """Print a line every minute, until cancelled."""
    print(head(len(stage.replicas)), flush=True)
    while True:
        await asyncio.sleep(EVERY_S)
        print(line(world, lag_of(await stage.commits()), [replica.processes for replica in stage.replicas]), flush=True)


def lag_of(commits: Sequence[tuple[str, int, int]]) -> int:
    return sum(end - max(committed, 0) for _, committed, end in commits)


def head(replicas: int) -> str:
    names = ("at", *HEADS, "lies", "lag", *(f"replica {n}: RSS/fds" for n in range(replicas)))
    return f"| {' | '.join(names)} |\n|{'---:|' * len(names)}"


def line(world: World, lag: int, replicas: Sequence[Sequence[int]]) -> str:
    """`replicas` has the process ids of each: its supervisor and workers. What is missing is down at the moment."""
    verdict = world.judge.verdict(world.now_s)
    # What is open now is not lost yet.
    lies = sum(len(cases) for name, cases in verdict.lies.items() if name != LOST)
    cells = [f"{world.now_s / 60:.1f} min", *figures(verdict), str(lies), str(lag)]
    return f"| {' | '.join([*cells, *map(', '.join, map(_held, replicas))])} |"


def _held(pids: Sequence[int]) -> Iterator[str]:
    return (str(process) for process in map(Process.of, pids) if process is not None)
