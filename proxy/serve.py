"""`stepbridge serve`: the file with what the command line says in it, and then one process, or several under one.

Exit codes: 0 drained; 1 could not start, or requests were cut off by the drain's time; 2 mistakes in the file;
128 + n ended at once by signal n.
"""

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

import uvloop

from proxy.config.load import load
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config
from proxy.observe import logs

log = logs.logger("server")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says: it beats the file, after a reload too."""

    host: str | None = None
    port: int | None = None
    admin_host: str | None = None
    admin_port: int | None = None
    workers: int | None = None

    def load(self, path: Path) -> Config:
        """The file with what the command line says in it. Raises ConfigMistakes."""
        server = _said(host=self.host, port=self.port, workers=self.workers)
        admin = _said(host=self.admin_host, port=self.admin_port)
        return load(path, flags={"server": server, "admin": admin})


def serve(path: Path, overrides: Overrides) -> int:
    """Run the bridge until a signal ends it. Returns the exit code; what stops it from starting is on stderr."""
    try:
        config = overrides.load(path)
    except ConfigMistakes as exc:
        print(exc, file=sys.stderr)
        return 2
    logs.configure(config.observe.log_format, config.observe.log_level)
    run = _run_alone if config.server.workers == 1 else _run_workers
    try:
        return run(config, path, overrides)
    except OSError as exc:
        print(f"stepbridge cannot listen: {exc}", file=sys.stderr)
        return 1


def _run_alone(config: Config, path: Path, overrides: Overrides) -> int:
    from proxy.process import run_alone  # not above: a process that only watches others does without all of this
    from proxy.server import listen

    with (
        listen(config.server.host, config.server.port) as public,
        listen(config.admin.host, config.admin.port) as admin,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        return runner.run(run_alone(config, lambda: _reread(path, overrides), public, admin))


def _run_workers(config: Config, path: Path, overrides: Overrides) -> int:
    from proxy.workers.supervisor import run

    return run(config, lambda: _reread(path, overrides))


def _reread(path: Path, overrides: Overrides) -> Config:
    """For a reload. What is wrong with the file is in the log too, for whoever asked by a signal."""
    try:
        return overrides.load(path)
    except ConfigMistakes as exc:
        log.warning("reload_refused", mistakes=len(exc.mistakes))
        for mistake in exc.mistakes:
            line = f"mistake {mistake}"  # as the event: no two are the same, so none is held back as a repeat
            log.warning(line)
        raise


def _said(**values: object) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}
