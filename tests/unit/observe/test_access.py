"""Which requests get a line in the access log, and how it is written."""

import io

import orjson
import pytest

from proxy.config.model import AccessLog
from proxy.observe import logs
from proxy.observe.access import WAITING_LINES, Accesses
from tests.unit.observe.test_logs import Terminal, untouched_logging

__all__ = ["untouched_logging"]  # a fixture: every test here configures the logging of the process


def settings(sample: str = "0%", slow_ms: int = 1_000) -> AccessLog:
    return AccessLog(sample=sample, slow_ms=slow_ms)


@pytest.fixture
def stream(untouched_logging: None) -> io.StringIO:
    text = io.StringIO()
    logs.configure("json", "error", text)
    return text


@pytest.mark.parametrize(
    ("status", "seconds", "may_wait", "why"),
    [
        (201, 0.5, False, None),
        (201, 1.0, False, "slow"),
        (200, 30.0, True, None),  # a poll that waited for records
        (404, 0.0, False, "error"),
        (503, 0.0, False, "error"),
        (503, 2.0, True, "error"),
        (0, 0.1, False, "error"),  # its client did not wait
    ],
)
async def test_errors_and_slow_requests_get_a_line(
    status: int, seconds: float, may_wait: bool, why: str | None
) -> None:
    async with Accesses() as accesses:
        accesses.follow(settings())
        assert accesses.reason(status, seconds, may_wait=may_wait) == why


@pytest.mark.parametrize(("sample", "least", "most"), [("0%", 0, 0), ("100%", 2_000, 2_000), ("10%", 120, 280)])
async def test_of_the_others_a_share_gets_a_line(sample: str, least: int, most: int) -> None:
    async with Accesses() as accesses:
        accesses.follow(settings(sample))
        assert least <= sum(accesses.reason(201, 0.001) == "sample" for _ in range(2_000)) <= most


async def test_a_line_is_written_whatever_the_level_with_what_is_known(stream: io.StringIO) -> None:
    async with Accesses() as accesses:
        accesses.follow(settings())
        accesses.note({"route": "orders", "status": 201, "code": None})
    (line,) = [orjson.loads(text) for text in stream.getvalue().splitlines()]
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "logger": "access", "event": "request", "route": "orders", "status": 201}


async def test_a_terminal_gets_text() -> None:
    terminal = Terminal()
    logs.configure("auto", stream=terminal)
    async with Accesses() as accesses:
        accesses.follow(settings())
        accesses.note({"route": "orders", "ms": 2.5})
    assert terminal.getvalue().endswith("info    access   request  route=orders ms=2.5\n")


async def test_a_flood_of_errors_is_bounded_and_what_was_left_out_is_counted(stream: io.StringIO) -> None:
    async with Accesses(every_s=60) as accesses:
        accesses.follow(settings())
        for _ in range(WAITING_LINES + 7):
            accesses.note({"status": 503})
        assert [sample.value for sample in accesses.samples()] == [0, 7]
    assert [sample.value for sample in accesses.samples()] == [WAITING_LINES, 7]
    assert len(stream.getvalue().splitlines()) == WAITING_LINES


async def test_without_settings_there_is_no_access_log() -> None:
    async with Accesses() as accesses:
        assert accesses.follow(None) is None
        assert list(accesses.samples()) == []
