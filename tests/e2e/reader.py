"""A client of one group's route: an ordinary HTTP client that polls and acknowledges."""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import httpx

from tests.e2e.client import client

Ids = Sequence[str] | str


@dataclass(frozen=True, slots=True)
class Polled:
    """What a poll brought."""

    records: list[dict[str, Any]]
    lease: str | None

    @property
    def values(self) -> list[Any]:
        return [record["value"] for record in self.records]

    @property
    def ids(self) -> list[str]:
        return [record["id"] for record in self.records]

    @property
    def deliveries(self) -> list[int]:
        return [record["deliveries"] for record in self.records]


class Reader:
    """`async with` opens its connections."""

    def __init__(self, base_url: str, path: str) -> None:
        self.path = path
        self.http = client(base_url, timeout_s=70)

    async def __aenter__(self) -> "Reader":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.http.aclose()

    async def poll(self, *, most: int = 100, wait_s: int = 15) -> Polled:
        """One poll, which must be answered 200."""
        answer = await self.http.get(self.path, params={"max": most, "wait": wait_s})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        return Polled(body["records"], body.get("lease"))

    async def ack(self, lease: str | None, **words: Any) -> httpx.Response:
        """POST to the route's ack path: `accept`, `release`, `reject`, `delay_ms`, `renew_ms`."""
        return await self.http.post(f"{self.path}/ack", json={"lease": lease, **words})

    async def accept(self, lease: str | None, ids: Ids = "all") -> None:
        """An ack that must be answered 200."""
        answer = await self.ack(lease, accept=ids)
        assert answer.status_code == 200, answer.text

    async def take(self, count: int, *, most: int = 100) -> list[Any]:
        """Poll and accept until so many records came; their values."""
        values: list[Any] = []
        while len(values) < count:
            polled = await self.poll(most=most)
            assert polled.records, f"{len(values)} of {count} records came, and then none for 15 s"
            await self.accept(polled.lease)
            values += polled.values
        return values
