"""Reads the Dockerfile for mistakes, in place of an engine that would build it."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

FULL_VERSION = re.compile(r":\d+\.\d+\.\d+(-|$)")
TELLTALE = re.compile(r"SECRET|PASSWORD|TOKEN|CREDENTIAL", re.IGNORECASE)


@dataclass(frozen=True)
class Step:
    """One instruction: its word in capitals, its arguments with continuation lines joined."""

    word: str
    rest: str


def steps(text: str) -> list[Step]:
    joined = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    lines = (line.strip() for line in joined.splitlines())
    return [Step(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in lines if line)]


def stages(text: str) -> list[list[Step]]:
    """The steps from each FROM up to the next."""
    found: list[list[Step]] = []
    for step in steps(text):
        if step.word == "FROM":
            found.append([])
        found[-1].append(step)
    return found


def mistakes(text: str, checkout: Path) -> list[str]:
    """What a build would stumble over, or an operator: one line each."""
    return [*_bases(text), *_copies(text, checkout), *_installs(text), *_secrets(text), *_last_stage(text)]


def _bases(text: str) -> Iterator[str]:
    for step in steps(text):
        if step.word == "FROM" and not FULL_VERSION.search(step.rest.split()[0]):
            yield f"FROM {step.rest}: name the full version"


def _copies(text: str, checkout: Path) -> Iterator[str]:
    for source in copied(text):
        if not list(checkout.glob(source)):
            yield f"COPY {source}: there is no such file"
        elif _ignored(source, (checkout / ".dockerignore").read_text()):
            yield f"COPY {source}: .dockerignore leaves it out"


def copied(text: str) -> list[str]:
    """What is copied from the checkout (not from another stage)."""
    found = [step.rest.split() for step in steps(text) if step.word in ("COPY", "ADD")]
    return [source for words in found if not words[0].startswith("--from") for source in words[:-1]]


def _ignored(source: str, patterns: str) -> bool:
    """As the engine reads .dockerignore: the last pattern that fits the path, or a directory above it, decides."""
    left_out = False
    ways = [source, *(str(parent) for parent in Path(source).parents if str(parent) != ".")]
    for pattern in (line.strip() for line in patterns.splitlines()):
        if pattern and not pattern.startswith("#"):
            fits = any(fnmatch.fnmatch(way, pattern.removeprefix("!")) for way in ways)
            left_out = not pattern.startswith("!") if fits else left_out
    return left_out


def _installs(text: str) -> Iterator[str]:
    for step in steps(text):
        for command in step.rest.split("&&") if step.word == "RUN" else ():
            if " pip install " in command and "--require-hashes" not in command and "--no-index" not in command:
                yield f"RUN {command.strip()}: install by hash"


def _secrets(text: str) -> Iterator[str]:
    for step in steps(text):
        if step.word in ("ENV", "ARG") and TELLTALE.search(step.rest):
            yield f"{step.word} {step.rest}: a secret would stay in the image"


def _last_stage(text: str) -> Iterator[str]:
    last = {step.word: step.rest for step in stages(text)[-1]}
    if not re.fullmatch(r"[1-9]\d*(:[1-9]\d*)?", last.get("USER", "")):
        yield f"USER {last.get('USER', 'root')}: a number that is not root's, which Kubernetes can check"
    yield from (f"{word} is missing" for word in ("HEALTHCHECK", "EXPOSE", "ENTRYPOINT", "CMD") if word not in last)
