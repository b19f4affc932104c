"""Fetched records for tests, without a Kafka."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.record import Partition

ORDERS = Partition("orders", 0)


@dataclass(slots=True)
class Read:
    """A record as read, with a value that says which it is."""

    topic: str
    partition: int
    offset: int
    timestamp: int = 1_700_000_000_000
    key: bytes | None = None
    value: bytes | None = None
    headers: Sequence[tuple[str, bytes]] = ()


def read(offset: int, *, partition: Partition = ORDERS, value: bytes | None = None) -> Read:
    return Read(*partition, offset, value=str(offset).encode() if value is None else value)


def reads(offsets: Iterable[int], *, partition: Partition = ORDERS) -> list[Read]:
    return [read(offset, partition=partition) for offset in offsets]
