"""What a request shows of who it is from (RFC 9110, 11.6; RFC 6750; RFC 7617).

An API key stands in a header of its own or, for clients that know only that, behind `Bearer`; a token always does, and
is known by its two dots, which no key of ours has. What is there twice is refused: two readers of one request could
take it for two callers.
"""

from base64 import b64decode
from collections.abc import Sequence
from dataclasses import dataclass

MAX_BYTES = 16_384  # of one credential


class Unreadable(ValueError):
    """There is something, and it is no credential. The message is for the client, and holds nothing of it."""


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    secret: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Password:
    user: str
    secret: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    text: bytes


Credential = Key | Password | Token


def shown(headers: Sequence[tuple[bytes, bytes]], key_header: bytes) -> Credential | None:
    """The one credential among the headers (their names in lower case); None if there is none. Raises Unreadable."""
    found: bytes | None = None
    is_key = False
    for name, value in headers:
        if name == b"authorization" or name == key_header:
            if found is not None:
                raise Unreadable("The request has more than one credential; send one.")
            found, is_key = value, name == key_header
    if found is None:
        return None
    if len(found) > MAX_BYTES:
        raise Unreadable(f"The credential is longer than {MAX_BYTES} bytes.")
    return Key(found.strip()) if is_key else _authorization(found)


def _authorization(value: bytes) -> Credential:
    scheme, _, rest = value.strip().partition(b" ")
    rest = rest.strip()
    match scheme.lower():
        case b"bearer" if rest:
            return Token(rest) if rest.count(b".") == 2 else Key(rest)
        case b"basic" if rest:
            return _basic(rest)
    raise Unreadable("The Authorization header is neither Basic nor Bearer with something behind it.")


def _basic(encoded: bytes) -> Password:
    try:
        user, colon, password = b64decode(encoded, validate=True).partition(b":")
        if colon:
            return Password(user.decode(), password)
    except ValueError:
        pass
    raise Unreadable("The Basic credential is not base64 of user:password, in UTF-8.")
