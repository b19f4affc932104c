"""What of clients' data an operator is shown in examples (`migrate.redact`). Pure.

Without `redact` the safe side: of each value only its type, `"<string>"`. With it, what is at those paths is hidden in
the same way and the rest is shown; `redact: []` hides nothing. Names of fields are always shown. A body that is not
JSON has no paths: it is shown only where nothing is hidden. All is cut at a bound.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson

from proxy.migrate.places import Here, Places

MAX_SHOWN = 1_024  # characters of one example
MAX_READ_BYTES = 65_536  # a larger body is not read for an example
MAX_DEPTH = 32
MAX_ITEMS = 50  # of one list or object

_TYPES: Final = {str: "<string>", int: "<number>", float: "<number>", bool: "<boolean>", dict: "<object>"}


class Redaction:
    """Shows bodies and values without what is to be hidden."""

    def __init__(self, paths: Sequence[str] | None) -> None:
        """`paths` as `migrate.redact` has them; None: hide every value."""
        self._paths = None if paths is None else frozenset(paths)
        self._hides_all = paths is None
        self._places = Places(paths or ())
        self.hides_nothing = paths is not None and not paths

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Redaction) and other._paths == self._paths

    def __hash__(self) -> int:
        return hash(self._paths)

    def body(self, body: bytes) -> str:
        """A body as it may be shown: JSON text, or only how large it is."""
        document = _read(body)
        if document is not _UNREADABLE:
            return cut(orjson.dumps(self._shown(document, self._places.root, MAX_DEPTH)).decode())
        if self.hides_nothing and len(body) <= MAX_READ_BYTES:
            return cut(body.decode(errors="replace"))
        return f"<{len(body)} bytes>"

    def value(self, value: Any, way: Sequence[str]) -> str:
        """What stands at the end of `way` in a document, as it may be shown."""
        here = self._places.root
        for name in way:
            if self._places.is_at_end(here):
                break
            here = self._places.step(here, name)
        return cut(orjson.dumps(self._shown(value, here, MAX_DEPTH)).decode())

    def _shown(self, value: Any, here: Here, levels: int) -> Any:
        if here and self._places.is_at_end(here):
            return kind_of(value)
        if levels and isinstance(value, dict):
            items = list(value.items())[:MAX_ITEMS]
            return {name: self._shown(each, self._places.step(here, name), levels - 1) for name, each in items}
        if levels and isinstance(value, list):
            return [
                self._shown(each, self._places.step(here, str(index)), levels - 1)
                for index, each in enumerate(value[:MAX_ITEMS])
            ]
        return kind_of(value) if self._hides_all or not levels else value


def kind_of(value: Any) -> str | None:
    """The type of a JSON value in brackets; null, which tells nothing, is shown."""
    if value is None:
        return None
    return _TYPES.get(type(value), "<array>")


def cut(text: str) -> str:
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


_UNREADABLE: Any = object()


def _read(body: bytes) -> Any:
    if len(body) > MAX_READ_BYTES:
        return _UNREADABLE
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return _UNREADABLE
