"""How templates are written: text with `{source.name}` in it; `{{` and `}}` stand for the braces themselves.

    {path.store}  {query.page}  {header.user-agent}     one name, dots and all
    {body.order.items.0.sku}                            into the JSON or form body, a dot a level
    {record.offset}                                     in response.body only, where the record is written
    {claims.store}  {principal}                         of the caller: a claim; its id. Where a route asks for callers
    {uuid}  {now}                                       one a request: random; ISO 8601 in UTC

This file only reads them; `routes/template.py` fills them in.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

NAMED = ("path", "query", "header", "body", "record", "claims")
BARE = ("uuid", "now", "principal")
OF_CALLERS = ("claims", "principal")
RECORD_FIELDS = ("topic", "partition", "offset", "timestamp_ms")

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")


class BadTemplate(ValueError):
    """The text is no template. The message says what would be right."""


@dataclass(frozen=True, slots=True)
class Placeholder:
    """One `{...}`: where its value is from, and the way to it there. A body's way has a step for each level."""

    source: str
    way: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "{" + ".".join((self.source, *self.way)) + "}"


def parse_template(text: str) -> tuple[str | Placeholder, ...]:
    """The pieces of a template in order; neighbouring literal text is one piece. Raises BadTemplate."""
    pieces: list[str | Placeholder] = []
    for piece in _pieces(text):
        if isinstance(piece, str) and pieces and isinstance(pieces[-1], str):
            pieces[-1] += piece
        elif piece != "":
            pieces.append(piece)
    return tuple(pieces)


def placeholders(text: str) -> tuple[Placeholder, ...]:
    """Only its `{...}`. Raises BadTemplate."""
    return tuple(piece for piece in parse_template(text) if isinstance(piece, Placeholder))


def _pieces(text: str) -> Iterator[str | Placeholder]:
    end = 0
    for match in _TOKEN.finditer(text):
        yield text[end : match.start()]
        end = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            yield token[0]
        elif len(token) == 1:
            raise BadTemplate(f"has a {token!r} that stands alone: write {token * 2} for the brace itself")
        else:
            yield _placeholder(match.group(1))
    yield text[end:]


def _placeholder(inner: str) -> Placeholder:
    source, dot, name = inner.partition(".")
    if source in BARE and not dot:
        return Placeholder(source)
    if source not in NAMED:
        known = ", ".join([f"{{{source}.…}}" for source in NAMED] + [f"{{{source}}}" for source in BARE])
        raise BadTemplate(f"{{{inner}}} is unknown: there are {known}")
    way = tuple(name.split(".")) if source == "body" else (name,)
    if "" in way:
        raise BadTemplate(f"{{{inner}}} names no field: write for example {{{source}.sku}}")
    if source == "record" and name not in RECORD_FIELDS:
        raise BadTemplate(f"{{{inner}}} is unknown: a record has {', '.join(RECORD_FIELDS)}")
    return Placeholder(source, way)
