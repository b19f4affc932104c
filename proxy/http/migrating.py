"""A route on its way from its upstream to Kafka: each request is served at the stage of its key.

| stage | the client gets | Kafka |
|---|---|---|
| legacy | the upstream's answer | |
| shadow | the upstream's answer | the record is queued after a 2xx; nobody waits for it |
| dual | the authority's answer | the record is written, within the request (`migrate/dual.py`) |
| kafka | the route's own `response` | the record is written; the upstream is not asked |

The body is read as a whole before anybody is asked, since the record's key decides the stage. One that is larger than
the route takes goes through at legacy and shadow all the same, streamed; there the record is never the client's
trouble. At dual and kafka it is.
"""

import contextlib
from dataclasses import dataclass

from proxy.clock import Deadline, now_s
from proxy.errors import Forbidden, ProxyError, TooLarge, UpstreamError
from proxy.http.attempt import Attempt, Taken, take_body
from proxy.http.comparing import Comparison
from proxy.http.encoding import decoder_for, expand
from proxy.http.exchange import ClientGone, Exchange, too_large
from proxy.http.interrupt import Interrupt
from proxy.http.passthrough import NEVER, pass_answer
from proxy.http.produce import outcome_of
from proxy.limits.gate import Gate
from proxy.migrate.divergence import Asked, Divergences, Outcomes
from proxy.migrate.dual import CASES, Authority, kafka_failure, legacy_failure, legacy_outcome
from proxy.migrate.route import RouteOnItsWay
from proxy.migrate.stages import Stage
from proxy.observe.metrics import RouteMetrics
from proxy.record import Receipt
from proxy.routes.recipe import RecordRecipe
from proxy.routes.template import Template
from proxy.seams.produce import Submitter
from proxy.seams.upstream import Upstream, UpstreamAnswer


@dataclass(frozen=True, slots=True)
class MigratingEndpoint:
    """A route with an upstream, a record, and a stage."""

    way: RouteOnItsWay
    upstream: Upstream
    recipe: RecordRecipe
    submitter: Submitter
    divergences: Divergences
    gate: Gate
    metrics: RouteMetrics
    max_body_bytes: int
    timeout_s: float
    authority: Authority
    rollout_by: Template | None = None
    caller: Template | None = None
    tells_stage: bool = False
    judges_body: bool = False  # a right hangs on it

    async def __call__(self, exchange: Exchange) -> None:
        self.gate.check()
        taken = await take_body(exchange, self.max_body_bytes, self.gate)
        attempt = self._attempt(exchange, taken)
        size_bytes = attempt.size_bytes
        self.gate.enter(size_bytes)
        self.metrics.in_flight += 1
        try:
            await self._pass(attempt)
        finally:
            self.metrics.in_flight -= 1
            self.gate.leave(size_bytes)

    async def _pass(self, attempt: Attempt) -> None:
        """Serve it at its stage; it leaves when everything it does is done, or queued."""
        passage = await self.way.standing.enter(self._place(attempt))
        try:
            stage = passage.stage
            self.way.account.request(stage, self._caller(attempt))
            if self.tells_stage:
                exchange = attempt.exchange
                exchange.more_headers = [*exchange.more_headers, (b"stepbridge-stage", stage.encode())]
            match stage:
                case "legacy":
                    await self._legacy(attempt)
                case "shadow":
                    await self._shadow(attempt)
                case "dual":
                    await self._dual(attempt)
                case "kafka":
                    await self._kafka(attempt)
        finally:
            passage.leave()

    # ---- what comes in

    def _attempt(self, exchange: Exchange, taken: Taken) -> Attempt:
        request = exchange.request(taken.body)
        try:
            if not taken.fits:
                raise too_large(self.max_body_bytes)
            if decoder := decoder_for(exchange.headers):
                request.body = expand(taken.body, decoder, self.max_body_bytes)
            return Attempt(exchange, taken, request, self.recipe.record(request), None)
        except Forbidden:
            raise
        except ProxyError as error:
            if self.judges_body:  # what cannot be read cannot be allowed either
                raise
            return Attempt(exchange, taken, request, None, error)

    def _place(self, attempt: Attempt) -> bytes | None:
        """What decides which of the keys of a rollout this is."""
        try:
            if self.rollout_by is not None:
                return self.rollout_by.encoded(attempt.request)
            return attempt.key if attempt.record else self.recipe.key(attempt.request)
        except ProxyError:
            return None

    def _caller(self, attempt: Attempt) -> str:
        if self.caller is not None:
            try:
                return self.caller.text(attempt.request)
            except ProxyError:
                pass
        return attempt.exchange.client_address or "unknown"

    # ---- the stages

    async def _legacy(self, attempt: Attempt) -> None:
        with Interrupt(attempt.exchange, NEVER):
            await pass_answer(attempt.exchange, await self._ask(attempt))

    async def _shadow(self, attempt: Attempt) -> None:
        """A client that goes ends the request to the upstream, and with it what is known of its outcome."""
        try:
            with Interrupt(attempt.exchange, NEVER):
                answer = await self._ask(attempt)
        except (UpstreamError, ClientGone) as error:
            if isinstance(error, ClientGone) or error.may_have_acted:
                self._lose(attempt, "legacy_unknown", "The legacy service may have taken it, and did not say so.")
            raise
        comparison = None
        if 200 <= answer.status < 300:
            comparison = self._compare(answer)
            self._follow(attempt, comparison)
        with Interrupt(attempt.exchange, NEVER):
            await pass_answer(attempt.exchange, answer, comparison.tee if comparison else None)
        await self._answered(attempt, comparison)

    async def _dual(self, attempt: Attempt) -> None:
        self.divergences.check()
        if not attempt.taken.fits:
            raise too_large(self.max_body_bytes)
        await (self._legacy_first(attempt) if self.authority == "legacy" else self._kafka_first(attempt))

    async def _kafka(self, attempt: Attempt) -> None:
        receipt = await self._write(attempt, "kafka")
        await attempt.exchange.answer(*self.recipe.reply.render(attempt.request, receipt))

    async def _legacy_first(self, attempt: Attempt) -> None:
        outcomes = Outcomes()
        try:
            answer = await self._ask(attempt)
        except UpstreamError as error:
            outcomes.legacy, outcomes.code = legacy_failure(error), error.code
            self._settle(attempt, outcomes)
            raise
        outcomes.legacy, outcomes.status = legacy_outcome(answer.status), answer.status
        comparison = None
        if outcomes.legacy == "accepted":
            comparison = self._compare(answer)
            await self._write_second(attempt, outcomes)
            if comparison and outcomes.receipt:
                comparison.would(self.recipe.reply.render(attempt.request, outcomes.receipt))
        self._settle(attempt, outcomes)
        await pass_answer(attempt.exchange, answer, comparison.tee if comparison else None)
        await self._answered(attempt, comparison)

    async def _write_second(self, attempt: Attempt, outcomes: Outcomes) -> None:
        try:
            outcomes.receipt = await self._write(attempt, "dual")
            outcomes.kafka = "written"
        except ProxyError as error:
            outcomes.kafka, outcomes.code = kafka_failure(error), error.code

    async def _kafka_first(self, attempt: Attempt) -> None:
        outcomes = Outcomes()
        try:
            receipt = outcomes.receipt = await self._write(attempt, "dual")
        except ProxyError as error:
            outcomes.kafka, outcomes.code = kafka_failure(error), error.code
            self._settle(attempt, outcomes)
            raise
        outcomes.kafka = "written"
        ours = self.recipe.reply.render(attempt.request, receipt)
        await self._ask_second(attempt, outcomes, ours)
        self._settle(attempt, outcomes)
        await attempt.exchange.answer(*ours)

    async def _ask_second(
        self, attempt: Attempt, outcomes: Outcomes, ours: tuple[int, list[tuple[bytes, bytes]], bytes]
    ) -> None:
        """Have the upstream take what Kafka has, and read its answer for the comparison alone."""
        try:
            answer = await self._ask(attempt)
        except UpstreamError as error:
            outcomes.legacy, outcomes.code = legacy_failure(error), error.code
            return
        outcomes.legacy, outcomes.status = legacy_outcome(answer.status), answer.status
        comparison = self._compare(answer)
        try:
            if comparison:
                await comparison.read(answer)
                comparison.would(ours)
                await self._answered(attempt, comparison)
        except UpstreamError:
            pass  # its status told what counts
        finally:
            await answer.close()

    # ---- the two sides

    async def _ask(self, attempt: Attempt) -> UpstreamAnswer:
        """The upstream's answer. Raises UpstreamError and its kin, and what is wrong with the request itself."""
        began_s = now_s()
        answer = await self.upstream.send(attempt.upstream_request())
        self.way.account.legacy_took(now_s() - began_s)
        return answer

    async def _write(self, attempt: Attempt, stage: Stage) -> Receipt:
        """Write the record. Raises what `Submitter.submit` does, and why there is no record."""
        size_bytes, began_s = len(attempt.request.body), now_s()
        try:
            record = attempt.marked(self.way.name, stage)
        except ProxyError as error:
            self.metrics.produced("refused", 1, size_bytes)
            self._violated(attempt, error, stage)
            raise
        try:
            receipt = await self.submitter.submit(record, Deadline(began_s + self.timeout_s))
        except ProxyError as error:
            self.metrics.produced(outcome_of(error), 1, size_bytes, now_s() - began_s)
            raise
        self.metrics.produced("written", 1, size_bytes, now_s() - began_s)
        self.way.account.kafka_took(now_s() - began_s)
        return receipt

    def _follow(self, attempt: Attempt, comparison: Comparison | None) -> None:
        """The upstream took it: into the shadow's queue, or onto its list of losses."""
        if attempt.error is not None:
            self._violated(attempt, attempt.error, "shadow")
            self._lose(attempt, attempt.error.code, attempt.error.title)  # the detail may quote the body
            return
        began_s, request, size_bytes = now_s(), attempt.request, len(attempt.request.body)

        def written(receipt: Receipt) -> None:
            self.metrics.produced("written", 1, size_bytes, now_s() - began_s)
            self.way.account.kafka_took(now_s() - began_s)
            self.way.account.shadowed()
            if comparison:
                comparison.would(self.recipe.reply.render(request, receipt))

        self.way.shadow.offer(attempt.marked(self.way.name, "shadow"), attempt.exchange.request_id, written)

    def _violated(self, attempt: Attempt, error: ProxyError, stage: Stage) -> None:
        """The request makes no record: an example for those who would climb."""
        if not isinstance(error, TooLarge):
            errors = error.errors or [{"pointer": "", "detail": error.detail}]
            self.way.account.violated(errors, attempt.request.body, stage)

    def _lose(self, attempt: Attempt, reason: str, detail: str) -> None:
        self.way.shadow.lose(reason, detail, attempt.exchange.request_id, attempt.key)

    # ---- comparing answers

    def _compare(self, answer: UpstreamAnswer) -> Comparison | None:
        """None: this one is not in the sample."""
        comparer = self.way.comparer
        if comparer is None or not comparer.takes():
            return None
        return Comparison(comparer, self.way.account, answer.status, answer.headers)

    async def _answered(self, attempt: Attempt, comparison: Comparison | None) -> None:
        """The upstream's answer is here as a whole, and the client's is on its way."""
        if comparison is None:
            return
        if comparison.is_asked_twice(attempt.exchange.scope["method"]) and not attempt.taken.more:
            with contextlib.suppress(UpstreamError):
                answer = await self.upstream.send(attempt.upstream_request())
                await comparison.repeated(answer)  # first: what is noise is no difference
        comparison.answered()

    def _settle(self, attempt: Attempt, outcomes: Outcomes) -> None:
        """Name what happened; tell of it where the two sides have parted."""
        case = CASES[self.authority][outcomes.legacy, outcomes.kafka]
        self.way.cases[case.name] += 1
        if case.diverged:
            self.way.account.diverged(case.name)
            method, target = attempt.asked
            exchange = attempt.exchange
            asked = Asked(
                self.way.name, exchange.request_id, method, target, exchange.headers, attempt.request.body, attempt.key
            )
            self.divergences.note(asked, self.authority, case, outcomes)
