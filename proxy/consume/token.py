"""Signed tokens: what the bridge hands to a client and must believe when it comes back, at any replica.

A token is base64url without padding of: version (1 byte), kind (1 byte), payload, signature (12 bytes). The
signature is a keyed BLAKE2b over all before it, under a key derived from the secret for that kind alone, so
that a lease never passes for a position. The first secret signs and all verify: that is how one is rotated.
A payload is not looked at before its signature was found good.
"""

import binascii
from collections.abc import Sequence
from enum import Enum
from hashlib import blake2b
from hmac import compare_digest
from typing import Final

from proxy.errors import BadToken, ForgedToken

MAX_CHARS: Final = 16_384  # no token of ours is longer; a longer one is not even decoded
_VERSION: Final = 1
_MAC_BYTES: Final = 12
_HEAD_BYTES: Final = 2
MAX_BYTES: Final = MAX_CHARS // 4 * 3 - _HEAD_BYTES - _MAC_BYTES  # of a payload
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_+/=", b"+/!!!")  # the plain alphabet's own signs are refused


class Kind(Enum):
    """What a token is for. The letter is in the token; the word is for people."""

    LEASE = b"L"
    STREAM = b"S"
    POSITION = b"P"

    @property
    def word(self) -> str:
        return {"LEASE": "lease", "STREAM": "stream position", "POSITION": "position"}[self.name]


class Signer:
    """Signs and opens tokens of every kind."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """`secrets`: at least one; the first signs, all of them verify."""
        if not secrets:
            raise ValueError("a signer needs at least one secret")
        self._macs = {kind: [_keyed(secret, kind) for secret in secrets] for kind in Kind}
        self._heads = {kind: bytes([_VERSION]) + kind.value for kind in Kind}

    def sign(self, kind: Kind, payload: bytes | bytearray) -> str:
        """The token that says `payload`."""
        body = self._heads[kind] + payload
        mac = self._macs[kind][0].copy()
        mac.update(body)
        return _to_text(body + mac.digest())

    def open(self, kind: Kind, token: str) -> bytes:
        """The payload of a token that one of our secrets signed.

        Raises:
            BadToken: these characters are no token of this kind.
            ForgedToken: they could be, but none of our secrets signed them.
        """
        data = _from_text(token, kind)
        if len(data) < _HEAD_BYTES + _MAC_BYTES or data[:_HEAD_BYTES] != self._heads[kind]:
            raise BadToken(_not_a(kind))
        body, signature = data[:-_MAC_BYTES], data[-_MAC_BYTES:]
        for keyed in self._macs[kind]:
            mac = keyed.copy()
            mac.update(body)
            if compare_digest(mac.digest(), signature):
                return body[_HEAD_BYTES:]
        raise ForgedToken(
            f"The {kind.word} was not signed with a secret of this bridge. Start again without it; if the bridge was "
            "restarted, `secret` in its file keeps such tokens valid."
        )


def _keyed(secret: str, kind: Kind) -> "blake2b":
    key = blake2b(secret.encode(), person=b"stepbridge " + kind.value, digest_size=32).digest()
    return blake2b(key=key, digest_size=_MAC_BYTES)


def _to_text(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def _from_text(token: str, kind: Kind) -> bytes:
    if len(token) > MAX_CHARS:
        raise BadToken(_not_a(kind))
    try:
        plain = token.encode("ascii").translate(_FROM_URL)
        return binascii.a2b_base64(plain + b"=" * (-len(plain) % 4), strict_mode=True)
    except ValueError as exc:  # binascii.Error and UnicodeEncodeError both are
        raise BadToken(_not_a(kind)) from exc


def _not_a(kind: Kind) -> str:
    return f"This is no {kind.word} that the bridge hands out. Send back what it gave you, unchanged."
