"""A way into Kafka that does as it is told."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from proxy.clock import Deadline
from proxy.errors import KafkaAway, ProxyError
from proxy.migrate.account import Account
from proxy.migrate.redaction import Redaction
from proxy.migrate.route import RouteOnItsWay
from proxy.migrate.shadow import Shadow
from proxy.migrate.stages import Setting
from proxy.migrate.standing import Standing
from proxy.record import Receipt, Record


def away() -> ProxyError:
    return KafkaAway("Kafka is away.")


class ScriptedSubmitter:
    """`says` are the outcomes of the next records, in order; what is not said is written. `log` is what was."""

    def __init__(self, *says: Callable[[], ProxyError]) -> None:
        self.says = deque(says)
        self.log: list[Record] = []
        self.calls = 0
        self.may = asyncio.Event()
        self.may.set()

    async def submit(self, record: Record, deadline: Deadline) -> Receipt:
        (outcome,) = await self.submit_many([record], deadline)
        if isinstance(outcome, ProxyError):
            raise outcome
        return outcome

    async def submit_many(self, records: Sequence[Record], deadline: Deadline) -> Sequence[Receipt | ProxyError]:
        self.calls += 1
        await self.may.wait()
        return [self._one(record) for record in records]

    def _one(self, record: Record) -> Receipt | ProxyError:
        if self.says:
            return self.says.popleft()()
        self.log.append(record)
        return Receipt(record.topic, 0, len(self.log) - 1, 1)


def way(name: str = "orders") -> RouteOnItsWay:
    """A route at shadow that nothing has happened to."""
    account = Account(name, Redaction(None), wall_ms=lambda: 1_795_000_000_000)
    shadow = Shadow(ScriptedSubmitter(), bound=9, bound_bytes=99, patience_s=1, on_lost=account.lost)
    return RouteOnItsWay(name, Standing(name, Setting("shadow")), shadow, account)
