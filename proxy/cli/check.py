"""`stepbridge check`: every mistake in the file; else its routes; with `--live` what the cluster says of them."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import typer

from proxy.certificates import shown_by
from proxy.cli.exits import FAILED, MISTAKES, OK
from proxy.cli.tables import ARROWS, on_terminal, print_table
from proxy.config.load import load
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config, Consume, Produce, Route
from proxy.config.upstreams import UpstreamService


def check_file(path: Path, *, live: bool, sample: Path | None, route: str | None) -> int:
    """Print, and return the exit code. Raises CommandFailed (Kafka away, no such route, unreadable sample)."""
    try:
        config = load(path)
    except ConfigMistakes as exc:
        typer.echo(exc)
        return MISTAKES
    _print_routes([_line(each, config) for each in config.routes])
    _print_certificates(config)
    if not live:
        return OK
    from proxy.cli.live import check_live  # late: it knows Kafka

    return OK if check_live(config, sample, route) else FAILED


@dataclass(frozen=True, slots=True)
class Line:
    """What a table says of one route."""

    name: str
    method: str
    path: str
    kind: str
    topics: tuple[str, ...]
    group: str
    key: str
    limits: str  # and what else bounds it


def _line(route: Route, config: Config) -> Line:
    if route.produce:
        produce = route.produce
        limits = _produce_limits(route, produce, config)
        return Line(route.name, route.method, route.path, "produce", (produce.topic,), "", produce.key or "", limits)
    consume = route.consume
    if consume is None:
        limits = _passthrough_limits(config.upstreams[route.upstream or ""])
        return Line(route.name, route.method, route.path, "passthrough", (route.upstream or "",), "", "", limits)
    group, limits = consume.group or "", _consume_limits(consume)
    return Line(route.name, route.method, route.path, "consume", consume.topics, group, "", limits)


def _produce_limits(route: Route, produce: Produce, config: Config) -> str:
    body_bytes = route.limits.max_body_bytes or config.limits.max_body_bytes
    schema = f", {produce.schema_.file}" if produce.schema_ else ""
    return f"{size(body_bytes)} in {produce.timeout_ms / 1000:g} s{schema}"


def _consume_limits(consume: Consume) -> str:
    if consume.group is None:
        return f"from {consume.from_}"
    lease = f", lease {consume.lease_ms / 1000:g} s" if consume.ack == "explicit" else ""
    return f"from {consume.from_}, ack {consume.ack}{lease}"


def _passthrough_limits(upstream: UpstreamService) -> str:
    return f"{', '.join(upstream.url)} in {upstream.timeout_ms / 1000:g} s"


def _print_certificates(config: Config) -> None:
    troubles = [("warn", shown.section, trouble) for shown in shown_by(config) if (trouble := shown.trouble())]
    if troubles:
        typer.echo("\nCertificates")
        print_table(("", "OF", "HOW IT IS"), troubles)


def _print_routes(lines: Sequence[Line]) -> None:
    if on_terminal():
        print_table(("ROUTE", "TOPICS", "KEY, LIMITS"), [_stacked(line) for line in lines])
    else:
        headings = ("NAME", "METHOD", "PATH", "KIND", "TOPICS", "GROUP", "KEY", "LIMITS")
        print_table(headings, [tuple(map(_flat, astuple(line))) for line in lines])


def _stacked(line: Line) -> tuple[str, str, str]:
    arrow = ARROWS[line.kind]
    topics = [f"{arrow} {topic}" for topic in line.topics] + ([f"  for {line.group}"] if line.group else [])
    key = [line.key] if line.key else []
    return f"{line.method} {line.path}\n  {line.name}", "\n".join(topics), "\n".join([*key, line.limits])


def _flat(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else ",".join(value)


def size(count: int) -> str:
    """Bytes for people: 1 MiB, 250 B, 1.5 KiB."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"
