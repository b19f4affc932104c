"""The records of a batch: all queued together, each with an outcome of its own, which is one item of the answer.

An item that was written has `status` 201, `partition` and `offset`; another has the `status`, `code` and `detail` that
it would have had as a request of its own, and the `step` at which it failed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.clock import Deadline, now_s
from proxy.errors import (
    BodyTimeout,
    FieldInvalid,
    FieldMissing,
    KafkaForbids,
    KeyRequired,
    Malformed,
    NotNow,
    OutcomeUnknown,
    ProxyError,
    RecordTooLarge,
    SchemaViolation,
    TooLarge,
)
from proxy.http.produce import outcome_of
from proxy.observe.logs import logger
from proxy.observe.metrics import RouteMetrics
from proxy.record import Receipt, Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request
from proxy.seams import Submitter

WINDOW = 256  # records of one request that may wait or be with Kafka at one time
MAX_DETAIL = 1_000  # characters of an item's detail
MAX_ERRORS = 10  # of an item that are listed

log = logger("http")

Outcome = Receipt | ProxyError

# The first that fits says where an item failed.
_STEPS: Sequence[tuple[type[ProxyError], str]] = (
    (SchemaViolation, "schema"),
    (FieldMissing, "template"),
    (FieldInvalid, "template"),
    (RecordTooLarge, "refuse"),
    (KeyRequired, "refuse"),
    (TooLarge, "parse"),
    (Malformed, "parse"),
    (BodyTimeout, "parse"),
    (OutcomeUnknown, "kafka"),
    (KafkaForbids, "kafka"),
    (NotNow, "queue"),
)


@dataclass(frozen=True, slots=True)
class ItemWriter:
    """Writes the items of one route's batches."""

    recipe: RecordRecipe
    submitter: Submitter
    metrics: RouteMetrics
    timeout_s: float

    async def write(self, items: Sequence[Request | ProxyError], deadline: Deadline) -> list[Outcome]:
        """An outcome for each, in their order. What could not even be read comes, and goes, as its error.

        Cancelled, it takes out what still waits; the rest may be written.
        """
        began_s = now_s()
        made = [item if isinstance(item, ProxyError) else self._record(item) for item in items]
        records = [each for each in made if not isinstance(each, ProxyError)]
        submitted = iter(await self.submitter.submit_many(records, deadline) if records else ())
        outcomes = [each if isinstance(each, ProxyError) else next(submitted) for each in made]
        self._count(items, outcomes, now_s() - began_s)
        return outcomes

    def _record(self, item: Request) -> Record | ProxyError:
        try:
            _ = item.fields  # whether or not anybody looks into it, what comes as one of many is JSON
            return self.recipe.item(item)
        except ProxyError as error:
            return error
        except Exception as exc:  # noqa: BLE001 - one item's trouble is its own
            log.error("item_failed", exc=exc)
            return ProxyError("The bridge failed; its log has the reason. The record was not written.")

    def _count(self, items: Sequence[Request | ProxyError], outcomes: Sequence[Outcome], seconds: float) -> None:
        tallies: dict[str, tuple[int, int]] = {}
        for item, outcome in zip(items, outcomes, strict=True):
            name = outcome_of(outcome) if isinstance(outcome, ProxyError) else "written"
            records, size_bytes = tallies.get(name, (0, 0))
            tallies[name] = records + 1, size_bytes + (0 if isinstance(item, ProxyError) else len(item.body))
        for name, (records, size_bytes) in tallies.items():
            self.metrics.produced(name, records, size_bytes, None if name == "refused" else seconds)


def item(index: int, outcome: Outcome) -> bytes:
    """One item of the answer."""
    if isinstance(outcome, ProxyError):
        return orjson.dumps(_failed(index, outcome))
    return b'{"index":%d,"status":201,"partition":%d,"offset":%d}' % (index, outcome.partition, outcome.offset)


def worth_retrying(outcomes: Iterable[Outcome]) -> list[int]:
    """The indices of what was not written and may be later: not of what is unknown, which a repeat may duplicate."""
    return [index for index, outcome in enumerate(outcomes) if isinstance(outcome, NotNow)]


def step(error: ProxyError) -> str:
    """Where an item failed: parse, template, schema, refuse, queue, kafka; or `bridge`, which should not happen."""
    return next((name for kind, name in _STEPS if isinstance(error, kind)), "bridge")


def _failed(index: int, error: ProxyError) -> dict[str, Any]:
    failed = {
        "index": index,
        "status": error.status,
        "step": step(error),
        "code": error.code,
        "detail": error.detail[:MAX_DETAIL],
    }
    if error.errors:
        failed["errors"] = error.errors[:MAX_ERRORS]
    return failed | dict(error.extra)
