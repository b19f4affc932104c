"""docs/answers.md names every code that a client can get, and no other."""

import re
from pathlib import Path

from proxy import errors

DOCUMENT = (Path(__file__).parents[2] / "docs" / "answers.md").read_text()
INTERNAL = {"internal_error", "unavailable", "unprocessable", "forbidden", "conflict"}  # what the others derive from


def codes() -> set[str]:
    found = {
        kind.code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ProxyError)
    }
    return found - INTERNAL


def test_every_code_is_explained() -> None:
    assert {code for code in codes() if f"`{code}`" not in DOCUMENT} == set()


def test_every_explained_code_exists() -> None:
    rows = [line for line in DOCUMENT.splitlines() if re.match(r"\| \d{3}", line)]
    named = {code for row in rows for code in re.findall(r"`([a-z]+_[a-z_]+)`", row.split("|")[2])}
    assert named - codes() == set()
    assert len(named) > 20
