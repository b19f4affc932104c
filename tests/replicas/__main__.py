"""`make replicas`: clients hop between replicas that are killed, frozen and restarted, and every answer is judged.

`python -m tests.replicas` plays a round for one seed, or for several in a row, and prints a table each. The same seed
gives the same schedule; what is in flight when a fault comes is different each time.

Exit code: 0 when all that must be zero is; 1 when not, or when something could not be done; 130 when interrupted.
"""

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import uvloop

from tests.kafka.cluster import Kafka
from tests.kafka.jars import Missing
from tests.replicas.harms import schedule
from tests.replicas.report import report, summary
from tests.replicas.run import Plan, Round, Watch, run, unwatched
from tests.replicas.soak import SOAK_APART_S, watch


def main() -> int:
    arguments = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of members that are gone it speaks without end
    try:
        rounds = uvloop.run(_rounds(arguments))
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    except asyncio.CancelledError as cancelled:
        if not cancelled.args:
            raise  # by nobody that has asked for it: a fault of the suite's own
        print(f"Interrupted: {cancelled}.", file=sys.stderr)
        return 130
    if len(rounds) > 1:
        print(summary(rounds))
    return 0 if all(one.verdict.is_clean for one in rounds) else 1


async def _rounds(arguments: argparse.Namespace) -> list[Round]:
    _end_cleanly_on_signals()
    with tempfile.TemporaryDirectory(prefix="stepbridge-replicas-kafka-") as directory:
        async with Kafka(Path(directory) / "kafka") as kafka:
            if arguments.soak:
                lasts_s = arguments.soak * 60
                plan = Plan(arguments.seed, lasts_s, schedule(arguments.seed, lasts_s, SOAK_APART_S))
                return [await _round(plan, kafka, watch, keep=arguments.keep)]
            seeds = range(arguments.seed, arguments.seed + arguments.rounds)
            plans = [Plan(seed, arguments.seconds, schedule(seed, arguments.seconds)) for seed in seeds]
            return [await _round(plan, kafka, unwatched, keep=arguments.keep) for plan in plans]


async def _round(plan: Plan, kafka: Kafka, watch: Watch, *, keep: bool) -> Round:
    directory = Path(tempfile.mkdtemp(prefix=f"stepbridge-replicas-{plan.seed}-"))
    print(f"Seed {plan.seed}: {plan.lasts_s:g} s of load; logs in {directory}", flush=True)
    one = await run(plan, kafka, directory, watch)
    print(report(one), flush=True)
    if one.verdict.is_clean and not keep:
        shutil.rmtree(directory)
    return one


def _end_cleanly_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel the round, so that the broker and the bridges end with it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel, number.name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.replicas", description="Replicas, harmed and judged.")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; 1 by default")
    parser.add_argument("--rounds", type=int, default=1, help="so many seeds in a row; 1 by default")
    parser.add_argument("--seconds", type=float, default=35.0, help="of load, a round; 35 by default")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="instead: one round of so long, with a table")
    parser.add_argument("--keep", action="store_true", help="the logs of clean rounds too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
