"""Every command of ours that a page, an alert or a unit tells somebody to type exists, with those options."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer.main
from starlette.routing import Match
from typer.core import TyperGroup

from proxy.admin.app import admin_app
from proxy.cli.commands import app
from tests.unit.admin.scripted import ScriptedOperations

CHECKOUT = Path(__file__).parents[2]
PAGES = [
    *(CHECKOUT / "docs" / name for name in ("runbook.md", "helm.md")),
    *(CHECKOUT / "deploy" / name for name in ("prometheus/alerts.yaml", "systemd/stepbridge.service")),
    CHECKOUT / "deploy/helm/stepbridge/templates/_notes.tpl",
]
_CODE = re.compile(r"(?ms)^```[^\n]*\n(.+?)^```|`([^`\n][^`]*?)`")
_TYPED = re.compile(r"\bstepbridge( +[a-z]+\b(?: +(?:[a-z]+|--[a-z-]+|-c)\b)*)")


def typed(path: Path) -> list[str]:
    """What stands behind `stepbridge` where it is a command. In a page that is code; elsewhere it is anything."""
    text = re.sub(r"\\\n\s*", " ", path.read_text())
    if path.suffix == ".md":
        text = "\n".join(block or re.sub(r"\s+", " ", span) for block, span in _CODE.findall(text))
    return [words.strip() for words in _TYPED.findall(text)]


def mistake(words: str) -> str | None:
    """What in `stepbridge ...` does not exist; None if all of it does."""
    command: Any = typer.main.get_command(app)
    for word in words.split():
        if word.startswith("-"):
            if not any(word in option.opts for option in command.params):
                return f"{command.name} has no option {word}"
        elif isinstance(command, TyperGroup):
            if word not in command.commands:
                return f"{command.name} has no command {word}"
            command = command.commands[word]
    return None


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_command_that_is_told_exists(page: Path) -> None:
    found = typed(page)
    assert found
    assert {words: said for words in found if (said := mistake(words))} == {}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("groups skp", "groups has no command skp"),
        ("routes --partitions", "routes has no option --partitions"),
        ("groups dead --value", "dead has no option --value"),
    ],
)
def test_what_does_not_exist_is_noticed(words: str, said: str) -> None:
    assert mistake(words) == said


def test_a_command_over_two_lines_of_a_page_is_one() -> None:
    assert "groups --partitions" in typed(CHECKOUT / "docs/runbook.md")


def test_every_path_of_the_admin_side_that_the_runbook_names_exists() -> None:
    admin = admin_app(ScriptedOperations())
    runbook = (CHECKOUT / "docs/runbook.md").read_text()
    named = set(re.findall(r"`(?:GET )?(/(?:admin/|healthz|readyz|metrics)[^\s`?]*)`", runbook))
    assert len(named) >= 2
    scopes = [{"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []} for path in named]
    assert [
        scope["path"] for scope in scopes if not any(route.matches(scope)[0] is Match.FULL for route in admin.routes)
    ] == []
