"""What README.md and docs/ tell people to type, write and open is there. (tests/e2e/test_pages.py runs it.)"""

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import typer.main
import yaml
from starlette.routing import Match

from proxy.admin.app import admin_app
from proxy.cli.commands import app
from proxy.config.load import load
from proxy.config.model import Config
from proxy.errors import MethodNotAllowed, NoRoute
from proxy.routes.table import RouteTable
from tests.pages import (
    BLOCKS,
    CHECKOUT,
    HARMLESS,
    PAGES,
    RUN_ELSEWHERE,
    Block,
    programs,
    simple_commands,
    without_assignments,
)
from tests.unit.admin.scripted import ScriptedOperations

SHELL_BLOCKS = [block for block in BLOCKS if block.is_shell]
YAML_BLOCKS = [block for block in BLOCKS if block.language == "yaml"]
WHOLE = [block for block in YAML_BLOCKS if block.is_whole_configuration]
SECRETS = {
    "STEPBRIDGE_SECRET": "a secret that only tests know",
    "STEPBRIDGE_PEER_SECRET": "another that only tests know",
    "KAFKA_PASSWORD": "a third",
}
TARGETS = set(re.findall(r"(?m)^([a-z-]+):", (CHECKOUT / "Makefile").read_text()))
OURS = re.compile(r"(?:\./)?((?:config|deploy|docs|proxy|requirements|tests)/[\w./-]*\w|Dockerfile|Makefile)$")
ADMIN = admin_app(ScriptedOperations())
COMMAND = typer.main.get_command(app)


# ---- shell


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_a_shell_block_is_right_as_far_as_bash_can_tell(block: Block) -> None:
    done = subprocess.run(["bash", "-n"], input=block.commands, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert block.commands.strip(), "it has no commands: in a console they stand behind a $"


@pytest.mark.parametrize("block", SHELL_BLOCKS, ids=str)
def test_the_names_in_a_shell_block_exist(block: Block) -> None:
    routes = _routes_of(block.page)
    assert [problem for words in simple_commands(block) for problem in _unknown(words, routes)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_commands_stand_in_fences(page: Path) -> None:
    """Else nobody checks them."""
    outside = re.sub(r"(?ms)^( *)```.*?^\1```$", "", page.read_text())
    assert re.findall(r"(?m)^ {4,}(?:\$ )?(?:make|curl|stepbridge|docker|kubectl|helm|pip) .*$", outside) == []


def test_pages_that_are_run_elsewhere_are_named_there() -> None:
    for page, test in RUN_ELSEWHERE.items():
        assert Path(page).name in (CHECKOUT / test).read_text()


@pytest.mark.parametrize("block", [block for block in SHELL_BLOCKS if block.is_run], ids=str)
def test_what_is_run_unseen_does_no_harm(block: Block) -> None:
    """If this fails: mark the block `not-run`."""
    assert programs(block) - HARMLESS == set()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("stepbridge chekc --config a.yaml", "no command chekc"),
        ("stepbridge check --confg a.yaml", "stepbridge check has no --confg"),
        ("stepbridge groups skp a", "no command skp"),
        ("make dmeo", "no target dmeo"),
        ("cat config/retial.yaml", "no file config/retial.yaml"),
        ("curl -s localhost:9090/admin/rotues", "no GET /admin/rotues on the admin side"),
        ("curl -s localhost:9090/admin/reload", "no GET /admin/reload on the admin side"),
        ("curl -s localhost:8080/nowhere -d x", "no POST /nowhere in the page's routes"),
    ],
)
def test_a_name_that_does_not_exist_is_found(line: str, problem: str) -> None:
    table = RouteTable.build([("POST", "/orders", None)])
    assert list(_unknown(shlex.split(line), table)) == [problem]


def _unknown(words: list[str], routes: RouteTable[None]) -> Iterator[str]:
    words = without_assignments(words)
    if words[:1] == ["stepbridge"] or words[:3] == ["python", "-m", "proxy"]:
        yield from _unknown_command(words[1:] if words[0] == "stepbridge" else words[3:])
    elif words[:1] == ["make"]:
        yield from (f"no target {word}" for word in words[1:] if "=" not in word and word not in TARGETS)
    elif words[:1] == ["curl"]:
        yield from _unknown_urls(words[1:], routes)
    for word in words:
        path = OURS.match(word.removeprefix("@").partition(":")[0])
        if path and not (CHECKOUT / path[1]).exists():
            yield f"no file {path[1]}"


def _unknown_command(words: list[str]) -> Iterator[str]:
    here, name, is_value = COMMAND, "stepbridge", False
    for word in words:
        options = {text: each for each in here.params if each.param_type_name == "option" for text in each.opts}
        text = word.partition("=")[0]
        if is_value or set(word) <= set("<>"):
            is_value = False
        elif word.startswith("-") and text not in {*options, "--help", "-h"}:
            yield f"{name} has no {text}"
        elif word.startswith("-"):
            is_value = "=" not in word and not getattr(options.get(text), "is_flag", True)
        elif hasattr(here, "commands"):
            if word not in here.commands:
                yield f"no command {word}"
                return
            here, name = here.commands[word], f"{name} {word}"


def _unknown_urls(words: list[str], routes: RouteTable[None]) -> Iterator[str]:
    data = any(word in ("-d", "--data", "--data-binary", "--json", "-T") or word.startswith("@") for word in words)
    method = next((value for flag, value in pairwise(words) if flag in ("-X", "--request")), None)
    method = method or ("POST" if data else "GET")
    for word in words:
        where = (
            urlsplit(word if "://" in word else f"http://{word}") if re.match(r"(https?://)?localhost:", word) else None
        )
        if where is None or "$" in (where.path or ""):
            continue
        if where.port == 9090 and not _admin_has(method, where.path):
            yield f"no {method} {where.path} on the admin side"
        if where.port == 8080 and not _has(routes, method, where.path):
            yield f"no {method} {where.path} in the page's routes"


def _admin_has(method: str, path: str) -> bool:
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    return any(route.matches(scope)[0] is Match.FULL for route in ADMIN.routes)


def _has(routes: RouteTable[None], method: str, path: str) -> bool:
    try:
        routes.match(method, unquote(path).encode())
    except (NoRoute, MethodNotAllowed):
        return False
    return True


def _routes_of(page: str) -> RouteTable[None]:
    """What the configurations on the page serve; without one, what the shipped ones do."""
    texts = [block.text for block in WHOLE if block.page == page]
    texts += [(CHECKOUT / name).read_text() for name in ("config/retail.yaml", "deploy/stepbridge.yaml")]
    doors = {
        (said.partition(" ")[0], said.partition(" ")[2])
        for text in texts
        for said in [route["route"] for route in yaml.safe_load(text)["routes"]]
    }
    acks = {("POST", f"{path}/ack") for method, path in doors if method == "GET"}
    shapes: dict[tuple[str, str], tuple[str, str]] = {}
    for method, path in doors | acks:
        shapes.setdefault((method, re.sub(r"{\w+}", "{}", path)), (method, path))
    return RouteTable.build([(method, path, None) for method, path in shapes.values()])


# ---- YAML


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_a_yaml_block_is_yaml(block: Block) -> None:
    assert list(yaml.safe_load_all(block.text))


@pytest.mark.parametrize("block", WHOLE, ids=str)
def test_a_whole_configuration_loads(block: Block, tmp_path: Path) -> None:
    shutil.copytree(CHECKOUT / "config/schemas", tmp_path / "schemas")
    file = tmp_path / "bridge.yaml"
    file.write_text(block.text)
    assert load(file, SECRETS).routes


PARTS = [block for block in YAML_BLOCKS if block not in WHOLE and "part" in block.words]


@pytest.mark.parametrize("block", PARTS, ids=str)
def test_a_part_of_a_configuration_loads_with_what_it_leaves_out(block: Block, tmp_path: Path) -> None:
    said = yaml.safe_load(block.text)
    assert said.keys() <= Config.model_fields.keys(), "other keys than a configuration has"
    rest = {"kafka": {"bootstrap_servers": "a:1"}, "routes": [{"route": "POST /a", "produce": {"topic": "a"}}]}
    file = tmp_path / "bridge.yaml"
    file.write_text(yaml.safe_dump({**rest, **said}))
    assert load(file, SECRETS).routes


# ---- links


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_a_pages_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text())
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    missing = [link for link in links if not _leads(page, link)]
    assert missing == []


def _leads(page: Path, link: str) -> bool:
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    if not target.exists():
        return False
    return not anchor or anchor in {_anchor(heading) for heading in re.findall(r"(?m)^#+ (.+)$", target.read_text())}


def _anchor(heading: str) -> str:
    """As GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_the_index_names_every_page() -> None:
    index = (CHECKOUT / "docs/README.md").read_text()
    linked = {os.path.normpath(link) for link in re.findall(r"\]\(([^)#\s]+)\)", index)}
    pages = {str(page.relative_to(CHECKOUT / "docs")) for page in PAGES if page.parent != CHECKOUT}
    assert pages - linked - {"README.md"} == set()
