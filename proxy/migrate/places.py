"""Places in JSON documents, compiled so that a walk through one asks each step once. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from proxy.config.jsonpath import read_path

ANY = "*"


@dataclass(slots=True)
class _Node:
    below: "dict[str, _Node]" = field(default_factory=dict)
    is_end: bool = False


Here = tuple[_Node, ...]  # where in all the paths at once a walk stands
NOWHERE: Final[Here] = ()


class Places:
    """A set of paths. A walk begins at `root` and takes a `step` for each name or index on its way down."""

    __slots__ = ("root",)

    def __init__(self, paths: Iterable[str]) -> None:
        """Raises ValueError for what is no path."""
        top = _Node()
        for path in paths:
            node = top
            for step in read_path(path):
                node = node.below.setdefault(step, _Node())
            node.is_end = True
        self.root: Here = (top,) if top.below else NOWHERE

    @staticmethod
    def step(here: Here, name: str) -> Here:
        """Where `name` leads to; NOWHERE once no path goes that way."""
        if not here:
            return NOWHERE
        return tuple([found for node in here for key in (name, ANY) if (found := node.below.get(key)) is not None])

    @staticmethod
    def is_at_end(here: Here) -> bool:
        """Whether what stands here, and all below it, is meant."""
        return any(node.is_end for node in here)
