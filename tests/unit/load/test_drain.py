"""One reader against scripted pages: it follows, acknowledges, counts each record once, and believes nothing."""

from typing import Any

import orjson
import pytest

from tests.load.loader.drain import drain
from tests.load.loader.http1 import WrongAnswer
from tests.unit.load.scripted import Piece, Script, answer, scripted


def _record(offset: int, partition: int = 0, **other: Any) -> dict[str, Any]:
    return {"partition": partition, "offset": offset, "key": "17:a", "value": {"sku": "a"}, **other}


def _page(*records: dict[str, Any], link: str | None = None, **members: Any) -> list[Piece]:
    headers = [f'link: <{link}>; rel="next"'] if link else []
    return [answer(200, orjson.dumps({"records": records, **members}), *headers)]


async def _drain(script: Script, expected: int, timeout_s: float = 30) -> tuple[dict[str, Any], list[bytes]]:
    async with scripted(script) as server:
        measured = await drain(
            server.port, "/d?max=2", expected=expected, timeout_s=timeout_s, cpu_before_s=1.0, cpu_s=lambda: 4.0
        )
    return measured, [one.partition(b" HTTP")[0] for one in server.requests]


async def test_it_follows_the_link_until_it_has_every_record() -> None:
    pages = [_page(_record(0), _record(0, partition=1), link="/d?after=1"), _page(_record(5), link="/d?after=2")]
    measured, asked = await _drain(lambda number, _: pages[number], expected=3)
    assert asked == [b"GET /d?max=2", b"GET /d?after=1"]
    assert (measured["records"], measured["repeated"], measured["polls"]) == (3, 0, 2)
    assert measured["cpu_s_per_10k"] == 3.0 / 3 * 10_000


async def test_it_acknowledges_every_lease_that_has_records() -> None:
    script: list[list[Piece]] = [
        _page(lease="nothing yet"),
        _page(_record(0), lease="L1"),
        [answer(200, b"{}")],
        _page(_record(1), lease="L2"),
        [answer(200, b"{}")],
    ]
    bodies: list[bytes] = []

    def note(number: int, request: bytes) -> list[Piece]:
        bodies.append(request.partition(b"\r\n\r\n")[2])
        return script[number]

    _, asked = await _drain(note, expected=2)
    assert asked == [b"GET /d?max=2", b"GET /d?max=2", b"POST /d/ack", b"GET /d?max=2", b"POST /d/ack"]
    assert [orjson.loads(body) for body in bodies if body] == [
        {"lease": "L1", "accept": "all"},
        {"lease": "L2", "accept": "all"},
    ]


async def test_a_record_that_comes_again_is_counted_as_repeated() -> None:
    pages = [_page(_record(0)), _page(_record(0), _record(1))]
    measured, _ = await _drain(lambda number, _: pages[number], expected=2)
    assert (measured["records"], measured["repeated"]) == (2, 1)


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ([answer(409, b"lease_moved")], "409 lease_moved"),
        (_page(_record(0, key="17:b")), "not as it was written"),
        (_page(_record(0, value="text")), "not as it was written"),
        (_page(_record(0, key=None)), "not as it was written"),
    ],
)
async def test_what_was_not_written_is_no_figure(page: list[Piece], reason: str) -> None:
    with pytest.raises(WrongAnswer, match=reason):
        await _drain(lambda number, _: page, expected=1)


async def test_a_topic_that_never_ends_is_given_up() -> None:
    with pytest.raises(WrongAnswer, match="only 0 of 1 records"):
        await _drain(lambda number, _: _page(), expected=1, timeout_s=0)
