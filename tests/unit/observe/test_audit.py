"""What is written down of those who act on the bridge, and how little of those who may not."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from proxy.observe import logs
from proxy.observe.audit import Denials, audit


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("stepbridge")
    before = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:], root.level, ours.level = before
    logging.getLogger("uvicorn.access").disabled = False


@pytest.mark.parametrize("level", ["debug", "error"])
def test_an_act_is_written_whatever_the_log_level_says(level: str) -> None:
    stream = io.StringIO()
    logs.configure("json", level, stream)

    audit("reloaded", by="key:ops", changes=2)

    [line] = [orjson.loads(line) for line in stream.getvalue().splitlines()]
    assert (line["logger"], line["event"], line["by"], line["changes"]) == ("audit", "reloaded", "key:ops", 2)


def test_the_same_act_twice_is_two_lines() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    audit("reloaded", by="key:ops")
    audit("reloaded", by="key:ops")
    assert len(stream.getvalue().splitlines()) == 2


def test_a_credential_handed_in_by_mistake_is_withheld() -> None:
    stream = io.StringIO()
    logs.configure("json", "info", stream)
    audit("denied", authorization="Bearer abc", token="abc")
    assert "abc" not in stream.getvalue()


class Lines:
    def __init__(self) -> None:
        self.written: list[dict[str, Any]] = []

    def __call__(self, event: str, **fields: Any) -> None:
        self.written.append({"event": event, **fields})


def test_a_flood_of_denials_is_counted_and_not_written() -> None:
    lines = Lines()
    denials = Denials(per_s=1, at_once=3, write=lines)
    for _ in range(100):
        denials.denied(10.0, route="orders")
    assert len(lines.written) == 3
    assert denials.left_out_total == 97

    denials.denied(12.0, route="orders")
    assert lines.written[-1] == {"event": "denied", "route": "orders", "left_out": 97}

    denials.denied(12.5, route="orders")
    assert "left_out" not in lines.written[-1]


def test_denials_that_come_slowly_are_all_written() -> None:
    lines = Lines()
    denials = Denials(per_s=1, at_once=1, write=lines)
    for second in range(20):
        denials.denied(float(second), route="orders")
    assert len(lines.written) == 20
