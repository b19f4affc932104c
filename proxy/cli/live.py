"""`stepbridge check --live`: ask the cluster, and try the routes on a sample. Nothing is written, no topic is made."""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import typer

from proxy.cli.exits import CommandFailed
from proxy.cli.findings import judge, rights, topics_of
from proxy.cli.sample import describe_sample
from proxy.cli.tables import print_table
from proxy.config.kafka_rights import DISPENSABLE, Rights, lacking, needed
from proxy.config.model import Config, Produce, Route
from proxy.kafka.access import Access
from proxy.kafka.connection import KafkaSettings
from proxy.kafka.questions import ClusterAnswer, SettingsAnswer, ask_cluster, ask_settings
from proxy.kafka.rights import ask_rights
from proxy.upstream.tokens import token_source

TIMEOUT_S = 15.0


def check_live(config: Config, sample: Path | None, route: str | None) -> bool:
    """Print what the cluster says and what samples become. False if anything would fail. Raises CommandFailed."""
    chosen = _chosen(config, route, only_one=sample is not None)
    body = _read(sample) if sample else None
    with _silent_client():
        cluster, settings, held = asyncio.run(_ask(config))
    findings = judge(config, cluster, settings)
    typer.echo("\nThe cluster")
    print_table(("", "WHAT", "HOW IT IS"), [(one.level, one.subject, one.detail) for one in findings])
    typer.echo("\nThe rights that this needs in Kafka")
    print_table(("ON", "OPERATIONS", ""), rights(config, held))
    taken = [_print_sample(each, produce, body) for each, produce in chosen]
    lacks = any(missing - DISPENSABLE for missing in lacking(needed(config), held).values())
    return all(taken) and not lacks and not any(one.level == "fail" for one in findings)


@contextmanager
def _silent_client() -> Iterator[None]:
    """What the Kafka client would log on the way, our own message says better."""
    client = logging.getLogger("aiokafka")
    level = client.level
    client.setLevel(logging.CRITICAL)
    yield
    client.setLevel(level)


async def _ask(config: Config) -> tuple[ClusterAnswer, SettingsAnswer, Rights]:
    servers = config.kafka.bootstrap_servers
    security = config.kafka.security
    access = Access(security, token_source(security.oauth))
    client = KafkaSettings(servers, client_id="stepbridge-check", request_timeout_ms=5_000, access=access).client()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            cluster = await ask_cluster(client, topics_of(config))
            if cluster is not None:
                settings = await ask_settings(client, cluster.topics)
                return cluster, settings, await ask_rights(client, needed(config))
    except TimeoutError:
        pass
    finally:
        await client.close()
    raise CommandFailed(f"no Kafka broker answers at {servers}. Is it running, and is kafka.bootstrap_servers right?")


def _chosen(config: Config, name: str | None, *, only_one: bool) -> list[tuple[Route, Produce]]:
    """The produce routes to try: all, or the one that is named."""
    writing = [(route, route.produce) for route in config.routes if route.produce]
    chosen = [(route, produce) for route, produce in writing if name in (None, route.name)]
    names = ", ".join(route.name for route, _ in writing) or "none"
    if name is not None and not chosen:
        raise CommandFailed(f"no route that writes is named {name}. There are: {names}.")
    if only_one and len(chosen) != 1:
        raise CommandFailed(f"say with --route NAME which route the sample is for: {names}.")
    return chosen


def _read(sample: Path) -> bytes:
    try:
        return sample.read_bytes()
    except OSError as exc:
        raise CommandFailed(f"the sample {sample} cannot be read: {exc.strerror}.") from exc


def _print_sample(route: Route, produce: Produce, body: bytes | None) -> bool:
    taken, lines = describe_sample(route, produce, body)
    typer.echo(f"\n{route.method} {route.path} ({route.name}), a sample")
    for name, text in lines:
        typer.echo(f"  {name:9}  {text}")
    return taken
