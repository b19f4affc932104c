"""The closed loop against a server whose every answer is known: it counts right, and takes no error for a figure."""

import time
from collections.abc import Callable
from itertools import cycle
from typing import Any

from tests.load.loader.closed_loop import closed_loop
from tests.load.loader.http1 import request
from tests.load.session import what_is_wrong
from tests.unit.load.scripted import Piece, answer, scripted

REQUESTS = [request("POST", f"/{number}", b"x" * number) for number in range(1, 6)]


async def _drive(port: int, cpu_s: Callable[[], float] = time.process_time, connections: int = 3) -> dict[str, Any]:
    return await closed_loop(
        port,
        cycle(REQUESTS),
        expected_status=201,
        connections=connections,
        warmup_s=0.1,
        window_s=0.1,
        cpu_s=cpu_s,
    )


async def test_every_request_is_counted_once() -> None:
    async with scripted(lambda number, _: [answer(201, b"{}")]) as server:
        measured = await _drive(server.port)
    assert measured["answers_in_all"] == len(server.requests)
    assert measured["statuses"] == {"201": len(server.requests)}
    assert server.requests[:5] == REQUESTS
    assert what_is_wrong(measured, len(server.requests), len(server.requests)) is None


async def test_only_the_window_is_measured() -> None:
    """The clock is read where the window begins and ends: between those, so many requests came in as were answered."""
    async with scripted(lambda number, _: [answer(201, b"{}")]) as server:
        marks: list[int] = []

        def mark() -> float:
            marks.append(len(server.requests))
            return 0.0

        measured = await _drive(server.port, cpu_s=mark, connections=3)
    begin, end = marks
    assert 0 < begin < end
    assert abs(measured["answers"] - (end - begin)) <= 3  # one may be on its way on each connection


async def test_cpu_is_what_the_server_used_within_the_window() -> None:
    readings = iter([7.0, 9.0])
    async with scripted(lambda number, _: [answer(201)]) as server:
        measured = await _drive(server.port, cpu_s=lambda: next(readings))
    assert measured["cpu_s_per_10k"] == 2.0 / measured["answers"] * 10_000


async def test_a_latency_is_from_the_request_to_the_end_of_its_answer() -> None:
    """Three of four answers are whole only after 20 ms: neither figure can be that of their first piece."""
    whole = answer(201, b"0123456789")

    def script(number: int, _: bytes) -> list[Piece]:
        return [whole] if number % 4 == 0 else [whole[:-5], 0.020, whole[-5:]]

    async with scripted(script) as server:
        measured = await _drive(server.port, connections=1)
    assert 20 <= measured["p50_ms"] <= measured["p99_ms"]


async def test_a_refusal_spoils_the_round_and_is_quoted() -> None:
    def script(number: int, _: bytes) -> list[Piece]:
        return [answer(503, b"no room") if number == 7 else answer(201)]

    async with scripted(script) as server:
        measured = await _drive(server.port)
    assert measured["statuses"]["503"] == 1
    wrong = what_is_wrong(measured, 0, 0)
    assert wrong is not None
    assert "no room" in wrong


async def test_a_connection_that_breaks_spoils_the_round() -> None:
    async with scripted(lambda number, _: None if number == 7 else [answer(201)]) as server:
        measured = await _drive(server.port)
    assert measured["broken"] == 1
    wrong = what_is_wrong(measured, 0, 0)
    assert wrong is not None
    assert "1 connections broke" in wrong


def test_a_record_that_is_missing_from_the_topic_spoils_the_round() -> None:
    sound = {"unexpected": "", "broken": 0, "unanswered": 0, "answers": 10}
    assert what_is_wrong(sound, 12, 12) is None
    wrong = what_is_wrong(sound, 12, 11)
    assert wrong is not None
    assert "12 records were answered as written, but the topic has 11 more" in wrong


def test_a_round_without_an_answer_is_no_figure() -> None:
    assert what_is_wrong({"unexpected": "", "broken": 0, "unanswered": 0, "answers": 0}, 0, 0) is not None
