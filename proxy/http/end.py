"""The end of many things at once: of a route's streams, of what is open for a caller."""

import asyncio
from collections.abc import Callable


class End:
    """Something that happens once, for a reason, and ends what many are in.

    As a future, but whoever leaves before costs nothing for each of the others.
    """

    __slots__ = ("_reason", "_told")

    def __init__(self) -> None:
        self._reason: str | None = None
        self._told: dict[Callable[[object], object], None] = {}

    def __repr__(self) -> str:
        return f"<End of {len(self._told)} {self._reason or 'to come'}>"

    def done(self) -> bool:
        return self._reason is not None

    def result(self) -> str:
        return self._reason or ""

    def set_result(self, reason: str) -> None:
        """The first reason counts."""
        if self._reason is None:
            self._reason = reason
            told, self._told = self._told, {}
            for tell in told:
                tell(self)

    def add_done_callback(self, tell: Callable[[object], object]) -> None:
        if self._reason is None:
            self._told[tell] = None
        else:
            asyncio.get_running_loop().call_soon(tell, self)

    def remove_done_callback(self, tell: Callable[[object], object]) -> None:
        self._told.pop(tell, None)
