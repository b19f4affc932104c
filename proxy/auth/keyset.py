"""The keys that an issuer signs with (RFC 7517), as far as they may be used here.

Left out: what is not for signatures, symmetric keys (whoever can check such a signature can make it), RSA below 2048
bits, and what cannot be read. A set without one usable key is a fault of its own: the one before it is kept.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from jwt import PyJWK, PyJWKError
from jwt.exceptions import PyJWTError

MIN_RSA_BITS = 2_048
MAX_KEYS = 100

_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}  # of an algorithm's first two letters


class NoKeys(ValueError):
    """The document holds no key that could be used."""


class KeySet:
    """Public keys by their ids."""

    def __init__(self, keys: Mapping[str | None, Sequence[Mapping[str, Any]]]) -> None:
        self._documents = keys
        self._read: dict[tuple[str | None, str], PyJWK | None] = {}

    def __repr__(self) -> str:
        return f"<KeySet {sorted(map(str, self.ids))}>"

    @classmethod
    def read(cls, document: Any) -> "KeySet":
        """Raises NoKeys."""
        entries = document.get("keys") if isinstance(document, Mapping) else None
        found: dict[str | None, list[Mapping[str, Any]]] = {}
        for entry in entries[:MAX_KEYS] if isinstance(entries, list) else ():
            if isinstance(entry, Mapping) and _is_usable(entry):
                found.setdefault(entry.get("kid"), []).append(entry)
        if not found:
            raise NoKeys("It holds no public key for signatures")
        return cls(found)

    @property
    def ids(self) -> frozenset[str | None]:
        return frozenset(self._documents)

    def find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        """The key of that id for that algorithm; without an id the only one of its kind. None if there is none."""
        asked = (kid, algorithm)
        if asked not in self._read and len(self._read) < MAX_KEYS * len(_KINDS):
            self._read[asked] = self._find(kid, algorithm)
        return self._read.get(asked)

    def has(self, kid: str | None) -> bool:
        return kid is None or kid in self._documents

    def _find(self, kid: str | None, algorithm: str) -> PyJWK | None:
        every = [each for same in self._documents.values() for each in same]
        entries = every if kid is None else self._documents.get(kid, ())
        fitting = [each for each in entries if _fits(each, algorithm)]
        if len(fitting) != 1:
            return None
        try:
            return PyJWK(dict(fitting[0]), algorithm)
        except (PyJWKError, PyJWTError):
            return None


def _is_usable(entry: Mapping[str, Any]) -> bool:
    if entry.get("use", "sig") != "sig" or entry.get("kty") not in set(_KINDS.values()):
        return False
    if not isinstance(entry.get("kid", ""), str):
        return False
    if entry["kty"] != "RSA":
        return True
    try:
        bits: int = PyJWK(dict(entry), "RS256").key.key_size
    except (PyJWTError, ValueError, TypeError, AttributeError):
        return False
    return bits >= MIN_RSA_BITS


def _fits(entry: Mapping[str, Any], algorithm: str) -> bool:
    return bool(entry["kty"] == _KINDS.get(algorithm[:2]) and entry.get("alg", algorithm) == algorithm)
