"""Streams as the clients of the replicas read them."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from tests.replicas.asking import NOT_SENT, UNANSWERED, Events, ask
from tests.unit.load.scripted import Piece, answer, scripted

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def event(number: int) -> bytes:
    return b"id: after-%d\ndata: %b\n\n" % (number, orjson.dumps({"n": number}))


async def read(*pieces: Piece) -> tuple[list[dict[str, Any]], list[dict[str, Any]], str]:
    """What was told as it came, what was read, and the last id; the server hangs up after these pieces."""

    told: list[dict[str, Any]] = []
    found: list[dict[str, Any]] = []

    def script(turn: int, _: bytes) -> Sequence[Piece] | None:
        return pieces if turn == 0 else None

    async with scripted(script) as server:
        _, stream = await asyncio.get_running_loop().create_connection(
            lambda: Events(told.extend), "127.0.0.1", server.port
        )
        await stream.begin("/records")
        while some := await stream.next(within_s=0.3):
            found += some
        stream.close()
    return told, found, stream.last_id


async def test_events_that_come_in_pieces_are_each_told_and_read_once() -> None:
    whole = b"retry: 100\n\n" + event(1) + event(2)
    told, found, last_id = await read(HEAD, chunk(whole[:20]), chunk(whole[20:]), chunk(event(3)))
    assert told == found == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert last_id == "after-3"


async def test_what_has_a_name_of_its_own_is_no_record_nor_is_a_heartbeat() -> None:
    named = b'event: heartbeat\nid: x\ndata: {"at": 1}\n\n'
    told, found, _ = await read(HEAD, chunk(b": still here\n\n" + named + event(1)))
    assert told == found == [{"n": 1}]


async def test_a_request_that_was_never_sent_is_told_from_one_without_an_answer() -> None:
    async with scripted(lambda *_: [answer(503, b"{}")]) as server:
        answered = await ask(server.port, b"GET / HTTP/1.1\r\n\r\n", within_s=5)
    assert answered.status == 503
    async with scripted(lambda *_: None) as server:
        assert await ask(server.port, b"GET / HTTP/1.1\r\n\r\n", within_s=5) is UNANSWERED
    assert await ask(server.port, b"GET / HTTP/1.1\r\n\r\n", within_s=5) is NOT_SENT
