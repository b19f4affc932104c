"""Logs: one event a line, past tense, with fields. JSON for machines, aligned text for a terminal.

    log = logger("produce")
    log.info("record_spooled", route="orders", depth=118)

Ids in fields come from the configuration. Bodies, keys and credentials are never logged: a field with such a name is
withheld, long values are cut, and a line break inside a value cannot make a second line. What uvicorn, aiokafka and
asyncio log comes out in the same shape, from warnings up. The same warning comes at most once in ten seconds.
"""

import logging
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import orjson

from proxy.clock import now_s

Form = Literal["auto", "json", "text"]

_ROOT = "stepbridge"
_FOREIGN = ("uvicorn", "aiokafka", "asyncio")
_WITHHELD = frozenset({"body", "key", "value", "password", "secret", "token", "lease", "authorization"})
_VALUE_LIMIT = 300  # characters of one field
_TRACE_LIMIT = 8_000


_marks: dict[str, Any] = {}  # of this process
_handlers: list[logging.StreamHandler[TextIO]] = []  # the one that `configure` made last


class Log:
    """The log of one room. A call costs about 15 µs where the level is on, 0.2 µs where it is off."""

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(f"{_ROOT}.{name}")

    def debug(self, event: str, **fields: Any) -> None:
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, *, exc: BaseException | None = None, **fields: Any) -> None:
        """Something is broken. `exc`, where nobody expected it: its traceback goes into the log."""
        self._write(logging.ERROR, event, fields, exc)

    def _write(self, level: int, event: str, fields: dict[str, Any], exc: BaseException | None = None) -> None:
        if self._logger.isEnabledFor(level):
            self._logger.log(level, event, exc_info=exc, extra={"fields": fields})


def logger(name: str) -> Log:
    """The log of a room: `name` is the room's."""
    return Log(name)


def configure(form: Form = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send every log of this process to `stream` (stderr). `auto`: text on a terminal, else JSON. Repeatable.

    Raises ValueError for a level that logging does not know.
    """
    stream = stream or sys.stderr
    text = form == "text" or (form == "auto" and stream.isatty())
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if text else JsonFormatter())
    handler.addFilter(Repeats())
    root = logging.getLogger()
    root.handlers[:] = _handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(_ROOT).setLevel(level.upper())
    for name in _FOREIGN:
        foreign = logging.getLogger(name)
        foreign.handlers.clear()
        foreign.propagate = True
        foreign.setLevel(logging.WARNING)
    logging.getLogger("uvicorn.access").disabled = True
    logging.getLogger("aiokafka.cluster").disabled = True  # tells of a missing topic at every look; we do once


def write_many(name: str, event: str, lines: Iterable[tuple[float, Mapping[str, Any]]]) -> None:
    """Write a line for each (seconds since the epoch, fields), in one go, whatever the level. From any thread."""
    for handler in _handlers:
        text = "".join([f"{handler.format(_record(name, event, *line))}\n" for line in lines])
        with handler.lock or nullcontext():
            handler.stream.write(text)
            handler.flush()


def _record(name: str, event: str, at_s: float, fields: Mapping[str, Any]) -> logging.LogRecord:
    record = logging.LogRecord(f"{_ROOT}.{name}", logging.INFO, "", 0, event, None, None)
    record.created, record.msecs = at_s, at_s % 1 * 1_000
    record.fields = {name: value for name, value in fields.items() if value is not None}
    return record


def mark(**fields: Any) -> None:
    """Have these fields in every line of this process from now on, whatever `configure` is told later."""
    _marks.update(fields)


class Seldom:
    """Says yes once in `every_s` for each word: on the hot path even a line that is held back costs too much."""

    def __init__(self, every_s: float = 10.0) -> None:
        self._every_s = every_s
        self._next_s: dict[str, float] = {}

    def __call__(self, word: str) -> bool:
        """`word` is one of ours, so there are few."""
        now = now_s()
        if now < self._next_s.get(word, 0.0):
            return False
        self._next_s[word] = now + self._every_s
        return True


class Repeats(logging.Filter):
    """Lets the same warning through once in `every_s`; the next one says in `suppressed` how many were held back.

    Two are the same when logger, unformatted message and the words among the fields are: a changing number makes no
    difference, nor whose request it was. The memory is bounded: beyond `limit` different ones the one that passed
    longest ago is forgotten.
    """

    def __init__(self, every_s: float = 10.0, limit: int = 200, clock: Callable[[], float] = now_s) -> None:
        super().__init__()
        self._every_s = every_s
        self._limit = limit
        self._now_s = clock
        self._passed: dict[tuple[object, ...], tuple[float, int]] = {}  # when, and how many were held back since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.levelno < logging.WARNING:
            return True
        fields: dict[str, Any] = getattr(record, "fields", {})
        words = (value for name, value in fields.items() if isinstance(value, str) and name != "request_id")
        line = (record.name, str(record.msg), *words)
        now = self._now_s()
        passed_s, held_back = self._passed.get(line, (-math.inf, 0))
        if now - passed_s < self._every_s:
            self._passed[line] = (passed_s, held_back + 1)
            return False
        self._passed.pop(line, None)  # so that it becomes the youngest
        if len(self._passed) >= self._limit:
            del self._passed[next(iter(self._passed))]
        self._passed[line] = (now, 0)
        if held_back:
            record.fields = {**fields, "suppressed": held_back}
        return True


class JsonFormatter(logging.Formatter):
    """`{"time", "level", "logger", "event", …fields}`, and `traceback` where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name.removeprefix(f"{_ROOT}."),
            "event": _bounded(record.getMessage()),
            **_fields(record),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)[-_TRACE_LIMIT:]
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """`12:30:01.250 warning kafka    metadata_failed  broker=1`: for people; a traceback follows, indented."""

    def format(self, record: logging.LogRecord) -> str:
        clock = f"{_time(record).astimezone():%H:%M:%S}.{int(record.msecs):03d}"
        name = record.name.removeprefix(f"{_ROOT}.")
        fields = " ".join(f"{field}={_quoted(value)}" for field, value in _fields(record).items())
        event = _one_line(_bounded(record.getMessage()))
        text = f"{clock} {record.levelname.lower():7} {name:8} {event}  {fields}".rstrip()
        if record.exc_info:
            trace = self.formatException(record.exc_info)[-_TRACE_LIMIT:]
            text += "\n" + "\n".join(f"    {line}" for line in trace.splitlines())
        return text


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    fields: dict[str, Any] = {**_marks, **getattr(record, "fields", {})}
    return {name: "(withheld)" if name in _WITHHELD else _bounded(value) for name, value in fields.items()}


def _bounded(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float)):
        return value
    text = str(value).encode(errors="replace").decode()  # half a surrogate pair would fail to be written
    return text if len(text) <= _VALUE_LIMIT else f"{text[:_VALUE_LIMIT]}… ({len(text)} characters)"


def _quoted(value: Any) -> str:
    text = str(value)
    return text if text and text.isprintable() and not {" ", '"', "="} & set(text) else orjson.dumps(text).decode()


def _one_line(text: str) -> str:
    return text if text.isprintable() else orjson.dumps(text).decode()
