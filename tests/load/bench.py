"""`make bench`: what a request costs, next to a bare endpoint, a minimal bridge, and a minimal bridge in Go.

`python -m tests.load.bench` starts a broker and the candidates (`candidates.py`, `servers.py`), drives them in
interleaved rounds from a process of its own (`loader/`), and prints the medians (`report.py`). The figure to trust is
the server's CPU-seconds per 10,000 requests: unlike requests/s it hardly sees what else the machine is doing.

Exit code: 0 when every round gave a figure (a missed aim is a figure), 1 when one did not, 130 when interrupted.
"""

import argparse
import asyncio
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from tests.kafka.jars import Missing
from tests.load.aims import aims
from tests.load.candidates import build_go
from tests.load.plan import QUICK, SECTIONS, Plan
from tests.load.report import report
from tests.load.sections import (
    arrival,
    batch,
    crowd,
    drain,
    group,
    overload,
    passthrough,
    produce,
    routes,
    slow,
    sse,
    start,
    workers,
)
from tests.load.session import Session
from tests.load.topics import Topics, broker

MEASURES: Mapping[str, Callable[[Session], Awaitable[dict[str, Any]]]] = {
    "produce": produce.measure,
    "batch": batch.measure,
    "overload": overload.measure,
    "drain": drain.measure,
    "group": group.measure,
    "arrival": arrival.measure,
    "sse": sse.measure,
    "crowd": crowd.measure,
    "slow": slow.measure,
    "start": start.measure,
    "routes": routes.measure,
    "workers": workers.measure,
    "passthrough": passthrough.measure,
}


def main() -> int:
    arguments = _arguments()
    plan = replace(QUICK if arguments.quick else Plan(), sections=arguments.only)
    try:
        with tempfile.TemporaryDirectory(prefix="stepbridge-bench-") as directory:
            return asyncio.run(_bench(plan, Path(directory), arguments))
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    except asyncio.CancelledError:
        print("Interrupted: no figures.", file=sys.stderr)
        return 130


async def _bench(plan: Plan, directory: Path, arguments: argparse.Namespace) -> int:
    _end_cleanly_on_signals()
    go = "left out, as asked" if "go" in arguments.without else build_go(directory)
    async with broker(directory / "kafka") as kafka, Topics(kafka, f"bench-{os.getpid()}") as topics:
        session = Session(
            plan=plan,
            topics=topics,
            directory=directory,
            with_bridge="bridge" not in arguments.without,
            go=go if isinstance(go, Path) else None,
        )
        session.say(f"Kafka at {kafka.bootstrap}")
        results = {section: await MEASURES[section](session) for section in plan.sections}
    print(report(results, plan, go if isinstance(go, str) else None, session.failures))
    if arguments.json:
        arguments.json.write_bytes(_as_json(plan, results, session.failures))
    return 1 if session.failures else 0


def _end_cleanly_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel the run, so that the broker and all servers end with it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _as_json(plan: Plan, results: dict[str, Any], failures: list[str]) -> bytes:
    """Every round as it was measured, not only the medians."""
    document = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "plan": asdict(plan),
        "results": results,
        "aims": [{**asdict(aim), "met": aim.met} for aim in aims(results)],
        "failures": failures,
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...", description="Measure the bridge beside its references."
    )
    parser.add_argument(
        "--quick", action="store_true", help="fewer and shorter rounds: about 90 seconds, less to trust"
    )
    parser.add_argument(
        "--only", type=_sections, default=SECTIONS, metavar="SECTION,...", help=f"of {', '.join(SECTIONS)}"
    )
    parser.add_argument(
        "--without", action="append", choices=("bridge", "go"), default=[], help="measure the others alone"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every round there as well")
    return parser.parse_args()


def _sections(text: str) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    if unknown := set(chosen) - set(SECTIONS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: not one of {', '.join(SECTIONS)}")
    return chosen


if __name__ == "__main__":
    sys.exit(main())
