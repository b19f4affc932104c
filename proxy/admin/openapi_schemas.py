"""A route's JSON Schema as a component of another document, where its own `#/…` references no longer hold."""

from collections.abc import Iterator
from typing import Any

from proxy.config.model import Config, Route

_DATA = ("const", "default", "enum", "examples")  # members that hold values, not schemas


def body_schemas(config: Config) -> Iterator[tuple[str, Any]]:
    """Each route's schema by its component's name."""
    for route in config.routes:
        if route.produce and route.produce.schema_:
            name = schema_name(route)
            yield name, _moved(route.produce.schema_.document, f"#/components/schemas/{name}")


def schema_name(route: Route) -> str:
    return f"route.{route.name}"


def _moved(document: Any, to: str) -> Any:
    """The schema with the references into itself pointing below `to`. Its `$id`, which said otherwise, is gone."""
    if not isinstance(document, dict):
        return document
    own = str(document.get("$id", ""))
    return _rewritten({name: value for name, value in document.items() if name != "$id"}, own, to)


def _rewritten(node: Any, own: str, to: str) -> Any:
    if isinstance(node, list):
        return [_rewritten(item, own, to) for item in node]
    if not isinstance(node, dict):
        return node
    moved = {name: value if name in _DATA else _rewritten(value, own, to) for name, value in node.items()}
    reference = moved.get("$ref")
    if isinstance(reference, str):
        moved["$ref"] = _reference(reference.removeprefix(own), to)
    return moved


def _reference(reference: str, to: str) -> str:
    pointer = reference.removeprefix("#")
    return to + pointer if reference in ("", "#") or pointer.startswith("/") else reference
