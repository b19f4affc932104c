"""Configuration files for tests: written where the test wants them, and what is wrong with them as lines."""

from collections.abc import Mapping
from pathlib import Path
from textwrap import dedent, indent

from proxy.config.load import ConfigMistakes, load
from proxy.config.model import Config

HEAD = "kafka: {bootstrap_servers: 'broker:9092'}\n"
A_ROUTE = "routes:\n  - route: POST /a\n    produce: {topic: a}\n"


def load_text(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> Config:
    path = directory / "bridge.yaml"
    path.write_text(dedent(text), encoding="utf-8")
    return load(path, environ or {})


def mistakes(directory: Path, text: str, environ: Mapping[str, str] | None = None) -> list[str]:
    """Each mistake as people read it, but for the file's name; none if the file can be used."""
    try:
        load_text(directory, text, environ)
    except ConfigMistakes as exc:
        return [str(mistake).split("bridge.yaml:", 1)[1] for mistake in exc.mistakes]
    return []


def with_routes(routes: str) -> str:
    """A file that is right but for its routes (a YAML list)."""
    return HEAD + "routes:\n" + indent(dedent(routes).strip("\n"), "  ")
