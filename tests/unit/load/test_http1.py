"""The loader's own HTTP: what it sends, and that it understands every way an answer may arrive."""

import pytest

from tests.load.loader.http1 import Exchange, next_page, request
from tests.unit.load.scripted import Piece, answer, scripted

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def test_a_request_is_complete_and_counts_its_bytes() -> None:
    assert request("POST", "/a", "é".encode(), X_Trace="7") == (
        b"POST /a HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Trace: 7\r\n"
        b"Content-Type: application/json\r\nContent-Length: 2\r\n\r\n\xc3\xa9"
    )
    assert request("GET", "/a") == b"GET /a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.mark.parametrize(
    ("pieces", "status", "body"),
    [
        ([answer(201, b"abcde")], 201, b"abcde"),
        ([answer(204)], 204, b""),
        ([CHUNKED], 200, b"abcde"),
        ([bytes([byte]) for byte in CHUNKED], 200, b"abcde"),
        ([bytes([byte]) for byte in answer(503, b"not now")], 503, b"not now"),
    ],
    ids=["at-once", "no-body", "chunked", "chunked-in-single-bytes", "in-single-bytes"],
)
async def test_an_answer_is_read_however_it_is_cut(pieces: list[Piece], status: int, body: bytes) -> None:
    async with scripted(lambda number, _: pieces) as server:
        exchange = await Exchange.open(server.port)
        for _ in range(2):  # the connection is kept
            got = await exchange.ask(request("GET", "/"))
            assert (got.status, got.body) == (status, body)
        exchange.close()


async def test_header_names_are_found_in_lower_case() -> None:
    async with scripted(lambda number, _: [answer(200, b"", "LiNK: </a?b=c>; rel=next")]) as server:
        exchange = await Exchange.open(server.port)
        assert next_page((await exchange.ask(request("GET", "/"))).headers) == "/a?b=c"
        exchange.close()


async def test_a_server_that_hangs_up_is_an_error_and_not_an_answer() -> None:
    async with scripted(lambda number, _: None) as server:
        exchange = await Exchange.open(server.port)
        with pytest.raises(ConnectionError, match="hung up"):
            await exchange.ask(request("GET", "/"))
        with pytest.raises(ConnectionError, match="closed"):
            await exchange.ask(request("GET", "/"))


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ('</drain?after=x%3D>; rel="next"', "/drain?after=x%3D"),
        ("</drain>; rel=next", "/drain"),
        ("</first>; rel=first", None),
        ("", None),
    ],
)
def test_the_next_page_is_the_link_that_says_next(link: str, target: str | None) -> None:
    assert next_page({"link": link} if link else {}) == target
