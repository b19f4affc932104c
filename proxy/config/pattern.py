"""What a route takes: one method, or `*` for any, and a path of literals, `{x}` and a last `{rest...}`.

    POST /stores/{store}/stock        {store} is one segment, never empty
    GET /files/{rest...}              {rest...} is all that follows the slash, and may be empty
    * /legacy/                        a path that ends in a slash is another path than the one that does not

Patterns are written decoded; a request's segments are decoded one by one before they are compared.
"""

import re
from dataclasses import dataclass

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
ANY_METHOD = "*"

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_LITERAL = re.compile(r"[^{}%?#\s\x00-\x1f\x7f]*")


class BadPattern(ValueError):
    """The text is no pattern. The message says what would be right."""


@dataclass(frozen=True, slots=True)
class One:
    """`{x}`: one segment, never empty."""

    name: str

    def __str__(self) -> str:
        return f"{{{self.name}}}"


@dataclass(frozen=True, slots=True)
class Rest:
    """`{rest...}`: the rest of the path, however many segments."""

    name: str

    def __str__(self) -> str:
        return f"{{{self.name}...}}"


Segment = str | One | Rest


@dataclass(frozen=True, slots=True)
class Pattern:
    """A method and the segments after the first slash. `/` is one empty segment."""

    method: str
    segments: tuple[Segment, ...]

    @classmethod
    def parse(cls, text: str) -> "Pattern":
        """Read "METHOD /path". Raises BadPattern."""
        words = text.split()
        if len(words) != 2:
            raise BadPattern(f"{text!r} is no route: write a method and a path, such as POST /stores/{{store}}/stock")
        return cls(_method(words[0]), parse_path(words[1]))

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def path(self) -> str:
        return "/" + "/".join(map(str, self.segments))

    @property
    def acks(self) -> "Pattern | None":
        """POST to the path + /ack; None where nothing can follow the path."""
        stem = self.segments[:-1] if self.segments[-1] == "" else self.segments
        return None if any(isinstance(segment, Rest) for segment in stem) else Pattern("POST", (*stem, "ack"))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its `{x}` and `{rest...}`, in order."""
        return tuple(segment.name for segment in self.segments if not isinstance(segment, str))

    @property
    def shape(self) -> tuple[str, ...]:
        """Equal for patterns that take the same paths."""
        kinds = {One: "{}", Rest: "{...}"}
        return tuple(segment if isinstance(segment, str) else kinds[type(segment)] for segment in self.segments)


def parse_path(path: str) -> tuple[Segment, ...]:
    """The segments of a path pattern. Raises BadPattern."""
    if not path.startswith("/"):
        raise BadPattern(f"the path {path!r} does not start with '/'")
    pieces = path[1:].split("/")
    if "" in pieces[:-1]:
        raise BadPattern(f"the path {path!r} has an empty segment: write one '/' only")
    segments = tuple(_segment(piece) for piece in pieces)
    if any(isinstance(segment, Rest) for segment in segments[:-1]):
        raise BadPattern(f"in {path!r} something follows {{...}}: it takes the rest of the path, so it comes last")
    names = [segment.name for segment in segments if not isinstance(segment, str)]
    if len(set(names)) < len(names):
        raise BadPattern(f"the path {path!r} names two segments alike")
    return segments


def _method(word: str) -> str:
    if word != ANY_METHOD and word not in METHODS:
        raise BadPattern(f"{word!r} is no method: write one of {', '.join(METHODS)}, or * for any")
    return word


def _segment(piece: str) -> Segment:
    if piece.startswith("{") and piece.endswith("}"):
        name = piece[1:-1]
        kind: type[One] | type[Rest] = Rest if name.endswith("...") else One
        name = name.removesuffix("...")
        if not _NAME.fullmatch(name):
            raise BadPattern(f"{piece!r} has no usable name: letters, digits, '_' and '-', such as {{store}}")
        return kind(name)
    if piece.startswith(":") and _NAME.fullmatch(piece[1:]):
        raise BadPattern(f"{piece!r} would be taken literally: write {{{piece[1:]}}} for a segment that varies")
    if piece in (".", "..") or not _LITERAL.fullmatch(piece):
        raise BadPattern(f"{piece!r} is no segment: write plain decoded text, or one whole {{name}}")
    return piece
