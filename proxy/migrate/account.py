"""What one route's migration has come to in this process: the numbers by which people climb and descend. Pure.

What the shadow sees to is produced or lost. A request no record can be made of, since it violates schema or template,
is one of the losses, and has an example here; the losses themselves are listed in `losses.py`.

    success ratio = produced / (produced + lost)

Every list is bounded, and what it shows of clients' bodies is redacted (`redaction.py`).
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from proxy import clock
from proxy.config.model import Route
from proxy.migrate.callers import Callers
from proxy.migrate.compare import Difference, Result, Skipped
from proxy.migrate.kinds import Kinds
from proxy.migrate.latency import Latencies
from proxy.migrate.redaction import Redaction
from proxy.migrate.stages import Stage
from proxy.observe.metrics import Distribution
from proxy.routes.intake import faults_of

OLD_PATH: frozenset[Stage] = frozenset(("legacy", "shadow"))  # their clients depend on the legacy service alone
MAX_ERRORS = 5  # of one example

Faults = Callable[[bytes], Sequence[Mapping[str, str]]]


class Side:
    """How long one of the two sides took: for people, and for the metric."""

    __slots__ = ("latencies", "took")

    def __init__(self) -> None:
        self.latencies = Latencies()
        self.took = Distribution()

    def observe(self, seconds: float) -> None:
        self.latencies.observe(seconds)
        self.took.observe(seconds)


class Account:
    """One route's. Outlives reloads: `follow` hands in what a new file says."""

    def __init__(
        self,
        route: str,
        redaction: Redaction,
        faults: Faults | None = None,
        *,
        wall_ms: Callable[[], int] = clock.wall_ms,
    ) -> None:
        """`faults`: what is wrong with a body, in words that hold none of its values."""
        self.route = route
        self.requests: Counter[Stage] = Counter()
        self.callers = Callers()
        self.legacy, self.kafka = Side(), Side()
        self.produced = 0
        self.violations: Counter[Stage] = Counter()
        self.losses: Counter[str] = Counter()
        self.last_loss: int | None = None  # ms since the epoch
        self.divergences: Counter[str] = Counter()
        self.compared_same = 0
        self.compared_different = 0
        self.compared_skipped: Counter[str] = Counter()
        self._violated, self._mismatches, self._noise = Kinds(), Kinds(), Kinds()
        self._redaction, self._faults = redaction, faults
        self._wall_ms = wall_ms

    def __repr__(self) -> str:
        return f"<Account of {self.route}: {self.requests.total()} requests>"

    def follow(self, redaction: Redaction, faults: Faults | None) -> None:
        """Show examples like this from now on. If that is another way than before, those that are kept are dropped."""
        if redaction != self._redaction:
            self._violated, self._mismatches, self._noise = Kinds(), Kinds(), Kinds()
        self._redaction, self._faults = redaction, faults

    # ---- what happens

    def request(self, stage: Stage, caller: str) -> None:
        """A request is served at this stage. `caller`: its address, or what `migrate.caller` makes of it."""
        self.requests[stage] += 1
        if stage in OLD_PATH:
            self.callers.called(caller, self._wall_ms())

    def legacy_took(self, seconds: float) -> None:
        """The head of the legacy service's answer came so long after it was asked."""
        self.legacy.observe(seconds)

    def kafka_took(self, seconds: float) -> None:
        """Kafka had the record so long after it was queued."""
        self.kafka.observe(seconds)

    def shadowed(self) -> None:
        """The shadow has produced one record."""
        self.produced += 1

    def violated(self, errors: Sequence[Mapping[str, str]], body: bytes, stage: Stage = "shadow") -> None:
        """No record could be made of a request: `errors` as a 422 lists them."""
        self.violations[stage] += 1
        self._violated.note(_kind(errors), self._wall_ms(), partial(self._violation, errors, body))

    def lost(self, reason: str, n: int = 1) -> None:
        """So many records of the shadow are not in Kafka, or it is not known whether they are."""
        self.losses[reason] += n
        self.last_loss = self._wall_ms()

    def diverged(self, case: str) -> None:
        """At dual, one of the two sides has, or may have, what the other has not (`dual.py`)."""
        self.divergences[case] += 1

    def compared(self, result: Result) -> None:
        """What the route would have answered was held against what the legacy did (`Comparer.compare`)."""
        if result is None:
            self.compared_same += 1
        elif isinstance(result, Skipped):
            self.compared_skipped[result.reason] += 1
        else:
            self.compared_different += 1
            self._note(self._mismatches, result)

    def repeated(self, result: Result) -> None:
        """Two answers of the legacy to one request were held against each other (`Comparer.learn`)."""
        if isinstance(result, Difference):
            self._note(self._noise, result)

    def _note(self, kinds: Kinds, difference: Difference) -> None:
        now_ms = self._wall_ms()
        for each in difference.mismatches:
            kinds.note(each.name, now_ms, partial(each.as_json, self._redaction))

    def _violation(self, errors: Sequence[Mapping[str, str]], body: bytes) -> dict[str, Any]:
        if not self._redaction.hides_nothing and self._faults is not None:  # the words of a 422 quote what it refuses
            errors = self._faults(body) or errors
        return {"errors": [dict(each) for each in errors[:MAX_ERRORS]], "body": self._redaction.body(body)}

    # ---- what it comes to

    def violations_share(self) -> tuple[int, int]:
        """Requests that the shadow has seen to, and those of them no record could be made of."""
        return self.produced + self.losses.total(), self.violations["shadow"]

    def notes(self) -> dict[str, Any]:
        """What no metric holds, as JSON that adds up over workers (`report.py`)."""
        return {
            "callers": self.callers.as_json(),
            "callers_forgotten": self.callers.forgotten,
            "violations": self._violated.as_json(),
            "mismatches": self._mismatches.as_json(),
            "noise": self._noise.as_json(),
            "legacy": self.legacy.latencies.as_json(),
            "kafka": self.kafka.latencies.as_json(),
        }


def _kind(errors: Sequence[Mapping[str, str]]) -> str:
    """Where the first of the errors is, lists' indices left out."""
    if not errors:
        return "(unreadable)"
    first = errors[0]
    where = first.get("pointer", first.get("field", ""))
    return "/".join("*" if step.isdigit() else step for step in where.split("/"))[:200] or "(whole)"


class Accounts:
    """Of all routes that migrate, by name. They outlive reloads, and routes that a reload takes away."""

    def __init__(self) -> None:
        self._accounts: dict[str, Account] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(self._accounts.values())

    def named(self, route: str) -> Account | None:
        """None: no such route has migrated here."""
        return self._accounts.get(route)

    def of(self, route: Route) -> Account:
        """Always the same object for one name, going by what this `route` says of redaction and schema."""
        migrate, produce = route.migrate, route.produce
        redaction = Redaction(migrate.redact if migrate else None)
        faults = faults_of(produce.schema_.document) if produce and produce.schema_ else None
        account = self._accounts.get(route.name)
        if account is None:
            account = self._accounts[route.name] = Account(route.name, redaction, faults)
        else:
            account.follow(redaction, faults)
        return account
