"""POST on a produce route: one request in, one record out, one receipt back."""

from dataclasses import dataclass

from proxy.clock import Deadline, now_s
from proxy.errors import NotNow, OutcomeUnknown, ProxyError
from proxy.http.encoding import expanded_body
from proxy.http.exchange import Exchange
from proxy.limits.gate import Gate
from proxy.observe.metrics import RouteMetrics
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request
from proxy.seams.produce import Submitter


@dataclass(frozen=True, slots=True)
class ProduceEndpoint:
    """The hot path of the bridge. Everything that can be decided before a request comes was compiled at start."""

    recipe: RecordRecipe
    submitter: Submitter
    gate: Gate
    metrics: RouteMetrics
    max_body_bytes: int
    timeout_s: float

    async def __call__(self, exchange: Exchange) -> None:
        gate = self.gate
        gate.check()
        if exchange.header(b"content-encoding") is None:
            body = await exchange.body(self.max_body_bytes, gate)
        else:
            body = await expanded_body(exchange, self.max_body_bytes, gate)
        size_bytes = len(body)
        gate.enter(size_bytes)
        try:
            # `Exchange.request`, without its call
            request = Request(exchange.path, exchange.query_string, exchange.headers, body, exchange.principal)
            await self.produce(exchange, request)
        finally:
            gate.leave(size_bytes)

    async def produce(self, exchange: Exchange, request: Request) -> None:
        """Write what was let in, and answer."""
        metrics = self.metrics
        metrics.in_flight += 1
        began_s = now_s()
        queued = False
        try:
            record = self.recipe.record(request)
            queued = True
            receipt = await self.submitter.submit(record, Deadline(began_s + self.timeout_s))
        except ProxyError as error:
            metrics.produced(outcome_of(error), 1, len(request.body), now_s() - began_s if queued else None)
            raise
        finally:
            metrics.in_flight -= 1
        metrics.produced("written", 1, len(request.body), now_s() - began_s)
        await exchange.answer(*self.recipe.reply.render(request, receipt))


def outcome_of(error: ProxyError) -> str:
    """Which of DESIGN's three outcomes a failure is, as the metrics call it."""
    if isinstance(error, OutcomeUnknown):
        return "unknown"
    return "not_written" if isinstance(error, NotNow) else "refused"
