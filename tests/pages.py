"""The pages that people read: README.md and docs/, as the fenced blocks in them.

A fence begins with a language and may have a word behind it that pages do not show:

    ```sh               the commands are run by a test (tests/e2e/test_pages.py), one block after the other
    ```sh background    the same, but it is left running: a bridge
    ```sh not-run       not run there; checked for syntax, and for names that exist (tests/house/test_pages.py)

A `console` block has its commands behind a `$`, and what they print below. A YAML block whose first line is a comment
with a file's name is that file for the commands after it.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

CHECKOUT = Path(__file__).parents[1]
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]
SHELL = ("sh", "bash", "shell", "console")
RUN_ELSEWHERE = {  # pages whose shell blocks have a test of their own
    "docs/answers.md": "tests/e2e/test_recipes.py",
    "docs/helm.md": "tests/deploy/test_helm_page.py",
    "docs/migrating.md": "tests/e2e/test_migrating_page.py",
    "docs/runbook.md": "tests/deploy/test_commands.py",
    "docs/streaming.md": "tests/e2e/test_streaming_page.py",
}
HARMLESS = {"stepbridge", "curl", "jq", "printf", "grep", "uname"}  # programs that a test may run unseen

_FENCE = re.compile(r"^( *)```(\S*)[ ]*([^\n]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block. `line` is where it begins."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_shell(self) -> bool:
        return self.language in SHELL

    @property
    def is_run(self) -> bool:
        """By the test that runs whole pages."""
        return self.is_shell and "not-run" not in self.words and self.page not in RUN_ELSEWHERE

    @property
    def is_background(self) -> bool:
        return "background" in self.words

    @property
    def commands(self) -> str:
        """What is typed: of a console what stands behind its prompts, with the lines that they go on in."""
        if self.language != "console":
            return self.text
        typed, goes_on = [], False
        for line in self.text.splitlines():
            if goes_on or line.startswith("$ "):
                typed.append(line if goes_on else line[2:])
                goes_on = line.endswith("\\")
        return "\n".join(typed) + "\n"

    @property
    def file(self) -> str | None:
        """The name of the file that it is."""
        match = re.match(r"# ([\w.-]+\.ya?ml)\b", self.text) if self.language == "yaml" else None
        return match[1] if match else None

    @property
    def is_whole_configuration(self) -> bool:
        """Not a part of one, nor another program's."""
        said = yaml.safe_load(self.text) if self.language == "yaml" else None
        return isinstance(said, dict) and {"kafka", "routes"} <= said.keys()


def blocks(page: Path) -> list[Block]:
    text = page.read_text()
    name = str(page.relative_to(CHECKOUT))
    return [
        Block(
            name,
            text.count("\n", 0, match.start()) + 1,
            match[2],
            tuple(match[3].split()),
            re.sub(rf"(?m)^{match[1]}", "", match[4]),
        )
        for match in _FENCE.finditer(text)
    ]


BLOCKS = [block for page in PAGES for block in blocks(page)]


def simple_commands(block: Block) -> Iterator[list[str]]:
    """Each simple command's words; what stands in `$(…)` and behind `|` or `&&` is a command too."""
    joined = re.sub(r"\\\n", " ", block.commands)
    for line in joined.splitlines():
        try:
            lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;()<>")
            lexer.whitespace_split = True
            words = list(lexer)
        except ValueError:  # a quotation that goes on in the next line
            continue
        command: list[str] = []
        for word in [*words, ";"]:
            if set(word) <= set("|&;()"):
                if command:
                    yield command
                command = []
            else:
                command.append(word)


def without_assignments(words: Sequence[str]) -> list[str]:
    """A simple command from its program on."""
    rest = list(words)
    while rest and re.fullmatch(r"\w+=.*|while|if|do|then|exec|\$", rest[0], re.DOTALL):
        rest.pop(0)
    return rest


def programs(block: Block) -> set[str]:
    """What its commands start."""
    return {rest[0] for words in simple_commands(block) if (rest := without_assignments(words))}
