"""How keys and passwords are kept: as a hash, from which they cannot be had back.

    sha256:<64 hex digits>                   of what is as good as random: nothing can be guessed, so fast is fine
    scrypt:<log2 N>:<r>:<p>:<salt>:<hash>    of what people think up: each guess costs 50 ms and 32 MiB (RFC 7914)

Salt and hash are base64url without padding. Comparing takes the same time wherever two hashes differ.
"""

import hashlib
from base64 import b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hmac import compare_digest

SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P = 15, 8, 1
HASH_BYTES = 32


class BadHash(ValueError):
    """The text is no hash of ours."""


@dataclass(frozen=True, slots=True)
class Hash:
    """One hash, read. Its repr says nothing of it."""

    digest: bytes
    salt: bytes | None = None  # None: SHA-256
    log2_n: int = SCRYPT_LOG2_N
    r: int = SCRYPT_R
    p: int = SCRYPT_P

    def __repr__(self) -> str:
        return f"<Hash {'scrypt' if self.is_slow else 'sha256'}>"

    @classmethod
    def read(cls, text: str) -> "Hash":
        """Raises BadHash."""
        kind, _, rest = text.partition(":")
        try:
            if kind == "sha256" and len(rest) == 2 * HASH_BYTES:
                return cls(bytes.fromhex(rest))
            if kind == "scrypt":
                log2_n, r, p, salt, digest = rest.split(":")
                read = cls(_decoded(digest), _decoded(salt), int(log2_n), int(r), int(p))
                if len(read.digest) == HASH_BYTES:
                    return read
        except ValueError:
            pass
        raise BadHash("It is neither sha256:… nor scrypt:…")

    @property
    def is_slow(self) -> bool:
        """Whether `fits` takes milliseconds, and belongs in a thread."""
        return self.salt is not None

    def fits(self, secret: bytes) -> bool:
        """Is it the hash of this?"""
        return compare_digest(self.digest, self._digest_of(secret))

    def _digest_of(self, secret: bytes) -> bytes:
        if self.salt is None:
            return hashlib.sha256(secret).digest()
        return _scrypt(secret, self.salt, self.log2_n, self.r, self.p)


def key_hash(key: str) -> str:
    """Of a key that is as good as random."""
    return f"sha256:{hashlib.sha256(key.encode()).hexdigest()}"


def password_hash(password: str, salt: bytes) -> str:
    """Of a password. The salt is random, 16 bytes or more."""
    digest = _scrypt(password.encode(), salt, SCRYPT_LOG2_N, SCRYPT_R, SCRYPT_P)
    return f"scrypt:{SCRYPT_LOG2_N}:{SCRYPT_R}:{SCRYPT_P}:{_encoded(salt)}:{_encoded(digest)}"


def _scrypt(secret: bytes, salt: bytes, log2_n: int, r: int, p: int) -> bytes:
    n = 1 << log2_n
    memory_bytes = 128 * r * (n + p) + (1 << 20)  # what it needs, and a little for OpenSSL
    return hashlib.scrypt(secret, salt=salt, n=n, r=r, p=p, maxmem=memory_bytes, dklen=HASH_BYTES)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    """Raises ValueError."""
    return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
