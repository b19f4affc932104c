"""The audit log: one line for each thing somebody did to the bridge, or was kept from doing.

    audit("migration_set", by="key:ops", route="orders", stage="shadow", epoch=4)

The lines go where the log goes, under the logger `audit`, whatever `observe.log_level` says. Who did it stands in `by`
("-" for nobody known); never payloads, keys or credentials (`logs.py` withholds fields of such names). What operators
do is written line by line. Denials can be had by anyone for the asking, so they are bounded (`Denials`): a flood of
them neither fills the disk nor hides what came before it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from proxy.clock import now_s as monotonic_s
from proxy.observe.logs import logger

NOBODY = "-"

log = logger("audit")
logging.getLogger("stepbridge.audit").setLevel(logging.INFO)  # its own: the level of all others does not silence it


def audit(event: str, **fields: Any) -> None:
    """Write one line: what happened (past tense, a word of ours), and to what. Costs about 15 µs."""
    log.info(event, **fields)


@dataclass(slots=True)
class Denials:
    """Denied requests: `per_s` lines a second in the long run, `at_once` after a rest; the others are counted.

    The next line that is written says in `left_out` how many were not.
    """

    per_s: float = 5.0
    at_once: float = 50.0
    write: Callable[..., None] = audit
    left_out_total: int = 0  # for the metrics
    _left_out: int = 0
    _room: float = -1.0  # lines; -1 before the first
    _seen_s: float = 0.0

    def denied(self, now_s: float | None = None, **fields: Any) -> None:
        """One request was denied: `by`, `route`, `code`, … `now_s`: monotonic seconds."""
        now = monotonic_s() if now_s is None else now_s
        grown = self.at_once if self._room < 0 else self._room + (now - self._seen_s) * self.per_s
        self._room, self._seen_s = min(self.at_once, grown), now
        if self._room < 1:
            self._left_out += 1
            self.left_out_total += 1
            return
        self._room -= 1
        left_out, self._left_out = self._left_out, 0
        self.write("denied", **fields, **({"left_out": left_out} if left_out else {}))
