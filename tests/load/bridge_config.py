"""Configuration files for the bridge under measurement, written as JSON (which is YAML)."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.load.candidates import STOCK

Route = Mapping[str, Any]
SECRET = "a secret that only the bench knows"


def write(
    path: Path,
    bootstrap: str,
    routes: Iterable[Route],
    limits: Mapping[str, Any] | None = None,
    *,
    peer_port: int | None = None,
    upstreams: Mapping[str, Any] | None = None,
) -> Path:
    """A complete file. All else is at its default: other limits, metrics and request ids are on.

    `peer_port`: the first one of its workers, where they or its replicas are to find each other.
    """
    file = {
        "kafka": {"bootstrap_servers": bootstrap},
        "auth": "none",
        "drain": {"delay_ms": 0},  # there is no load balancer to wait for when a round is over
        "limits": limits or {},
        "upstreams": upstreams or {},
        "routes": list(routes),
    }
    if peer_port is not None:
        file |= {"secret": SECRET, "peer": {"listen": f"127.0.0.1:{peer_port}", "secret": SECRET}}
    path.write_text(json.dumps(file, indent=1))
    return path


def stock(topic: str, path: str = STOCK, store: str = "{path.store}") -> Route:
    """The full route: key from a template of path and body."""
    return {"route": f"POST {path}", "produce": {"topic": topic, "key": store + ":{body.sku}"}}


def passthrough() -> Route:
    """Whatever has not moved yet: to the upstream `legacy`."""
    return {"route": "* /{rest...}", "upstream": "legacy"}


def many(topic: str) -> Route:
    """The full route, for many records in one request."""
    return {"route": f"POST {STOCK}", "produce": {"topic": topic, "key": "{path.store}:{body.sku}", "batch": True}}


def feed(topic: str, **keys: Any) -> Route:
    return {"route": "GET /feed", "consume": {"topics": [topic], "from": "latest", **keys}}


def filtered_feed(topic: str) -> Route:
    """One that looks into each value. Events are numbered, the first ones from -1 downwards."""
    consume = {"topics": [topic], "from": "latest", "filter": {"body.seq": {"min": "{query.least}"}}}
    return {"route": "GET /filtered", "consume": consume}


def drain(topic: str, group: str | None) -> Route:
    """From the beginning of the topic; with a group, acknowledged explicitly."""
    consume: dict[str, Any] = {"topics": [topic], "from": "earliest"}
    if group is not None:
        consume |= {"group": group, "ack": "explicit"}
    return {"route": "GET /drain", "consume": consume}


def retail(topic: str, run: str) -> list[Route]:
    """A retail file: three things stores report, two groups that work on them, a dashboard that sees all."""
    return [
        stock(topic),
        stock(topic, "/stores/{store}/sales"),
        stock(topic, "/stores/{store}/promotions"),
        {"route": "GET /inventory", "consume": {"topics": [topic], "group": f"{run}-inventory", "ack": "explicit"}},
        {"route": "GET /pricing", "consume": {"topics": [topic], "group": f"{run}-pricing", "ack": "auto"}},
        {"route": "GET /dashboard", "consume": {"topics": [topic], "from": "latest"}},
    ]


def literal(topic: str, count: int) -> list[Route]:
    return [stock(topic, f"/stores/17/stock-{number}", "17") for number in range(1, count + 1)]


def templated(topic: str, count: int) -> list[Route]:
    return [stock(topic, f"/stores/{{store}}/stock-{number}") for number in range(1, count + 1)]
