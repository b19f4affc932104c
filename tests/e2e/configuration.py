"""Configuration files for tests: routes as plain mappings, written as JSON, which YAML takes."""

import json
from typing import Any

from tests.kafka.cluster import Kafka

SECRET = "a secret that only these tests know"
Route = dict[str, Any]


def config(kafka: Kafka, /, *routes: Route, **sections: Any) -> str:
    """The text of a file with these routes. `sections` add to, or replace, what stands here."""
    common = {
        "kafka": {"bootstrap_servers": kafka.bootstrap, "session_timeout_ms": 6_000},
        "auth": "none",
        "secret": SECRET,
        "drain": {"delay_ms": 0, "timeout_ms": 10_000},
        "observe": {"log_format": "json"},
    }
    return json.dumps({**common, **sections, "routes": list(routes)}, ensure_ascii=False, indent=1)


def produce(route: str, topic: str, *, response: Any = None, limits: Any = None, **keys: Any) -> Route:
    """A produce route; `keys` are those of its `produce` section."""
    return _without_none({"route": route, "produce": {"topic": topic, **keys}, "response": response, "limits": limits})


def consume(route: str, *topics: str, **keys: Any) -> Route:
    """A consume route; `keys` are those of its `consume` section, `from_` is `from`."""
    start = {"from": keys.pop("from_")} if "from_" in keys else {}
    return {"route": route, "consume": {"topics": list(topics), **start, **keys}}


def _without_none(mapping: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in mapping.items() if value is not None}
