"""The elements of a JSON array as they were sent: their own bytes, not what an encoder would make of them again.

So 1.10 stays 1.10, and a number of forty digits keeps them all (docs/decisions/array-elements.md).
"""

import re
from collections.abc import Iterator
from json import JSONDecoder

from proxy.errors import NotJson

_OPENING = re.compile(rb"\0*+(?:\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[ \t\r\n\0]*+\[")
_SPACE = re.compile(r"[ \t\r\n]*")

_element = JSONDecoder().raw_decode


def is_array(body: bytes) -> bool:
    """Whether a body that is JSON is an array. So it is with a byte order mark, and as UTF-16 or UTF-32: to
    be refused as no JSON (RFC 8259, 8.1) then, and not taken for one record."""
    return _OPENING.match(body) is not None


def elements(body: bytes) -> Iterator[bytes]:
    """The bytes of each element, without the space around it. `body` is an array that `orjson.loads` has taken.

    Raises NotJson for an element nested deeper than can be followed (about 900 levels).
    """
    text = body.decode()
    at = _space(text, text.index("[") + 1)
    while text[at] != "]":
        try:
            _, end = _element(text, at)
        except RecursionError:
            raise NotJson("The body has an element that is nested too deeply to be taken out of its array.") from None
        yield text[at:end].encode()
        at = _space(text, end)
        if text[at] == ",":
            at = _space(text, at + 1)


def _space(text: str, at: int) -> int:
    """Where the white space that begins at `at` ends."""
    return _SPACE.match(text, at).end() if text[at] in " \t\r\n" else at  # type: ignore[union-attr]
