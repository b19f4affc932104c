"""`make chaos`: faults on a real cluster and real bridges, and every answer held against the log.

`python -m tests.chaos` plays a round for one seed, or for several in a row, and prints a table each. The same seed
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

from tests.chaos.faults import schedule
from tests.chaos.report import report, summary
from tests.chaos.run import Plan, Round, run
from tests.kafka.jars import Missing

RECORDS = 100_000
PER_S = 650


def main() -> int:
    arguments = _arguments()
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # of brokers that are down it speaks without end
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            seeds = range(arguments.seed, arguments.seed + arguments.rounds)
            rounds = [runner.run(_round(seed, arguments.records, keep=arguments.keep)) for seed in seeds]
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


async def _round(seed: int, records: int, *, keep: bool) -> Round:
    _end_cleanly_on_signals()
    lasts_s = records / PER_S
    directory = Path(tempfile.mkdtemp(prefix=f"stepbridge-chaos-{seed}-"))
    print(f"Seed {seed}: {records} records in {lasts_s:.0f} s or a quarter longer; logs in {directory}", flush=True)
    one = await run(Plan(seed, records, lasts_s, schedule(seed, lasts_s)), directory)
    print(report(one))
    print(f"  again: make chaos SEED={seed} RECORDS={records}")
    print(flush=True)
    if one.verdict.is_clean and not keep:
        shutil.rmtree(directory)
    return one


def _end_cleanly_on_signals() -> None:
    """Ctrl-C and SIGTERM cancel the round, so that brokers and bridges end with it."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel, number.name)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Faults, and whether any answer lied.")
    parser.add_argument("--seed", type=int, default=1, help="of the first round; 1 by default")
    parser.add_argument("--rounds", type=int, default=1, help="so many seeds in a row; 1 by default")
    parser.add_argument("--records", type=int, default=RECORDS, help=f"a round; {RECORDS} by default")
    parser.add_argument("--keep", action="store_true", help="all logs, what was told and found, of clean rounds too")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
