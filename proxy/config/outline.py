"""The file's data as far as it can be understood, for the rules on what may stand together.

A file with one mistake still has its other ones. So the rules do not wait until all values are right: they read
this outline, where a section or route that is wrong by itself is left out (it has its own fault).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from proxy.config.mistake import Path
from proxy.config.model import default_name
from proxy.config.pattern import BadPattern, Pattern

_M = TypeVar("_M", bound=BaseModel)


def mapping(value: Any) -> Mapping[str, Any]:
    """The value if it is a mapping, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def section(model: type[_M], value: Any) -> _M | None:
    """The value as a section, its defaults filled in; None if anything in it is wrong."""
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError:
        return None


@dataclass(frozen=True, slots=True)
class RouteOutline:
    """One entry of `routes`: where it is, what it says, and what of that could be read."""

    path: Path
    said: Mapping[str, Any]
    pattern: Pattern | None

    @property
    def produce(self) -> Mapping[str, Any]:
        return mapping(self.said.get("produce"))

    @property
    def consume(self) -> Mapping[str, Any]:
        return mapping(self.said.get("consume"))

    @property
    def response(self) -> Mapping[str, Any]:
        return mapping(self.said.get("response"))

    @property
    def name(self) -> str | None:
        name = self.said.get("name")
        if name is None and self.pattern is not None:
            return default_name(str(self.said["route"]))
        return name if isinstance(name, str) else None

    @property
    def acks(self) -> Pattern | None:
        """What its clients POST their acks to, if it takes any."""
        explicit = self.consume.get("group") is not None and self.consume.get("ack", "explicit") == "explicit"
        return self.pattern.acks if self.pattern and explicit else None


def routes(data: Mapping[str, Any]) -> Iterator[RouteOutline]:
    """The entries of `routes` that are mappings."""
    entries = data.get("routes")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        if isinstance(entry, Mapping):
            yield RouteOutline(("routes", index), entry, _pattern(entry.get("route")))


def _pattern(route: Any) -> Pattern | None:
    try:
        return Pattern.parse(route) if isinstance(route, str) else None
    except BadPattern:
        return None
