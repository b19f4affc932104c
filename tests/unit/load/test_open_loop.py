"""An even rate of requests, against a server whose every answer is known."""

from itertools import count, cycle
from typing import Any

from tests.load.loader.http1 import request
from tests.load.loader.open_loop import open_loop
from tests.load.session import what_is_wrong
from tests.unit.load.scripted import Script, answer, scripted

REQUESTS = [request("POST", "/", b"x")]
REFUSAL = answer(503, b"{}", "retry-after: 60")


async def _drive(script: Script, *, per_s: float, connections: int = 4, window_s: float = 0.3) -> dict[str, Any]:
    memory = count(100)
    async with scripted(script) as server:
        measured = await open_loop(
            server.port,
            cycle(REQUESTS),
            expected_status=201,
            per_s=per_s,
            connections=connections,
            warmup_s=0.1,
            window_s=window_s,
            cpu_s=lambda: 0.0,
            rss_mb=lambda: float(next(memory)),
        )
        measured["asked"] = len(server.requests)
    return measured


async def test_what_is_offered_does_not_follow_what_is_answered() -> None:
    """Each answer takes a tenth of a second, so four connections carry forty a second, of four hundred offered."""
    measured = await _drive(lambda number, _: [0.1, answer(201)], per_s=400)
    assert 250 <= measured["offered_per_s"] <= 550
    assert measured["per_s"] <= 60
    assert measured["asked"] == measured["answers_in_all"] == measured["statuses"]["201"]
    assert what_is_wrong(measured, measured["asked"], measured["asked"]) is None


async def test_the_patient_stay_away_when_refused_and_the_others_do_not() -> None:
    """Of four connections two are patient: each of them is refused once, and never heard of again."""
    measured = await _drive(lambda number, _: [REFUSAL], per_s=1_000)
    assert measured["statuses"] == {"503": measured["asked"]}
    assert measured["asked"] > 20
    assert measured["refused_p50_ms"] is None  # the patient were refused before the window began
    assert (measured["answers"], measured["unanswered"]) == (0, 0)


async def test_answers_and_refusals_are_counted_apart() -> None:
    refusal = answer(503, b"{}", "retry-after: 0")
    measured = await _drive(lambda number, _: [answer(201) if number % 3 else refusal], per_s=500)
    assert set(measured["statuses"]) == {"201", "503"}
    assert measured["per_s"] > 0
    assert measured["refused_per_s"] > 0
    assert None not in (measured["p50_ms"], measured["refused_p50_ms"])
    assert (measured["rss_before_mb"], measured["rss_after_mb"]) == (100.0, 101.0)


async def test_an_answer_that_is_neither_spoils_the_round() -> None:
    measured = await _drive(lambda number, _: [answer(500, b"sorry")], per_s=100)
    assert measured["unexpected"] == "sorry"


async def test_a_connection_that_breaks_spoils_the_round() -> None:
    measured = await _drive(lambda number, _: None, per_s=100)
    assert measured["broken"] == 4
