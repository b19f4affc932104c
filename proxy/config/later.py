"""Keys and values of the file's full language that this version does not know yet.

They are refused, like misspelt ones, but by name: nobody should search for the mistake. `*` is any list index.
"""

from collections.abc import Callable, Sequence

NOT_IN_THIS_VERSION = "not in this version"

_KEYS = {
    "": ("spool", "tls"),
    "routes.*.limits": ("streams",),
    "routes.*.response": ("spooled",),
}
KEYS = frozenset(f"{section}.{key}".lstrip(".") for section, keys in _KEYS.items() for key in keys)

_VALUES: dict[str, Callable[[object], bool]] = {
    "routes.*.produce.on_outage": lambda value: value == "spool",
}


def is_later(path: Sequence[str | int]) -> bool:
    """True for a key that a later version will take."""
    return _pattern(path) in KEYS


def is_later_value(path: Sequence[str | int], value: object) -> bool:
    """True for a value that a later version will take where this one does not."""
    known = _VALUES.get(_pattern(path))
    return known is not None and known(value)


def names_at(path: Sequence[str | int]) -> tuple[str, ...]:
    """The later keys of the mapping at `path`."""
    return _KEYS.get(_pattern(path), ())


def _pattern(path: Sequence[str | int]) -> str:
    return ".".join("*" if isinstance(step, int) else step for step in path)
