"""POST on a route with `batch: true`: a JSON array is many records, and so is NDJSON (`http/ndjson.py`).

Any other body is one record, as on every route. An array is answered when each of its items has its outcome: 201 if all
are written, else 207. Its items go to Kafka in their order, WINDOW at a time, so that a large array neither fills
memory nor keeps everybody else waiting.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.clock import Deadline
from proxy.config.media import NDJSON, is_json
from proxy.errors import EmptyBatch, NotWritten, ProxyError, TooManyItems
from proxy.http.exchange import Exchange
from proxy.http.items import WINDOW, ItemWriter, Outcome, item, worth_retrying
from proxy.http.ndjson import NdjsonEndpoint
from proxy.http.produce import ProduceEndpoint
from proxy.routes.elements import elements, is_array
from proxy.routes.request import Request

MAX_ITEMS = 10_000  # of an array: each costs an answer's worth of memory, and NDJSON has no such bound


@dataclass(frozen=True, slots=True)
class BatchEndpoint(ProduceEndpoint):
    """Sends each body on by what it is."""

    many: ItemWriter
    ndjson: NdjsonEndpoint

    async def __call__(self, exchange: Exchange) -> None:
        head = exchange.request()
        if head.media_type == NDJSON:
            await self.ndjson(exchange, head)
        else:
            await ProduceEndpoint.__call__(self, exchange)

    async def produce(self, exchange: Exchange, request: Request) -> None:
        if is_array(request.body) and (request.media_type == "" or is_json(request.media_type)):
            await self._produce_array(exchange, request)
        else:
            await ProduceEndpoint.produce(self, exchange, request)

    async def _produce_array(self, exchange: Exchange, request: Request) -> None:
        self.recipe.admit(request)
        self.metrics.in_flight += 1
        try:
            outcomes = await self._write(request, request.fields, exchange.request_id)
        finally:
            self.metrics.in_flight -= 1
        items = b",".join([item(index, outcome) for index, outcome in enumerate(outcomes)])
        body = b'{"items":[%b],"retry":%b}' % (items, orjson.dumps(worth_retrying(outcomes)))
        failed = any(isinstance(outcome, ProxyError) for outcome in outcomes)
        await exchange.answer_json(207 if failed else 201, body)

    async def _write(self, request: Request, fields: list[Any], request_id: str) -> Sequence[Outcome]:
        if not fields:
            raise EmptyBatch("The array is empty: a batch has one record at least.")
        if len(fields) > MAX_ITEMS:
            raise TooManyItems(
                f"The array has {len(fields)} items, and {MAX_ITEMS} are taken. Send several, or NDJSON.",
                extra={"limit_items": MAX_ITEMS},
            )
        deadline = Deadline.after(self.timeout_s)
        sources = list(elements(request.body))  # all, before anything is written: it may raise
        outcomes: list[Outcome] = []
        for at in range(0, len(fields), WINDOW):
            window = slice(at, at + WINDOW)
            items: Sequence[Request | ProxyError] = list(map(request.item, sources[window], fields[window]))
            if not deadline.remaining_s():
                items = [NotWritten(_TOO_LATE)] * len(items)
            outcomes += await self.many.write(items, deadline, request_id)
        return outcomes


_TOO_LATE = "The request's time ran out before this record was queued. It was not written; send it again."
