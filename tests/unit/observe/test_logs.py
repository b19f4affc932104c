"""One event a line, bounded, without secrets; foreign lines in the same shape and not too often."""

import io
import logging
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from proxy.observe import logs


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def untouched_logging() -> Iterator[None]:
    """Every test configures the logging of the process; afterwards it is as it was."""
    root, ours = logging.getLogger(), logging.getLogger("stepbridge")
    before = list(root.handlers), root.level, ours.level
    yield
    root.handlers[:], root.level, ours.level = before
    logging.getLogger("uvicorn.access").disabled = False


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json_with_its_fields() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    logs.logger("produce").info("record_spooled", route="orders", depth=118)
    (line,) = lines(stream)
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "logger": "produce", "event": "record_spooled", "route": "orders", "depth": 118}


def test_a_terminal_gets_text_and_a_pipe_gets_json() -> None:
    terminal, pipe = Terminal(), io.StringIO()
    for stream in (terminal, pipe):
        logs.configure("auto", stream=stream)
        logs.logger("app").warning("kafka_lost", servers="a:9092, b:9092", for_s=3.5)
    assert terminal.getvalue().endswith('warning app      kafka_lost  servers="a:9092, b:9092" for_s=3.5\n')
    assert lines(pipe)[0]["event"] == "kafka_lost"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_line_break_in_a_value_or_message_makes_no_second_line(form: logs.Form) -> None:
    stream = io.StringIO()
    logs.configure(form, stream=stream)
    logs.logger("http").error("refused", reason="one\ntwo\r\nthree")
    logging.getLogger("aiokafka").warning("four\nfive")
    assert len(stream.getvalue().splitlines()) == 2


def test_bodies_keys_and_credentials_are_withheld_and_long_values_cut() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    logs.logger("http").info("refused", body="name=Smith", key="4711", password="hunter2", detail="x" * 5_000)
    (line,) = lines(stream)
    assert [line[name] for name in ("body", "key", "password")] == ["(withheld)"] * 3
    assert line["detail"] == "x" * 300 + "… (5000 characters)"


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_text_that_is_no_unicode_is_logged_all_the_same(form: logs.Form) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    logs.configure(form, stream=stream)
    logs.logger("http").warning("odd\ud800", reason="\udfff")
    stream.seek(0)
    assert "odd?" in stream.read()


@pytest.mark.parametrize(("form", "count"), [("json", 1), ("text", 5)])
def test_an_unexpected_error_brings_its_traceback(form: logs.Form, count: int) -> None:
    stream = io.StringIO()
    logs.configure(form, stream=stream)
    try:
        raise ValueError("boom")
    except ValueError as exc:
        logs.logger("app").error("task_died", exc=exc)
    assert len(stream.getvalue().splitlines()) == count
    assert "ValueError: boom" in stream.getvalue()


def test_below_the_level_nothing_is_written() -> None:
    stream = io.StringIO()
    logs.configure("json", "warning", stream)
    logs.logger("app").info("started")
    logs.logger("app").warning("started_late")
    assert [line["event"] for line in lines(stream)] == ["started_late"]


def test_configuring_twice_does_not_write_twice() -> None:
    stream = io.StringIO()
    logs.configure("json", stream=stream)
    logs.configure("json", stream=stream)
    logs.logger("app").info("started")
    assert len(lines(stream)) == 1


def test_uvicorn_and_aiokafka_are_heard_from_warnings_up_and_accesses_never() -> None:
    stream = io.StringIO()
    logs.configure("json", "debug", stream)
    logging.getLogger("uvicorn.error").info("Started server process")
    logging.getLogger("uvicorn.access").warning("GET /")
    logging.getLogger("aiokafka.conn").warning("broker %s is away", 3)
    assert [(line["logger"], line["event"]) for line in lines(stream)] == [("aiokafka.conn", "broker 3 is away")]


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def line(message: str, *args: object, level: int = logging.WARNING, **fields: object) -> logging.LogRecord:
    record = logging.LogRecord("aiokafka", level, "", 0, message, args, None)
    if fields:
        record.fields = fields
    return record


def test_the_same_warning_passes_once_in_ten_seconds_and_then_says_how_many_were_held_back() -> None:
    clock = Clock()
    repeats = logs.Repeats(clock=clock)
    assert [repeats.filter(line("broker %s is away", number)) for number in range(4)] == [True, False, False, False]
    assert repeats.filter(line("something else"))
    clock.now_s = 10.0
    record = line("broker %s is away", 9)
    assert repeats.filter(record)
    assert record.__dict__["fields"] == {"suppressed": 3}


def test_a_field_that_is_a_number_makes_no_difference_and_one_that_is_a_word_does() -> None:
    repeats = logs.Repeats(clock=Clock())
    assert repeats.filter(line("group_not_joined", group="pricing", retry_in_s=0.2))
    assert not repeats.filter(line("group_not_joined", group="pricing", retry_in_s=0.4))
    assert repeats.filter(line("group_not_joined", group="stock", retry_in_s=0.4))


def test_what_was_held_back_is_told_beside_the_lines_own_fields() -> None:
    clock = Clock()
    repeats = logs.Repeats(clock=clock)
    for _ in range(3):
        repeats.filter(line("topic_missing", topic="orders"))
    clock.now_s = 11.0
    record = line("topic_missing", topic="orders")
    assert repeats.filter(record)
    assert record.__dict__["fields"] == {"topic": "orders", "suppressed": 2}


def test_what_is_no_warning_is_never_held_back() -> None:
    repeats = logs.Repeats(clock=Clock())
    assert all(repeats.filter(line("record_spooled", level=logging.INFO)) for _ in range(3))


def test_the_memory_of_repeats_is_bounded() -> None:
    repeats = logs.Repeats(clock=Clock(), limit=2)
    for message in ("one", "two", "three"):
        repeats.filter(line(message))
    assert not repeats.filter(line("three"))
    assert repeats.filter(line("one"))  # forgotten, so it passes again


def test_the_same_warning_of_two_requests_is_the_same_warning() -> None:
    repeats = logs.Repeats(clock=Clock())
    assert repeats.filter(line("answer_broken_off", route="orders", request_id="a-1"))
    assert not repeats.filter(line("answer_broken_off", route="orders", request_id="a-2"))
