"""What was verified and need not be for a while: bounded, and under a hash that only this process can make."""

from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from secrets import token_bytes
from typing import Generic, TypeVar

T = TypeVar("T")


class Memory(Generic[T]):
    """From a credential to what was found of it. `now_s` is one clock throughout."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._kept: OrderedDict[bytes, tuple[T, float]] = OrderedDict()  # the oldest first
        self._key = token_bytes(32)

    def __repr__(self) -> str:
        return f"<Memory of {len(self._kept)}>"

    def __len__(self) -> int:
        return len(self._kept)

    def digest(self, credential: bytes) -> bytes:
        """What it is kept under: without the process's key nothing can be guessed from it."""
        return blake2b(credential, digest_size=32, key=self._key).digest()

    def get(self, digest: bytes, now_s: float) -> T | None:
        found = self._kept.get(digest)
        if found is None:
            return None
        if found[1] <= now_s:
            del self._kept[digest]
            return None
        return found[0]

    def put(self, digest: bytes, value: T, until_s: float) -> None:
        """At the limit the one kept longest is forgotten: it is verified again, and no more."""
        self._kept.pop(digest, None)
        while len(self._kept) >= self.limit:
            self._kept.popitem(last=False)
        self._kept[digest] = (value, until_s)

    def forget(self, which: Callable[[T], bool]) -> None:
        for digest in [digest for digest, (value, _) in self._kept.items() if which(value)]:
            del self._kept[digest]
