"""What is logged of a request says of which one."""

import ast
from collections.abc import Iterator
from pathlib import Path

FRONT = Path(__file__).parents[2] / "proxy" / "http"
LEVELS = {"debug", "info", "warning", "error"}


def _calls(source: str) -> Iterator[ast.Call]:
    """Every `log.warning(...)` and its like."""
    for node in ast.walk(ast.parse(source)):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Attribute) and called.attr in LEVELS and ast.unparse(called.value) == "log":
            assert isinstance(node, ast.Call)
            yield node


def _anonymous(source: str) -> list[str]:
    return [ast.unparse(call) for call in _calls(source) if "request_id" not in {word.arg for word in call.keywords}]


def test_a_line_without_the_requests_id_is_noticed() -> None:
    assert _anonymous("log.warning('limit_reached', route=name)") == ["log.warning('limit_reached', route=name)"]
    assert _anonymous("log.warning('limit_reached', request_id=one)") == []


def test_every_line_of_the_front_that_serves_requests_has_the_requests_id() -> None:
    assert {file.name: found for file in FRONT.glob("*.py") if (found := _anonymous(file.read_text()))} == {}
