"""Keys and tokens that somebody else issues."""

from collections.abc import Callable
from typing import Any, Protocol


class SigningKeys(Protocol):
    """The public keys of one issuer, fetched and kept up to date beside what goes on (`upstream/jwks.py`).

    `on_change` is called, with nothing, whenever other keys are in force than before.
    """

    on_change: Callable[[], None]

    @property
    def is_there(self) -> bool:
        """False until they were fetched once, and once they are too old."""
        ...

    def find(self, kid: str | None, algorithm: str) -> Any | None:
        """The key of that id for that algorithm, as `auth/tokens.py` takes it."""
        ...

    def has(self, kid: str | None) -> bool: ...

    async def renew(self) -> None:
        """Have them fetched again, if that was not done just now, and wait for it, some seconds at most."""
        ...


class TokenSource(Protocol):
    """Tokens that say who the bridge is."""

    async def token(self) -> str:
        """One that is valid now, without `Bearer`. Raises TokenMissing, whose text has no secret in it."""
        ...


class TokenMissing(Exception):
    """No token could be had. The text says why, for the log."""
