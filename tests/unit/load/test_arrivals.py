"""From a POST to a poll, against a scripted server: what counts as arrived, and when."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
import pytest

from tests.load.loader.arrivals import Mail, arrivals
from tests.load.loader.http1 import WrongAnswer
from tests.load.loader.payload import event_body
from tests.unit.load.scripted import Piece, answer, scripted


class Echo:
    """A bridge in small: what is posted is the next poll's."""

    def __init__(self, *, keeps_s: float = 0.0, post_status: int = 201) -> None:
        self.keeps_s = keeps_s
        self.post_status = post_status
        self.acks = 0
        self._posted: list[Any] = []

    def __call__(self, _: int, request: bytes) -> Sequence[Piece]:
        if request.startswith(b"POST /d/ack "):
            self.acks += 1
            return [answer(200, b"{}")]
        if request.startswith(b"POST "):
            self._posted.append(orjson.loads(request.partition(b"\r\n\r\n")[2]))
            return [answer(self.post_status, b"{}")]
        records, self._posted = [{"value": value} for value in self._posted], []
        return [self.keeps_s or 0.002, answer(200, orjson.dumps({"records": records, "lease": "L"}))]


async def measured(echo: Echo, records: int = 20) -> dict[str, Any]:
    async with scripted(echo) as server:
        return await arrivals(
            server.port, path="/{store}", target="/d?max=9", readers=2, records=records, per_s=500, cpu_s=lambda: 1.0
        )


async def test_each_record_arrives_once_and_is_acknowledged() -> None:
    echo = Echo()
    result = await measured(echo)
    assert result["repeated"] == 0
    assert 0 < result["p50_ms"] <= result["p99_ms"]
    assert echo.acks > 0
    assert result["ack_p50_ms"] > 0


async def test_what_is_kept_back_is_late() -> None:
    assert (await measured(Echo(keeps_s=0.05)))["p50_ms"] >= 40


async def test_a_post_that_is_refused_gives_no_figure() -> None:
    with pytest.raises(WrongAnswer, match="503"):
        await measured(Echo(post_status=503))


async def test_records_count_once_and_what_is_not_numbered_not_at_all() -> None:
    mail = Mail()
    for value in (orjson.loads(event_body(1, 0)), orjson.loads(event_body(1, 0)), {"sku": "probe"}):
        mail.came(value)
    assert (list(mail.latencies_s), mail.repeated) == ([1], 1)
    with pytest.raises(WrongAnswer, match="only 1 of 2"):
        await mail.has(2, within_s=0.05)
    waiting = asyncio.create_task(mail.has(2, within_s=5))
    await asyncio.sleep(0)
    mail.came(orjson.loads(event_body(2, 0)))
    await waiting
