"""The records of a batch: all queued together, each with an outcome of its own, which is one item of the answer.

An item that was written has `status` 201, `partition` and `offset`; another has the `status`, `code` and `detail` that
it would have had as a request of its own, and the `step` at which it failed.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
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
    RefusedByKafka,
    SchemaViolation,
    TooLarge,
)
from proxy.http.produce import outcome_of
from proxy.observe.logs import logger
from proxy.observe.metrics import RouteMetrics
from proxy.record import Receipt, Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request
from proxy.seams.produce import Submitter

WINDOW = 256  # records of one request that may wait or be with Kafka at one time
TURN = 16  # errors that are made in one go
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
    (RefusedByKafka, "kafka"),
    (NotNow, "queue"),
)


@dataclass(frozen=True, slots=True)
class ItemWriter:
    """Writes the items of one route's batches."""

    recipe: RecordRecipe
    submitter: Submitter
    metrics: RouteMetrics
    timeout_s: float

    async def write(
        self, items: Sequence[Request | ProxyError], deadline: Deadline, request_id: str
    ) -> Sequence[Outcome]:
        """An outcome for each, in their order. What could not even be read comes, and goes, as its error.

        Cancelled, it takes out what still waits; the rest may be written.
        """
        began_s = now_s()
        errors: dict[int, ProxyError] = {}
        records: list[Record] = []
        for place, item in enumerate(items):
            try:
                records.append(self._record(item, request_id))
            except ProxyError as error:
                errors[place] = error
                if len(errors) % TURN == 0:
                    await asyncio.sleep(0)  # an error is dear, and waits for nothing: others have their turn
        submitted = await self.submitter.submit_many(records, deadline) if records else ()
        outcomes = _merged(submitted, errors) if errors else submitted
        self._count(items, outcomes, now_s() - began_s)
        return outcomes

    def _record(self, item: Request | ProxyError, request_id: str) -> Record:
        if isinstance(item, ProxyError):
            raise item
        _ = item.fields  # whether or not anybody looks into it, what comes as one of many is JSON
        try:
            return self.recipe.item(item)
        except ProxyError:
            raise
        except Exception as exc:
            log.error("item_failed", request_id=request_id, exc=exc)
            raise ProxyError("The bridge failed; its log has the reason. The record was not written.") from exc

    def _count(self, items: Sequence[Request | ProxyError], outcomes: Sequence[Outcome], seconds: float) -> None:
        sizes: dict[str, list[int]] = {}
        for item, outcome in zip(items, outcomes, strict=True):
            name = outcome_of(outcome) if isinstance(outcome, ProxyError) else "written"
            sizes.setdefault(name, []).append(0 if isinstance(item, ProxyError) else len(item.body))
        for name, of_outcome in sizes.items():
            took_s = None if name == "refused" else seconds
            self.metrics.produced(name, len(of_outcome), sum(of_outcome), took_s)


def _merged(submitted: Sequence[Outcome], errors: Mapping[int, ProxyError]) -> list[Outcome]:
    """What was submitted, with the errors of the others in their places."""
    others = iter(submitted)
    return [errors.get(place) or next(others) for place in range(len(submitted) + len(errors))]


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
        "detail": error.told[:MAX_DETAIL],
    }
    if error.errors:
        failed["errors"] = error.errors[:MAX_ERRORS]
    return failed | dict(error.extra)
