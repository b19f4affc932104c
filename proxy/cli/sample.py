"""A request that a route would take, made up from its templates and its schema, and the record it becomes."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson

from proxy.cli.example import example
from proxy.config.model import Produce, Route
from proxy.config.placeholder import Placeholder, placeholders
from proxy.errors import ProxyError
from proxy.record import Receipt, Record
from proxy.routes.recipe import RecordRecipe
from proxy.routes.request import Request

SHOWN_CHARS = 400  # of a body or value

_TIME = "2026-01-31T12:00:00Z"


def describe_sample(route: Route, produce: Produce, body: bytes | None = None) -> tuple[bool, list[tuple[str, str]]]:
    """Whether the route took the sample, and what became of it as (name, text). `body`: instead of a made-up one."""
    recipe = RecordRecipe.compile(route)
    request = sample_request(route, produce, body)
    lines = [("body", _shown(request.body))] if produce.value is not None else []
    try:
        record = recipe.record(request)
    except ProxyError as exc:
        return False, [
            *lines,
            ("refused", f"{exc.status} {exc.code}: {exc.detail}"),
            *_errors(exc, given=body is not None),
        ]
    status, _, answer = recipe.reply.render(request, Receipt(record.topic, record.partition or 0, 0, 0))
    return True, [*lines, *_record(record), ("answer", f"{status} {_shown(answer)}".rstrip())]


def sample_request(route: Route, produce: Produce, body: bytes | None = None) -> Request:
    """A request with a value for everything that the route reads."""
    values = _values(route, produce)
    reads_json = produce.schema_ is not None or any(one.source == "body" for one in values)
    if body is None:
        body = orjson.dumps(_document(produce, values)) if reads_json else b"sample"
    types = produce.content_types or (("application/json",) if reads_json else ())
    outside: dict[str, dict[str, str]] = {
        "path": {},
        "query": {},
        "header": {"content-type": types[0]} if types else {},
    }
    for one, value in values.items():
        if one.source in outside:
            outside[one.source][one.way[0]] = value
    headers = [(name.lower().encode(), value.encode()) for name, value in outside["header"].items()]
    return Request(outside["path"], urlencode(outside["query"]).encode(), headers, body)


def _values(route: Route, produce: Produce) -> dict[Placeholder, str]:
    """A text for each placeholder of the route; what stands for a number or a time is one."""
    values: dict[Placeholder, str] = {}
    for text, value in ((produce.partition, "0"), (produce.timestamp, _TIME)):
        values |= dict.fromkeys(placeholders(text or ""), value)
    texts = [produce.key or "", *produce.headers.values()]
    if route.response:
        texts += [*route.response.headers.values(), *_strings(route.response.body)]
    for one in (one for text in texts for one in placeholders(text)):
        values.setdefault(one, f"sample-{one.way[-1]}" if one.way else "")
    return values


def _strings(value: Any) -> Iterator[str]:
    """The strings in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _document(produce: Produce, values: dict[Placeholder, str]) -> Any:
    """What the schema describes, with the fields that templates need beside it."""
    schema = produce.schema_.document if produce.schema_ else None
    document = example(schema, schema) if produce.schema_ else {}
    for one, value in values.items():
        if one.source == "body":
            document = _with(document, one.way, value)
    return document


def _with(node: Any, way: Sequence[str], value: str) -> Any:
    """`node` with something at `way`: what is there, else `value`."""
    if not way:
        return value if node is None or isinstance(node, (dict, list)) else node
    step, rest = way[0], way[1:]
    if isinstance(node, list) or (not node and step == "0"):
        items = list(node or [None])
        if step.isdigit() and int(step) < len(items):
            items[int(step)] = _with(items[int(step)], rest, value)
        return items
    fields = dict(node) if isinstance(node, dict) else {}
    return fields | {step: _with(fields.get(step), rest, value)}


def _record(record: Record) -> Iterator[tuple[str, str]]:
    yield "topic", record.topic + ("" if record.partition is None else f", partition {record.partition}")
    yield "key", "none" if record.key is None else _shown(record.key)
    yield from (("header", f"{name}: {_shown(value)}") for name, value in record.headers)
    if record.timestamp_ms is not None:
        yield "timestamp", f"{record.timestamp_ms} ms"
    yield "value", "none: a tombstone" if record.value is None else _shown(record.value)


def _errors(exc: ProxyError, *, given: bool) -> Iterator[tuple[str, str]]:
    yield from (
        ("", f"{error.get('field') or error.get('pointer') or 'the body'}: {error['detail']}") for error in exc.errors
    )
    if not given:
        yield "", "This body was made up from the file; give a real one with --sample FILE."


def _shown(text: bytes) -> str:
    shown = text.decode(errors="replace")
    return shown if len(shown) <= SHOWN_CHARS else f"{shown[:SHOWN_CHARS]}… ({len(text)} bytes)"
