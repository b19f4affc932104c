"""Templates, compiled from their text (`config/placeholder.py` says how they are written)."""

import re
from collections.abc import Callable, Sequence

from proxy.config.placeholder import Placeholder, parse_template
from proxy.errors import FieldInvalid
from proxy.routes.field import text_reader, where
from proxy.routes.request import Request

MAX_RENDERED_BYTES = 1_024  # of a key, a header, a partition or a timestamp: what a client sends can go no further

_FORBIDDEN = re.compile(r"[\r\n\0]")


class Template:
    """Text with placeholders in it. `use` says in messages what the text is for: "key", "header source"."""

    __slots__ = ("_constant", "_format", "placeholders", "text", "use")

    text: Callable[[Request], str]
    """The text for one request, however long. Raises FieldMissing, FieldInvalid, or a 400 for unreadable input."""

    def __init__(self, pieces: Sequence[str | Placeholder], use: str) -> None:
        self.use = use
        self.placeholders = tuple(piece for piece in pieces if isinstance(piece, Placeholder))
        self._format = "".join(piece.replace("%", "%%") if isinstance(piece, str) else "%s" for piece in pieces)
        self.text = _filler(pieces, self._format, [text_reader(placeholder) for placeholder in self.placeholders])
        self._constant = None if self.placeholders else (self._format % ()).encode()

    @classmethod
    def compile(cls, text: str, use: str = "template") -> "Template":
        """Raises BadTemplate."""
        return cls(parse_template(text), use)

    def __repr__(self) -> str:
        return f"<Template of the {self.use}: {self._format % self.placeholders}>"

    def encoded(self, request: Request) -> bytes:
        """Like `text`, in UTF-8, for keys and headers: no line break, no NUL, at most MAX_RENDERED_BYTES."""
        if self._constant is not None:
            return self._constant
        text = self.text(request)
        if not text.isprintable() and _FORBIDDEN.search(text):
            raise self._invalid("a line break or NUL in it, which cannot stand there")
        encoded = text.encode()
        if len(encoded) > MAX_RENDERED_BYTES:
            raise self._invalid(f"{len(encoded)} bytes, and at most {MAX_RENDERED_BYTES} can stand there")
        return encoded

    def _invalid(self, what: str) -> FieldInvalid:
        detail = f"The {self.use}, made from {' and '.join(map(str, self.placeholders))}, would have {what}."
        return FieldInvalid(detail, errors=[{**where(each), "detail": f"has {what}"} for each in self.placeholders])


def _filler(
    pieces: Sequence[str | Placeholder], text: str, readers: Sequence[Callable[[Request], str]]
) -> Callable[[Request], str]:
    """Fills the `%s` of `text`. Keys are on the hot path, and mostly `{one}`, or `{one}:{other}`."""
    if text == "%s":
        return readers[0]
    if len(pieces) == 3 and len(readers) == 2 and isinstance(between := pieces[1], str):
        first, second = readers
        return lambda request: f"{first(request)}{between}{second(request)}"
    return lambda request: text % tuple([read(request) for read in readers])
