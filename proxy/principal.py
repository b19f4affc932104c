"""Who a request comes from, once that is established."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller that was let in.

    `id` is its name behind that of its scheme, `key:store-7`, `basic:till`, `jwt:alice`, `certificate:pos.example`: a
    name that one scheme gives out cannot be taken for that of another.
    """

    scheme: str  # key, basic, certificate, or the name of the issuer of its token
    name: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)  # JSON values: of a token, or as the configuration has them

    @property
    def id(self) -> str:
        return f"{self.scheme}:{self.name}"

    def claim(self, name: str) -> Any:
        """The claim of that name, dots and all; else what is found a level down for each dot. None: there is none."""
        if name in self.claims:
            return self.claims[name]
        found: Any = self.claims
        for step in name.split("."):
            if not isinstance(found, Mapping):
                return None
            found = found.get(step)
        return found
