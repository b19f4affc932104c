"""Where the two sides of a dual write parted: one record a case, with what it takes to reconcile them.

The topic is `<kafka.internal.prefix>.divergences`, for all routes, keyed as the record was. While Kafka is away the
records wait here, within a bound; at the bound the route refuses before anybody is asked: what cannot be told of must
not happen.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.clock import wall_ms
from proxy.errors import Overloaded, ProxyError
from proxy.migrate.behind import WriteBehind
from proxy.migrate.dual import Authority, Case, Kafka, Legacy
from proxy.observe.logs import Seldom, logger
from proxy.record import Receipt, Record
from proxy.seams.produce import Submitter
from proxy.shown import shown_bytes

BOUND = 10_000
BOUND_BYTES = 64 * 1024 * 1024
SECRET = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"x-api-key"))  # never written down

log = logger("migrate")


@dataclass(frozen=True, slots=True)
class Asked:
    """The request, as far as it takes to send it again. `headers` are all of them; some are never written down."""

    route: str
    request_id: str
    method: str
    target: str
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    key: bytes | None


@dataclass(slots=True)
class Outcomes:
    """What became of it at both sides."""

    legacy: Legacy = "not_asked"
    kafka: Kafka = "not_asked"
    status: int | None = None  # of the legacy service's answer
    code: str | None = None  # of the failure, if there was one
    receipt: Receipt | None = None


class Divergences:
    """Of all routes of this process. `run` is a task of its owner's."""

    def __init__(self, submitter: Submitter, topic: str, secret: Iterable[bytes] = ()) -> None:
        """`secret`: names of headers, in small letters, that hold credentials beside the usual ones."""
        self.topic = topic
        self._secret = SECRET.union(secret)
        self._behind = WriteBehind(submitter, bound=BOUND, bound_bytes=BOUND_BYTES, patience_s=None)
        self._seldom = Seldom()
        self.unwritten = 0  # that could not be written down, ever

    def __repr__(self) -> str:
        return f"<Divergences to {self.topic}, {self._behind}>"

    @property
    def waiting(self) -> int:
        return self._behind.depth

    async def run(self) -> None:
        await self._behind.run()

    async def flush(self) -> None:
        """Wait until all of them are written."""
        await self._behind.flush()

    def check(self) -> None:
        """Refuse a request now whose divergence could not be told of. Raises Overloaded."""
        if self._behind.is_full:
            raise Overloaded(
                f"{self._behind.depth} divergences wait to be written to {self.topic!r}, as many as may. "
                "Nothing was done with this request. Try again.",
                limit="divergences",
            )

    def note(self, asked: Asked, authority: Authority, case: Case, outcomes: Outcomes) -> None:
        """Write one down, as soon as Kafka takes it."""
        value = orjson.dumps(_told(asked, authority, case, outcomes, self._secret))
        record = Record(self.topic, asked.key, value, [("stepbridge-route", asked.route.encode())])

        def ended(outcome: Receipt | ProxyError) -> None:
            if isinstance(outcome, ProxyError):
                self._lose(asked, case, outcome.code)

        if not self._behind.offer(record, ended):
            self._lose(asked, case, "queue_full")
        if self._seldom(asked.route):
            log.warning("diverged", route=asked.route, case=case.name, request_id=asked.request_id)

    def _lose(self, asked: Asked, case: Case, reason: str) -> None:
        """The log is the last place that can know of it."""
        self.unwritten += 1
        log.error(
            "divergence_not_written", route=asked.route, case=case.name, reason=reason, request_id=asked.request_id
        )


def _told(
    asked: Asked, authority: Authority, case: Case, outcomes: Outcomes, secret: Collection[bytes]
) -> dict[str, Any]:
    return {
        "route": asked.route,
        "request_id": asked.request_id,
        "time_ms": wall_ms(),
        "stage": "dual",
        "authority": authority,
        "case": case.name,
        "method": asked.method,
        "target": asked.target,
        "headers": [(shown_bytes(name), shown_bytes(value)) for name, value in asked.headers if name not in secret],
        "content_type": next((shown_bytes(value) for name, value in asked.headers if name == b"content-type"), None),
        "key": shown_bytes(asked.key),
        "body": shown_bytes(asked.body),
        "legacy": {"outcome": outcomes.legacy, "status": outcomes.status},
        "kafka": {"outcome": outcomes.kafka, "receipt": outcomes.receipt and outcomes.receipt._asdict()},
        "code": outcomes.code,
    }
