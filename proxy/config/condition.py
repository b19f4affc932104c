"""How `consume.filter` is written: what the records must be like that a client of the route is shown.

    filter:
      key: {prefix: "{path.store}:"}          the key begins with this text
      header.kind: sale                       the header has exactly this text; of several of that name, the last
      body.sku: "{query.sku}"                 a field of the JSON value, a dot a level, as in templates
      body.qty: {min: 5, max: "{query.most}"} it is a number, or the text of one, and within these

All conditions must hold. Values are literal, or bound to the client's request by {path.x} and {query.x}; what is bound
to a parameter that is not in the query does not filter. This file only reads them; `routes/filter.py` applies them.
"""

import re
from collections.abc import Mapping
from typing import Any

IS, PREFIX, MIN, MAX = "is", "prefix", "min", "max"
NAMED = (PREFIX, MIN, MAX)  # those that are written out; a bare value is for equality

_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")  # as JSON has it


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def read_field(text: str) -> str:
    """The name of a field as it is. Raises ValueError."""
    source, _, name = text.partition(".")
    if text == "key" or (source == "header" and name) or (source == "body" and "" not in name.split(".")):
        return text
    raise ValueError(f"{text!r} is no field of a record: write key, header.NAME or body.FIELD, such as body.order.sku")


def read_condition(value: Any) -> dict[str, str]:
    """Tests by name, and the template of what each compares with. Raises ValueError."""
    if not isinstance(value, Mapping):
        return {IS: _text(value)}
    if len(value) == 1 and None in value.values() and "." in str(next(iter(value))):
        raise ValueError(f'is a mapping, must be text: a template needs quotes, "{{{next(iter(value))}}}"')
    if not value:
        raise ValueError("has no test: write a value, or prefix, min or max")
    for name in value:
        if name not in NAMED:
            raise ValueError(f"{name!r} is no test: write prefix, min or max; a bare value is for equality")
    tests = {name: _text(each) for name, each in value.items()}
    for name in (MIN, MAX):
        if name in tests and "{" not in tests[name] and not is_number(tests[name]):
            raise ValueError(f"{name} is {tests[name]!r}, must be a number, or a template such as {{query.least}}")
    return tests


def _text(value: Any) -> str:
    """As JSON writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (str, int, float)):
        return str(value)
    what = "empty" if value is None else "a list" if isinstance(value, list) else "a mapping"
    raise ValueError(f"is {what}, must be text, a number, true or false, or a test: prefix, min or max")
