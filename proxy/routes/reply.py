"""What a client gets once its record is written: the receipt, or the route's own `response`.

A response's body is compiled to bytes with holes. A string that is exactly one `{...}` is a hole of its own JSON
type; in any other the placeholders are filled in as text. A body that is one text (no mapping, no list) is sent as
that text, for clients that have always got XML or a plain word, unless it is exactly one `{...}` or its Content-Type
says JSON.

Nothing may fail once the record is written: what of the request the answer needs, `checks` read before.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from proxy.config.media import is_json
from proxy.config.model import Response
from proxy.config.placeholder import Placeholder, parse_template
from proxy.record import Receipt
from proxy.routes.field import json_reader, text_reader
from proxy.routes.request import Request
from proxy.routes.template import Template

Answer = tuple[int, list[tuple[bytes, bytes]], bytes]

_TYPE = b"content-type"
_JSON = (_TYPE, b"application/json")
_TEXT = (_TYPE, b"text/plain; charset=utf-8")
_WITHOUT_LENGTH = (204, 304)


class Reply:
    """The answer of a route without a `response`: 201 and the receipt.

    `checks` raise, before the record is written, for what `render` would lack of the request.
    """

    placeholders: Sequence[Placeholder] = ()
    checks: Sequence[Callable[[Request], Any]] = ()

    @staticmethod
    def compile(response: Response | None) -> "Reply":
        """Raises BadTemplate."""
        return Reply() if response is None else _OwnReply(response)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self.placeholders)} placeholders>"

    def render(self, request: Request, receipt: Receipt) -> Answer:
        """Status, headers (Content-Length among them) and body. Raises nothing for a request that passed `checks`."""
        body = b'{"topic":"%b","partition":%d,"offset":%d,"timestamp_ms":%d}' % (
            receipt.topic.encode(),  # the letters of a topic's name need no escaping
            receipt.partition,
            receipt.offset,
            receipt.timestamp_ms,
        )
        return 201, [_JSON, (b"content-length", b"%d" % len(body))], body


class _OwnReply(Reply):
    """The answer as the route's `response` has it."""

    def __init__(self, response: Response) -> None:
        self._status = response.status
        self._headers = {
            name.lower().encode(): Template.compile(text, f"answer's header {name}")
            for name, text in response.headers.items()
        }
        declared = next((text for name, text in response.headers.items() if name.lower() == "content-type"), None)
        body_type, pieces = _body(response.body, declared)
        self._own_type = [body_type] if body_type and declared is None else []
        self._format = b"".join(piece.replace(b"%", b"%%") if isinstance(piece, bytes) else b"%b" for piece in pieces)
        holes = [piece for piece in pieces if isinstance(piece, _Hole)]
        self._fill = [hole.fill for hole in holes]
        self.checks = [check for hole in holes for check in hole.checks]
        self.checks += [template.encoded for template in self._headers.values() if template.placeholders]
        self.placeholders = [placeholder for hole in holes for placeholder in hole.placeholders]
        self.placeholders += [each for template in self._headers.values() for each in template.placeholders]

    def render(self, request: Request, receipt: Receipt) -> Answer:
        request.receipt = receipt
        body = self._format % tuple([fill(request) for fill in self._fill])
        headers = [*self._own_type, *((name, template.encoded(request)) for name, template in self._headers.items())]
        if self._status not in _WITHOUT_LENGTH:
            headers.append((b"content-length", b"%d" % len(body)))
        return self._status, headers, body


@dataclass(frozen=True, slots=True)
class _Hole:
    """A part of the body that a request or a receipt fills. `checks` raise what `fill` would raise for a request."""

    placeholders: Sequence[Placeholder]
    fill: Callable[[Request], bytes]
    checks: Sequence[Callable[[Request], Any]]


_Piece = bytes | _Hole


def _body(body: Any, declared: str | None) -> tuple[tuple[bytes, bytes] | None, Sequence[_Piece]]:
    """The Content-Type a body has by itself, and its pieces."""
    if body is None:
        return None, ()
    if isinstance(body, str):
        pieces = parse_template(body)
        if not (_is_bare(pieces) if declared is None else is_json(declared.partition(";")[0].strip().lower())):
            return _TEXT, [_text_hole(pieces, str.encode)]
    return _JSON, list(_json(body))


def _json(value: Any) -> Iterator[_Piece]:
    if isinstance(value, str):
        yield _json_string(value)
    elif isinstance(value, dict):
        for index, (name, item) in enumerate(value.items()):
            yield (b"," if index else b"{") + orjson.dumps(name) + b":"
            yield from _json(item)
        yield b"}" if value else b"{}"
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield b"," if index else b"["
            yield from _json(item)
        yield b"]" if value else b"[]"
    else:
        yield orjson.dumps(value)


def _json_string(text: str) -> _Piece:
    pieces = parse_template(text)
    if _is_bare(pieces):
        return _bare_hole(pieces[0])
    if not any(isinstance(piece, Placeholder) for piece in pieces):
        return orjson.dumps("".join(map(str, pieces)))
    return _text_hole(pieces, orjson.dumps)


def _bare_hole(placeholder: Any) -> _Hole:
    read = json_reader(placeholder)
    return _Hole((placeholder,), read, () if placeholder.source == "record" else (read,))


def _text_hole(pieces: tuple[str | Placeholder, ...], encode: Callable[[str], bytes]) -> _Hole:
    template = Template(pieces, "answer's body")
    checks = [text_reader(placeholder) for placeholder in template.placeholders if placeholder.source != "record"]
    return _Hole(template.placeholders, lambda request: encode(template.text(request)), checks)


def _is_bare(pieces: tuple[str | Placeholder, ...]) -> bool:
    return len(pieces) == 1 and isinstance(pieces[0], Placeholder)
