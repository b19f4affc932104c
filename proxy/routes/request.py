"""One request as templates and schemas see it: each part is read when it is first asked for, and once."""

import json
import os
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from json import JSONDecodeError
from typing import Any
from urllib.parse import parse_qsl

import orjson

from proxy.clock import wall_ms
from proxy.config.media import FORM
from proxy.errors import BadForm, Malformed, NotJson
from proxy.principal import Principal
from proxy.record import Receipt

MAX_FIELDS = 1_000  # of a form or a query

_UNREAD: Any = object()
_COMMON_TYPES = {  # spelt out, since most requests carry one of these
    b"application/json": "application/json",
    b"application/json; charset=utf-8": "application/json",
    b"application/x-www-form-urlencoded": FORM,
    None: "",
}


class Exact(str):
    """A JSON number as the client wrote it: 9.90, 1e3, or more digits than a float holds."""

    __slots__ = ()


class Request:
    """The parts of one request. `receipt` is there once its record is written; `principal` where callers are known.

    `fields` is what `{body.x}` looks into: the JSON document, or the fields of a form. Reading a part that cannot be
    read raises a 400. A field given twice has its first value; a header given twice has its first line.
    """

    __slots__ = (
        "_exact",
        "_fields",
        "_id",
        "_media_type",
        "_now",
        "_query",
        "body",
        "headers",
        "path",
        "principal",
        "query_string",
        "receipt",
    )

    def __init__(
        self,
        path: Mapping[str, str],
        query_string: bytes,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        principal: Principal | None = None,
    ) -> None:
        self.path = path
        self.query_string = query_string
        self.headers = headers
        self.body = body
        self.principal = principal
        self.receipt: Receipt | None = None
        self._media_type: str | None = None
        self._fields: Any = _UNREAD
        self._exact: Any = _UNREAD
        self._query: Mapping[str, str] | None = None
        self._id: str | None = None
        self._now: str | None = None

    def item(self, body: bytes, fields: Any = _UNREAD) -> "Request":
        """One of the many records in this request: `{body.x}` is its own, and all else is the request's.

        `fields` is its body read as JSON, where that has been done.
        """
        item = Request(self.path, self.query_string, self.headers, body, self.principal)
        item._media_type = "application/json"
        item._fields = fields
        item._query = self._query
        return item

    def __repr__(self) -> str:
        return f"<Request {len(self.body)} bytes of {self.media_type or 'no type'}>"

    @property
    def media_type(self) -> str:
        """Content-Type in lower case, without its parameters; "" if there is none."""
        media_type = self._media_type
        if media_type is None:
            given = self._header(b"content-type")
            media_type = _COMMON_TYPES.get(given)
            if media_type is None:
                media_type = _text(given or b"").partition(";")[0].strip().lower()
            self._media_type = media_type
        return media_type

    @property
    def fields(self) -> Any:
        """The body as JSON, or as a form by its type. Raises NotJson, BadForm."""
        if self._fields is _UNREAD:
            try:
                self._fields = _first_values(self.body) if self.media_type == FORM else orjson.loads(self.body)
            except ValueError as exc:
                raise self._unreadable(exc) from None  # the cause holds the body
        return self._fields

    @property
    def exact_fields(self) -> Any:
        """`fields` of a JSON body with its numbers as Exact. Slow: for the few that read fractions."""
        if self._exact is _UNREAD:
            try:
                self._exact = json.loads(self.body, parse_float=Exact, parse_int=Exact)
            except (RecursionError, ValueError):  # deeper than json goes, or a form
                self._exact = self.fields
        return self._exact

    @property
    def query(self) -> Mapping[str, str]:
        """The query's fields. Raises Malformed."""
        if self._query is None:
            try:
                self._query = _first_values(self.query_string)
            except ValueError:
                raise Malformed("The query is not made of UTF-8 fields, at most 1000 of them.") from None
        return self._query

    @property
    def uuid(self) -> str:
        """Random, the same each time one request is asked."""
        if self._id is None:
            self._id = str(uuid.UUID(bytes=os.urandom(16), version=4))
        return self._id

    @property
    def now(self) -> str:
        """ISO 8601 in UTC, the same each time one request is asked."""
        if self._now is None:
            moment = datetime.fromtimestamp(wall_ms() / 1000, UTC)
            self._now = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return self._now

    def header(self, name: bytes) -> str | None:
        """The first header of that (lower-case) name; None if there is none."""
        value = self._header(name)
        return None if value is None else _text(value)

    def _header(self, name: bytes) -> bytes | None:
        for each, value in self.headers:
            if each == name:
                return value
        return None

    def _unreadable(self, exc: ValueError) -> Malformed:
        if self.media_type == FORM:
            return BadForm(f"The body is not made of UTF-8 form fields, at most {MAX_FIELDS} of them.")
        line, column, what = _json_mistake(self.body, exc)
        where = {"line": line, "column": column}
        return NotJson(f"The body is not JSON: {what} at line {line}, column {column}.", extra=where)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _first_values(encoded: bytes) -> dict[str, str]:
    """Fields of a form or query; of one given twice the first. Raises ValueError."""
    pairs = parse_qsl(encoded.decode(), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    return dict(reversed(pairs))


def _json_mistake(body: bytes, exc: ValueError) -> tuple[int, int, str]:
    """Line and column (from 1; the column in characters) of what made `orjson.loads` give up, and what it was."""
    try:
        body.decode()
    except UnicodeDecodeError as bad:
        before = body[: bad.start]
        line_start = before.rfind(b"\n") + 1
        return before.count(b"\n") + 1, len(before[line_start:].decode()) + 1, "bytes that are not UTF-8"
    if isinstance(exc, JSONDecodeError):
        return exc.lineno, exc.colno, exc.msg
    return 1, 1, str(exc)
