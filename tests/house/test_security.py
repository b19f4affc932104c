"""docs/security.md promises tests: each of them exists, and no row is without one."""

import re
from pathlib import Path

HERE = Path(__file__).parents[1]
PAGE = (HERE.parent / "docs" / "security.md").read_text()
ATTACKS = PAGE.split("## Attacks", 1)[1].split("## What is accepted", 1)[0]
ACCEPTED = PAGE.split("## What is accepted", 1)[1].split("\n## ", 1)[0]


def rows(part: str) -> list[list[str]]:
    """The cells of each row that is neither a head nor a rule."""
    lines = [line for line in part.splitlines() if line.startswith("|") and not line.startswith("|---")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [row for row in cells if row[0] not in ("attack", "what remains")]


def test_every_attack_has_a_test_that_exists() -> None:
    said = (file.read_text() for file in HERE.rglob("test_*.py"))
    known = {name for text in said for name in re.findall(r"^\s*(?:async )?def (test_\w+)", text, re.MULTILINE)}
    assert rows(ATTACKS)
    for attack, holds, tests in rows(ATTACKS):
        named = re.findall(r"`(test_\w+)`", tests)
        assert holds, attack
        assert named, f"no test is named for: {attack}"
        assert set(named) <= known, f"{attack}: no such test: {set(named) - known}"


def test_what_is_accepted_has_its_reason() -> None:
    assert len(rows(ATTACKS)) > 25
    assert all(len(row) == 2 and all(row) for row in rows(ACCEPTED))
