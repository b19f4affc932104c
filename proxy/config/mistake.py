"""A mistake in the file, first as a place in its data, then with file, line and column, as people read it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Path = tuple[str | int, ...]
SECRETS = frozenset({"secret", "password", "key_password", "client_secret", "hash"})  # keys that hold one


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong at a path of the data.

    `at_key`: the key itself is, rather than its value. `place`: line and column, where the path alone cannot say.
    """

    path: Path
    detail: str
    at_key: bool = False
    place: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One line for the operator. Line and column count from 1."""

    file: str
    line: int
    column: int
    path: str
    detail: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.path}: {self.detail}"


class ConfigMistakes(Exception):
    """The file cannot be used; `mistakes` has everything that is wrong with it, in the order of the file."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes: Sequence[Mistake] = sorted(set(mistakes))
        super().__init__("\n".join(map(str, self.mistakes)))


def dotted(path: Path) -> str:
    """`routes[2].produce.key`; the file as a whole is `file`."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return steps.lstrip(".") or "file"


def is_secret(path: Path) -> bool:
    """True where no mistake may show the value."""
    return not SECRETS.isdisjoint(path)
