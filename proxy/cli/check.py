"""`stepbridge check`: every mistake in the file; else its routes; with `--live` what the cluster says of them."""

from pathlib import Path

import typer

from proxy.cli.exits import FAILED, MISTAKES, OK
from proxy.cli.tables import Cell, print_table
from proxy.config.load import load
from proxy.config.mistake import ConfigMistakes
from proxy.config.model import Config, Consume, Produce, Route


def check_file(path: Path, *, live: bool, sample: Path | None, route: str | None) -> int:
    """Print, and return the exit code. Raises CommandFailed (Kafka away, no such route, unreadable sample)."""
    try:
        config = load(path)
    except ConfigMistakes as exc:
        typer.echo(exc)
        return MISTAKES
    print_table(("ROUTE", "DOES", "KEY", "LIMITS"), [_row(each, config) for each in config.routes])
    if not live:
        return OK
    from proxy.cli.live import check_live  # late: it knows Kafka

    return OK if check_live(config, sample, route) else FAILED


def _row(route: Route, config: Config) -> tuple[Cell, Cell, Cell, Cell]:
    named = (f"{route.method} {route.path}", f"  {route.name}")
    if route.produce:
        return named, _writes(route.produce), (route.produce.key or "–",), _produce_limits(route, route.produce, config)
    assert route.consume, f"{route.name} neither produces nor consumes; a checked configuration has no such route"
    return named, _reads(route.consume), ("–",), _consume_limits(route.consume)


def _writes(produce: Produce) -> Cell:
    schema = (f"  fits {produce.schema_.file}",) if produce.schema_ else ()
    return (f"→ {produce.topic}", *schema)


def _reads(consume: Consume) -> Cell:
    how = f"for {consume.group}, ack {consume.ack}" if consume.group else f"for everyone, from {consume.from_}"
    return (*(f"← {topic}" for topic in consume.topics), f"  {how}")


def _produce_limits(route: Route, produce: Produce, config: Config) -> Cell:
    body_bytes = route.limits.max_body_bytes or config.limits.max_body_bytes
    return f"{size(body_bytes)} a body", f"{produce.timeout_ms / 1000:g} s"


def _consume_limits(consume: Consume) -> Cell:
    return (f"{consume.lease_ms / 1000:g} s a lease",) if consume.ack == "explicit" else ("–",)


def size(count: int) -> str:
    """Bytes for people: 1 MiB, 250 B, 1.5 KiB."""
    for unit, factor in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} B"
