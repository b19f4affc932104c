"""How a produce route makes a record of a request: compiled once, run for each.

The order of refusals: content type (415), readable body (400), schema (422), then every template field that is
missing or cannot be used (422, all of them in one answer). A body that nothing looks into is not parsed.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol

from proxy.config.bodyschema import compile_schema
from proxy.config.model import Produce, Route
from proxy.config.placeholder import Placeholder
from proxy.errors import FieldInvalid, Unprocessable
from proxy.record import Record
from proxy.routes.field import text_reader, where
from proxy.routes.intake import schema_check, type_check
from proxy.routes.reply import Reply
from proxy.routes.request import Request
from proxy.routes.template import Template

__all__ = ["RecordRecipe", "Reply"]

MAX_PARTITION = 2**31 - 1
MAX_TIMESTAMP_MS = 253_402_300_799_999  # the end of the year 9999

_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")


class BodyCheck(Protocol):
    """Something that raises for a body that must not be written, and what of the request it looks at."""

    @property
    def placeholders(self) -> Sequence[Placeholder]: ...
    def __call__(self, request: Request) -> None: ...


class RecordRecipe:
    """What one produce route does to a request. `reply` is its answer once the record is written."""

    def __init__(self, produce: Produce, reply: Reply, right: BodyCheck | None = None) -> None:
        self.reply = reply
        self._right = right
        self._topic = produce.topic
        self._tombstone = produce.value is None
        self._key = _template(produce.key, "key")
        self._partition = _template(produce.partition, "partition")
        self._timestamp = _template(produce.timestamp, "timestamp")
        self._headers = [(name, Template.compile(text, f"header {name}")) for name, text in produce.headers.items()]
        schema = produce.schema_
        self._check_type = type_check(
            produce.content_types,
            reads_body=any(placeholder.source == "body" for placeholder in self._placeholders),
            has_schema=schema is not None,
            is_batch=produce.batch,
        )
        check_schema = schema_check(compile_schema(schema.document)) if schema else None
        self._checks = [check for check in (right, check_schema) if check is not None]

    @classmethod
    def compile(cls, route: Route, right: BodyCheck | None = None) -> "RecordRecipe":
        """Of a produce route as the loader checked it. Raises BadTemplate, BadSchema for one it did not.

        `right`: what its callers need of each body, checked before anything else is made of it.
        """
        if route.produce is None:
            raise ValueError(f"{route.name} is no produce route")
        return cls(route.produce, Reply.compile(route.response), right)

    def __repr__(self) -> str:
        return f"<RecordRecipe for {self._topic}, reads {', '.join(map(str, self._placeholders)) or 'nothing'}>"

    def record(self, request: Request) -> Record:
        """The record of one request, complete.

        Raises UnsupportedMediaType, NotJson, BadForm, Malformed, SchemaViolation, FieldMissing, FieldInvalid. What
        passes here can also be answered: the reply's own needs are checked before anything is written.
        """
        if self._check_type:
            self._check_type(request)
        return self.item(request)

    def key(self, request: Request) -> bytes | None:
        """The key of the record alone, whatever else is wrong with the request. Raises as `record`."""
        return self._key.encoded(request) if self._key else None

    def admit(self, request: Request) -> None:
        """See whether the route takes bodies of this type. Raises UnsupportedMediaType."""
        if self._check_type:
            self._check_type(request)

    def item(self, request: Request) -> Record:
        """As `record`, of one item of a request that was admitted."""
        if self._checks:
            for check_body in self._checks:
                check_body(request)
        try:
            for check in self.reply.checks:
                check(request)
            return Record(
                self._topic,
                self._key.encoded(request) if self._key else None,
                None if self._tombstone else request.body,
                [(name, template.encoded(request)) for name, template in self._headers] if self._headers else (),
                _timestamp_ms(self._timestamp, request) if self._timestamp else None,
                _partition(self._partition, request) if self._partition else None,
            )
        except Unprocessable as first:
            raise self._with_all_errors(first, request) from None

    @property
    def _templates(self) -> list[Template]:
        numbered = (self._key, self._partition, self._timestamp)
        return [template for template in numbered if template] + [template for _, template in self._headers]

    @property
    def _placeholders(self) -> list[Placeholder]:
        own = [placeholder for template in self._templates for placeholder in template.placeholders]
        return [*own, *self.reply.placeholders, *(self._right.placeholders if self._right else ())]

    def _with_all_errors(self, first: Unprocessable, request: Request) -> Unprocessable:
        """The refusal again, with what everything else finds wrong too."""
        errors = list(first.errors)
        for step in self._steps():
            try:
                step(request)
            except Unprocessable as exc:
                errors += [error for error in exc.errors if error not in errors]
        if len(errors) == len(first.errors):
            return first
        return type(first)(f"{first.detail} There is more: `errors` has all {len(errors)}.", errors=errors)

    def _steps(self) -> Iterator[Callable[[Request], object]]:
        """Everything that can refuse a request for its fields, one by one."""
        for template in self._templates:
            yield from map(text_reader, template.placeholders)
            yield template.encoded
        if self._partition:
            yield partial(_partition, self._partition)
        if self._timestamp:
            yield partial(_timestamp_ms, self._timestamp)
        yield from self.reply.checks


def _template(text: str | None, use: str) -> Template | None:
    return None if text is None else Template.compile(text, use)


def _partition(template: Template, request: Request) -> int:
    text = template.encoded(request)
    if not text.isdigit() or len(text) > 10 or int(text) > MAX_PARTITION:
        raise _unusable(template, "is no partition: a whole number from 0")
    return int(text)


def _timestamp_ms(template: Template, request: Request) -> int:
    text = template.encoded(request)
    moment_ms = int(text) if text.isdigit() and len(text) <= 15 else _iso_ms(text)
    if not 0 <= moment_ms <= MAX_TIMESTAMP_MS:
        raise _unusable(template, "is no time from 1970 on: milliseconds since then, or ISO 8601 with its offset or Z")
    return moment_ms


def _iso_ms(text: bytes) -> int:
    """Milliseconds since the epoch; -1 for what is no ISO 8601 time with an offset."""
    try:
        moment = datetime.fromisoformat(text.decode())
    except ValueError:
        return -1
    return (moment - _EPOCH) // timedelta(milliseconds=1) if moment.tzinfo else -1


def _unusable(template: Template, what: str) -> FieldInvalid:
    named = " and ".join(map(str, template.placeholders))
    errors = [{**where(placeholder), "detail": what} for placeholder in template.placeholders]
    return FieldInvalid(f"The {template.use}, made from {named}, {what}.", errors=errors)
