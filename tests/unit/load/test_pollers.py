"""Several readers against scripted pages: each acknowledges what it has, and all end when they have enough."""

from collections.abc import Sequence
from itertools import count
from typing import Any

import orjson
import pytest

from tests.load.loader.http1 import WrongAnswer
from tests.load.loader.pollers import pollers
from tests.unit.load.scripted import Piece, Script, answer, scripted


def _page(*offsets: int) -> list[Piece]:
    records = [{"partition": 0, "offset": n, "key": "17:a", "value": {"sku": "a"}} for n in offsets]
    return [answer(200, orjson.dumps({"records": records, "lease": f"L{min(offsets)}"}))]


async def _read(script: Script, expected: int, *, readers: int = 2, timeout_s: float = 10) -> dict[str, Any]:
    async with scripted(script) as server:
        return await pollers(
            server.port,
            "/d?max=2",
            readers=readers,
            expected=expected,
            timeout_s=timeout_s,
            cpu_before_s=1.0,
            cpu_s=lambda: 4.0,
        )


async def test_readers_share_the_records_and_acknowledge_each_page() -> None:
    offsets, acks = count(step=2), []

    def script(_: int, request: bytes) -> Sequence[Piece]:
        if request.startswith(b"POST /d/ack "):
            acks.append(orjson.loads(request.partition(b"\r\n\r\n")[2]))
            return [0.02, answer(200, b"{}")]
        first = next(offsets)
        return _page(first, first + 1)

    measured = await _read(script, expected=10)
    assert (measured["records"], measured["repeated"]) == (2 * measured["polls"], 0)
    assert measured["records"] >= 10
    assert [ack["accept"] for ack in acks] == ["all"] * measured["polls"]
    assert len({ack["lease"] for ack in acks}) == measured["polls"]
    assert 20 <= measured["ack_p50_ms"] <= measured["ack_p99_ms"]
    assert measured["cpu_s_per_10k"] == 3.0 / measured["records"] * 10_000


async def test_who_waits_in_vain_at_the_end_is_not_waited_for() -> None:
    polls = count()

    def script(_: int, request: bytes) -> Sequence[Piece]:
        if request.startswith(b"POST"):
            return [answer(200, b"{}")]
        return _page(0, 1) if next(polls) == 0 else [60.0]

    measured = await _read(script, expected=2)
    assert (measured["records"], measured["polls"]) == (2, 1)


async def test_a_record_that_comes_to_two_readers_is_counted_as_repeated() -> None:
    polls = count()

    def script(_: int, request: bytes) -> Sequence[Piece]:
        if request.startswith(b"POST"):
            return [answer(200, b"{}")]
        return _page(0, 1) if next(polls) < 3 else _page(2, 3)

    assert (await _read(script, expected=4))["repeated"] >= 4


@pytest.mark.parametrize(
    "script",
    [lambda *_: [answer(503, b"{}")], lambda _, r: [answer(409, b"{}")] if r.startswith(b"POST") else _page(0, 1)],
    ids=["a poll that is refused", "an ack that is refused"],
)
async def test_another_status_gives_no_figure(script: Script) -> None:
    with pytest.raises(WrongAnswer):
        await _read(script, expected=10)


async def test_records_that_do_not_come_give_no_figure() -> None:
    with pytest.raises(WrongAnswer, match="only 2 of 5 records"):
        await _read(lambda _, r: [answer(200, b"{}")] if r.startswith(b"POST") else _page(0, 1), 5, timeout_s=0.3)
