"""What a process has used: CPU time of all its threads and children, and memory."""

import time
from dataclasses import dataclass
from pathlib import Path

_TICK_S = 0.01  # USER_HZ is 100 on every Linux this runs on; only children that have ended are counted in ticks


def cpu_s(pid: int) -> float:
    """CPU-seconds (user and system) of the process, its threads, and its children, those that ended included.

    Read from the process's own CPU clock: the same sum as utime + stime in /proc/<pid>/stat, but in nanoseconds
    instead of hundredths of a second, which at one connection would be an error of several percent.

    Raises:
        ProcessLookupError: the process is gone.
    """
    return sum(_clock_s(one) + _ended_children_s(one) for one in _family(pid))


def _family(pid: int) -> list[int]:
    """The process and its living descendants."""
    found = [pid]
    for one in found:  # grows while it is walked
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            found += map(int, task.read_text().split())
    return found


def _clock_s(pid: int) -> float:
    clock_id = (~pid << 3) | 2  # CPUCLOCK_SCHED of the process: what clock_getcpuclockid(3) makes
    try:
        return time.clock_gettime(clock_id)
    except OSError as exc:
        raise ProcessLookupError(f"process {pid} has ended") from exc


def _ended_children_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * _TICK_S  # cutime, cstime


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process and its children, in 2**20 bytes: `rss_mb` counts shared pages in full, `pss_mb` their share."""

    rss_mb: float
    pss_mb: float


def memory(pid: int) -> Memory:
    sizes = [_rollup_kb(one) for one in _family(pid)]
    return Memory(sum(one["Rss"] for one in sizes) / 1024, sum(one["Pss"] for one in sizes) / 1024)


def _rollup_kb(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
