"""Every metric and label that dashboards, alerts and pages name exists; every metric that exists is described."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.observe.catalogue import FAMILIES
from tests.deploy import promql

CHECKOUT = Path(__file__).parents[2]
ALERTS = CHECKOUT / "deploy/prometheus/alerts.yaml"
RULES: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]
]
DASHBOARDS = sorted((CHECKOUT / "deploy/grafana/dashboards").glob("*.json"))
PAGES = [CHECKOUT / "README.md", *sorted((CHECKOUT / "docs").rglob("*.md"))]


def _panels(panels: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All of them, also those in rows that are folded."""
    for panel in panels:
        yield panel
        yield from _panels(panel.get("panels", []))


def queries(dashboard: Path) -> list[str]:
    panels = _panels(json.loads(dashboard.read_text())["panels"])
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_metric_and_label_of_an_alert_exists(rule: dict[str, Any]) -> None:
    assert list(promql.mistakes(rule["expr"])) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alert_speaks_only_of_labels_that_it_keeps(rule: dict[str, Any]) -> None:
    kept = {
        label for group in re.findall(r"\bby \(([^)]*)\)", rule["expr"]) for label in re.split(r",\s*", group)
    } or promql.OF_THE_SCRAPE
    said = set(re.findall(r"\$labels\.(\w+)", json.dumps(rule["annotations"])))
    assert said <= kept - {"le"}


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_every_metric_and_label_of_a_dashboard_exists(dashboard: Path) -> None:
    assert {query: found for query in queries(dashboard) if (found := list(promql.mistakes(query)))} == {}
    for panel in _panels(json.loads(dashboard.read_text())["panels"]):
        for target in panel.get("targets", ()):
            shown = set(re.findall(r"{{\s*(\w+)\s*}}", target.get("legendFormat", "")))
            assert all(shown <= promql.labels_of(name) for name in promql.metrics(target["expr"]))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_every_metric_that_a_page_names_exists(page: Path) -> None:
    named = re.findall(r"\bstepbridge_[a-z_]+\b(?!\*)", re.sub(r"stepbridge_[a-z_]+\*", "", page.read_text()))
    assert {name for name in named if promql.family(name) is None} == set()


def test_every_metric_is_described() -> None:
    page = (CHECKOUT / "docs/metrics.md").read_text()
    assert [family.name for family in FAMILIES if f"| `{family.name}` |" not in page] == []


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sum(rate(stepbridge_wishes_total[1m]))", "stepbridge_wishes_total is no metric"),
        ("stepbridge_kafka_up_bucket", "stepbridge_kafka_up_bucket is no metric"),
        ('stepbridge_ready{route="a"} == 0', "stepbridge_ready has no label route"),
        ("sum by (group) (stepbridge_open_streams)", "group is not a label of stepbridge_open_streams"),
        ("rate(stepbridge_request_seconds[5m])", "stepbridge_request_seconds is a histogram"),
    ],
)
def test_what_does_not_exist_is_noticed(query: str, said: str) -> None:
    assert said in " ".join(promql.mistakes(query))
