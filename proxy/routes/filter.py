"""Filters of what readers without a group are shown (`config/condition.py` says how they are written).

A route's filter is compiled once, and bound to a request: what it compares with is known then. Bound filters that say
the same are equal, so that clients who ask alike can share one. A value that is not there, null, an object or an array
passes no test. Text is compared character by character, numbers of the JSON value by what they are: 5 is 5.0. Nothing
that a client sends is more than a value: there are no patterns.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from proxy.config.condition import IS, MAX, MIN, PREFIX, is_number
from proxy.errors import FieldInvalid
from proxy.record import Fetched
from proxy.routes.field import follow, where
from proxy.routes.request import Request
from proxy.routes.template import Template

MAX_DIGITS = 100  # of a number that is compared

Passes = Callable[[Any], bool]  # a text or JSON value; None: there is none


class Condition(NamedTuple):
    """One test of one field: `way` leads to it from the key, the headers or the body."""

    source: str
    way: tuple[str, ...]
    test: str
    operand: str


class Filter:
    """Conditions that must all hold. Hashable: equal to another that says the same."""

    __slots__ = ("_body", "_record", "conditions")

    def __init__(self, conditions: Iterable[Condition]) -> None:
        self.conditions = tuple(conditions)
        compiled = [(each, _TESTS[each.test](each.operand)) for each in self.conditions]
        self._record = [_of_record(each, passes) for each, passes in compiled if each.source != "body"]
        self._body = [(each.way, passes) for each, passes in compiled if each.source == "body"]

    def __repr__(self) -> str:
        return "<Filter " + " and ".join(".".join((c.source, *c.way)) + f" {c.test}" for c in self.conditions) + ">"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Filter) and self.conditions == other.conditions

    def __hash__(self) -> int:
        return hash(self.conditions)

    @property
    def reads_body(self) -> bool:
        """Whether `passes_record` alone does not tell."""
        return bool(self._body)

    def passes_record(self, record: Fetched) -> bool:
        """What it says of key and headers."""
        return all(passes(record) for passes in self._record)

    def passes_body(self, document: Any) -> bool:
        """What it says of the record's value, read as JSON; None where that is none."""
        return all(passes(follow(document, way)) for way, passes in self._body)


@dataclass(frozen=True, slots=True)
class _Said:
    """A condition before it is bound."""

    source: str
    way: tuple[str, ...]
    test: str
    template: Template

    def bind(self, request: Request) -> Condition | None:
        used = self.template.placeholders
        if any(each.source == "query" and each.way[0] not in request.query for each in used):
            return None
        operand = self.template.encoded(request).decode()
        if self.test in (MIN, MAX) and _number(operand) is None:
            detail = f"must be a number: the filter has it as the {self.test} of {'.'.join((self.source, *self.way))}"
            named = " and ".join(map(str, used))
            raise FieldInvalid(f"{named} {detail}.", errors=[{**where(each), "detail": detail} for each in used])
        return Condition(self.source, self.way, self.test, operand)


@dataclass(frozen=True, slots=True)
class FilterRecipe:
    """A route's filter."""

    said: Sequence[_Said]

    @classmethod
    def compile(cls, conditions: Mapping[str, Mapping[str, str]]) -> "FilterRecipe":
        """`conditions`: by field, tests and the templates of what they compare with; checked by the configuration."""
        said = []
        for field, tests in conditions.items():
            source, _, name = field.partition(".")
            way = tuple(name.split(".")) if source == "body" else (name,) if name else ()
            said += [
                _Said(source, way, test, Template.compile(text, f"filter of {field}")) for test, text in tests.items()
            ]
        return cls(said)

    def bind(self, request: Request) -> Filter | None:
        """What it is for this request; None: nothing of it filters.

        Raises FieldInvalid for a value that is too long, has a line break, or is no number where one is needed;
        Malformed for a query that cannot be read.
        """
        conditions = [bound for each in self.said if (bound := each.bind(request)) is not None]
        return Filter(conditions) if conditions else None


# ---- what a field of a record is


def _of_record(condition: Condition, passes: Passes) -> Passes:
    if condition.source == "key":
        return lambda record: passes(_text(record.key))
    name = condition.way[0]
    return lambda record: passes(_text(_last(record.headers, name)))


def _last(headers: Sequence[tuple[str, bytes]], name: str) -> bytes | None:
    for each, value in reversed(headers):
        if each == name:
            return value
    return None


def _text(data: bytes | None) -> str | None:
    try:
        return None if data is None else data.decode()
    except UnicodeDecodeError:
        return None


# ---- tests


def _number(value: Any) -> int | float | None:
    """A number of JSON, or the text of one."""
    if isinstance(value, str):
        if len(value) > MAX_DIGITS or not is_number(value):
            return None
        try:
            value = orjson.loads(value)  # as numbers in bodies are read, so that the same digits are the same number
        except orjson.JSONDecodeError:  # beyond what a float holds
            return None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _is(operand: str) -> Passes:
    number, truth = _number(operand), {"true": True, "false": False}.get(operand)

    def passes(value: Any) -> bool:
        if isinstance(value, str):
            return value == operand
        if isinstance(value, bool):
            return value is truth
        return number is not None and isinstance(value, (int, float)) and value == number

    return passes


def _prefix(operand: str) -> Passes:
    return lambda value: isinstance(value, str) and value.startswith(operand)


def _min(operand: str) -> Passes:
    least = _number(operand)
    return lambda value: least is not None and (number := _number(value)) is not None and number >= least


def _max(operand: str) -> Passes:
    most = _number(operand)
    return lambda value: most is not None and (number := _number(value)) is not None and number <= most


_TESTS: Mapping[str, Callable[[str], Passes]] = {IS: _is, PREFIX: _prefix, MIN: _min, MAX: _max}
