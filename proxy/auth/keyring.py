"""Callers that share a secret with us: by API key, or by user name and password."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.auth.hashes import Hash
from proxy.principal import Principal

_BUCKET_BYTES = 8  # of a digest: who guesses keys cannot choose digests, so finding one tells nothing of the others


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """A caller, and the hash of one of its secrets. Each is only equal to itself."""

    principal: Principal
    hash: Hash


class KeyRing:
    """Finds a key's caller, at a cost that does not grow with their number."""

    def __init__(self, callers: Iterable[Known]) -> None:
        """All hashes are SHA-256."""
        self._buckets: dict[bytes, list[Known]] = {}
        for known in callers:
            self._buckets.setdefault(known.hash.digest[:_BUCKET_BYTES], []).append(known)

    def __repr__(self) -> str:
        return f"<KeyRing of {sum(map(len, self._buckets.values()))} keys>"

    def find(self, key: bytes) -> Known | None:
        """Whose key it is; of two callers with the same key the first."""
        digest = hashlib.sha256(key).digest()
        for known in self._buckets.get(digest[:_BUCKET_BYTES], ()):
            if known.hash.fits(key):
                return known
        return None


class Users:
    """Callers by user name."""

    def __init__(self, callers: Iterable[Known]) -> None:
        self._known: dict[str, list[Known]] = {}
        for known in callers:
            self._known.setdefault(known.principal.name, []).append(known)
        self._stand_in = next((known for each in self._known.values() for known in each), None)

    def __repr__(self) -> str:
        return f"<Users {len(self._known)}>"

    def candidates(self, user: str) -> Sequence[Known]:
        """What its password may fit: empty for nobody of that name."""
        return self._known.get(user, ())

    @property
    def stand_in(self) -> Known | None:
        """Somebody to hold the password of an unknown user against, so that it takes as long as any other."""
        return self._stand_in


def fitting(candidates: Sequence[Known], secret: bytes) -> Known | None:
    """The one whose secret it is. All are tried, so that the time does not tell which; see `Hash.is_slow`."""
    found = None
    for known in candidates:
        if known.hash.fits(secret) and found is None:
            found = known
    return found
