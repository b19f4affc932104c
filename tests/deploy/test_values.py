"""The chart's values: each is in the schema and explained, and the examples fit it. Needs no Helm."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from proxy import __version__
from proxy.config.model import Drain, Server
from tests.deploy.chart import CHART, VALUES

DEFAULTS: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def together(defaults: Any, said: Any) -> Any:
    """As Helm lays values over defaults: null takes a key away."""
    if not isinstance(defaults, dict) or not isinstance(said, dict):
        return said
    merged = {**defaults, **{key: together(defaults.get(key), value) for key, value in said.items()}}
    return {key: value for key, value in merged.items() if key not in said or value is not None}


@pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)
def test_every_example_fits_the_schema(values: Path) -> None:
    jsonschema_rs.validate(SCHEMA, together(DEFAULTS, yaml.safe_load(values.read_text())))


def _keys(schema: Mapping[str, Any], at: str = "") -> Iterator[str]:
    for name, one in schema.get("properties", {}).items():
        yield f"{at}{name}"
        if one.get("additionalProperties") is False:
            yield from _keys(one, f"{at}{name}.")


def _said(values: Mapping[str, Any], known: set[str], at: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield f"{at}{name}"
        if isinstance(value, dict) and any(key.startswith(f"{at}{name}.") for key in known):
            yield from _said(value, known, f"{at}{name}.")


def test_the_file_of_values_has_every_value_that_the_schema_knows() -> None:
    known = set(_keys(SCHEMA))
    unexplained = {"global", "resources.claims"}  # Helm's own, and Kubernetes'
    unexplained |= {key for key in known if key.startswith("probes.") and key.count(".") == 2}
    said = set(_said(DEFAULTS, known))
    assert known - said == unexplained - said
    assert said - known == set()


def test_nobody_has_to_write_more_than_kafka_auth_and_routes() -> None:
    missing = set(SCHEMA["properties"]["config"]["required"]) - DEFAULTS["config"].keys()
    assert missing == {"kafka", "auth", "routes"}


def test_the_defaults_are_the_bridge_s_own() -> None:
    config = DEFAULTS["config"]
    assert (config["drain"]["delay_ms"], config["drain"]["timeout_ms"]) == (Drain().delay_ms, Drain().timeout_ms)
    assert config["server"]["workers"] == Server().workers


def test_the_chart_is_of_the_bridge_s_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["version"] == chart["appVersion"] == __version__
