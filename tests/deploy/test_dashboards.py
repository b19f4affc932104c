"""The Grafana dashboard: its rows, its panels side by side, its queries as Prometheus reads them."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.test_alerts import promtool
from tests.deploy.test_names import DASHBOARDS, queries

(DASHBOARD,) = DASHBOARDS
DOCUMENT: dict[str, Any] = json.loads(DASHBOARD.read_text())
PANELS: list[dict[str, Any]] = DOCUMENT["panels"]
COLUMNS = 24


def test_there_is_a_row_for_each_side_of_the_bridge() -> None:
    rows = [panel["title"].split(":")[0].split(" ")[0] for panel in PANELS if panel["type"] == "row"]
    assert rows == ["Now", "In", "Kafka", "Out", "Streams", "Upstreams", "Migration", "Workers"]


def test_every_panel_has_a_place_of_its_own() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in PANELS:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= COLUMNS
        taken |= cells
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)


def test_every_panel_asks_the_prometheus_that_is_chosen_and_says_its_unit() -> None:
    for panel in PANELS:
        if panel["type"] != "row":
            assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
            assert panel["fieldConfig"]["defaults"]["unit"]
            assert panel["targets"]


def test_every_variable_that_a_query_uses_is_there() -> None:
    known = {variable["name"] for variable in DOCUMENT["templating"]["list"]} | {"__rate_interval"}
    used = {name for query in queries(DASHBOARD) for name in re.findall(r"\$(\w+)", query)}
    assert used <= known


@pytest.mark.needs("promtool")
def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    read = [query.replace("$__rate_interval", "5m") for query in queries(DASHBOARD)]
    rules = [{"record": f"panel:{number}", "expr": query} for number, query in enumerate(read)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert f"{len(rules)} rules found" in promtool("check", "rules", file)
