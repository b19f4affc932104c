"""How two workers prove to each other that they share a secret, without showing it (SCRAM's idea, RFC 5802, without its
users and salts; HMAC is keyed BLAKE2b).

    caller    -> hello: version, its address, a nonce, the ids of its secrets
    listener  -> challenge: a nonce, the id of the secret chosen, proof
    caller    -> proof

Both proofs cover both nonces and the address, each under a key of its own, so that none can be sent back as the other.
The session's keys, one a direction, come from the same. A secret's id is a digest of it: with two secrets in the file
one is rotated, as long as both sides have one in common.

Pure: bytes in, bytes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from hmac import compare_digest
from secrets import token_bytes
from typing import Any

import ormsgpack

VERSION = 1
_NONCE_BYTES = 16
_NAME_CHARS = 300


class Stranger(Exception):
    """The other side is none of us. The text says why, for the log."""


@dataclass(frozen=True, slots=True)
class Keys:
    """What a session's frames are sealed with."""

    from_caller: bytes
    from_listener: bytes


class Secret:
    """One of the file's secrets, and what is made of it."""

    def __init__(self, text: str) -> None:
        self._key = blake2b(text.encode(), person=b"stepbridge peer", digest_size=32).digest()
        self.id = self._make(b"id", b"")[:8]

    def proof(self, side: bytes, about: bytes) -> bytes:
        return self._make(b"proof " + side, about)[:16]

    def keys(self, about: bytes) -> Keys:
        return Keys(self._make(b"caller", about), self._make(b"listener", about))

    def _make(self, what: bytes, about: bytes) -> bytes:
        return blake2b(about, key=self._key, person=what, digest_size=32).digest()


class Calling:
    """The side that opened the connection."""

    def __init__(self, secrets: Sequence[Secret], address: str) -> None:
        """`address`: where this worker itself is reached."""
        self._secrets = {secret.id: secret for secret in secrets}
        self._address = address
        self._nonce = token_bytes(_NONCE_BYTES)

    def hello(self) -> bytes:
        return ormsgpack.packb([VERSION, self._address, self._nonce, list(self._secrets)])

    def answer(self, challenge: bytes) -> tuple[bytes, Keys]:
        """The proof to send, and the session's keys. Raises Stranger."""
        nonce, chosen, proof = _read(challenge, (bytes, bytes, bytes))
        secret = self._secrets.get(chosen)
        about = _about(self._nonce, nonce, self._address)
        if secret is None or not compare_digest(secret.proof(b"listener", about), proof):
            raise Stranger("it does not know our `peer.secret`")
        return secret.proof(b"caller", about), secret.keys(about)


class Listening:
    """The side that was called."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._secrets = secrets
        self._nonce = token_bytes(_NONCE_BYTES)
        self.address = ""  # the caller's own, once its hello is read
        self._secret: Secret | None = None
        self._about = b""

    def challenge(self, hello: bytes) -> bytes:
        """What to send back. Raises Stranger."""
        version, address, nonce, known = _read(hello, (int, str, bytes, list))
        if version != VERSION:
            raise Stranger(f"it speaks version {version} of the peer protocol, this bridge {VERSION}")
        if len(address) > _NAME_CHARS or len(nonce) != _NONCE_BYTES:
            raise Stranger("its greeting is out of bounds")
        self._secret = next((secret for secret in self._secrets if secret.id in known), None)
        if self._secret is None:
            raise Stranger("it does not know our `peer.secret`")
        self.address = address
        self._about = _about(nonce, self._nonce, address)
        return ormsgpack.packb([self._nonce, self._secret.id, self._secret.proof(b"listener", self._about)])

    def accept(self, proof: bytes) -> Keys:
        """The session's keys, after the challenge. Raises Stranger."""
        assert self._secret is not None
        if not compare_digest(self._secret.proof(b"caller", self._about), proof):
            raise Stranger("its proof is wrong: it does not know our `peer.secret`")
        return self._secret.keys(self._about)


def _about(callers_nonce: bytes, listeners_nonce: bytes, address: str) -> bytes:
    return callers_nonce + listeners_nonce + address.encode()


def _read(data: bytes, types: tuple[type, ...]) -> Any:
    try:
        fields = ormsgpack.unpackb(data)
    except ValueError:
        raise Stranger("it does not speak the peer protocol") from None
    if not isinstance(fields, list) or [type(each) for each in fields] != list(types):
        raise Stranger("it does not speak the peer protocol")
    return fields
