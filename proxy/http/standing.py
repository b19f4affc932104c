"""That callers were let in, for as long as they are: what is open for them ends when they are not any more."""

from collections.abc import Callable
from dataclasses import dataclass

from proxy.clock import wall_ms
from proxy.errors import CredentialsRefused, TokenExpired
from proxy.http.end import End
from proxy.principal import Principal


@dataclass(frozen=True, slots=True)
class Standing:
    """See `Admission` (`exchange.py`). `counted_as` is its name in the metrics, which the configuration bounds."""

    principal: Principal
    standing: End
    counted_as: str
    until_s: float | None = None  # since the epoch

    def left_s(self) -> float | None:
        return None if self.until_s is None else max(0.0, self.until_s - wall_ms() / 1000)

    def check(self) -> None:
        if self.left_s() == 0.0:
            raise TokenExpired("The token has expired meanwhile. Send what is left with a new one.")
        if self.standing.done():
            raise CredentialsRefused("The credentials are not accepted any more.")


class Standings:
    """One end for all that is open by the same right, known by its words: those of the configuration, a key's id."""

    def __init__(self) -> None:
        self._ends: dict[str, End] = {}

    def __repr__(self) -> str:
        return f"<Standings {len(self._ends)}>"

    def of(self, words: str) -> End:
        return self._ends.setdefault(words, End())

    def keep(self, which: Callable[[str], bool]) -> None:
        """End all others."""
        for words in [words for words in self._ends if not which(words)]:
            self._ends.pop(words).set_result("revoked")
