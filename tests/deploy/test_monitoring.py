"""What the Prometheus operator is given. Its kinds are in no schema of Kubernetes, so their shape is held here."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import yaml

from tests.deploy.chart import CHECKOUT, VALUES, WATCHED, Rendered, render

pytestmark = pytest.mark.needs("helm")
BY_NAME = {path.stem: path for path in VALUES}

# Fields of monitoring.coreos.com/v1, as its reference has them, that a chart like this one may use.
MONITOR = {"jobLabel", "targetLabels", "podTargetLabels", "selector", "namespaceSelector", "endpoints", "sampleLimit"}
ENDPOINT = {
    "port", "path", "scheme", "interval", "scrapeTimeout", "honorLabels", "authorization", "basicAuth", "tlsConfig",
    "relabelings", "metricRelabelings", "params",
}  # fmt: skip
RULE = {"alert", "record", "expr", "for", "keep_firing_for", "labels", "annotations"}
GROUP = {"name", "interval", "rules", "limit", "labels"}


@pytest.fixture(scope="module")
def release() -> Rendered:
    return render(BY_NAME["monitoring"], *WATCHED)


def test_the_monitor_has_the_shape_that_the_operator_knows(release: Rendered) -> None:
    monitor = release.one("ServiceMonitor")
    (endpoint,) = monitor["spec"]["endpoints"]
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["spec"].keys() <= MONITOR
    assert endpoint.keys() <= ENDPOINT
    assert re.fullmatch(r"\d+(ms|s|m)", endpoint["interval"])
    assert endpoint["authorization"] == {"credentials": {"name": "stepbridge-scrape", "key": "token"}}
    assert monitor["metadata"]["labels"]["release"] == "prometheus"


def test_the_monitor_finds_the_admin_service_and_its_port_and_no_other(release: Rendered) -> None:
    monitor = release.one("ServiceMonitor")["spec"]
    wanted = monitor["selector"]["matchLabels"].items()
    found = [one for one in release.all("Service") if wanted <= one["metadata"]["labels"].items()]
    assert [one["metadata"]["name"] for one in found] == ["shop-stepbridge-admin"]
    assert monitor["endpoints"][0]["port"] in [port["name"] for port in found[0]["spec"]["ports"]]
    assert monitor["endpoints"][0]["path"] == "/metrics"


def test_the_job_has_the_name_that_alerts_and_dashboards_ask_for(release: Rendered) -> None:
    job = release.one("Service", "-admin")["metadata"]["labels"][release.one("ServiceMonitor")["spec"]["jobLabel"]]
    (scraped,) = yaml.safe_load((CHECKOUT / "deploy/prometheus.yml").read_text())["scrape_configs"]
    assert job == scraped["job_name"] == "stepbridge"


def test_whoever_scrapes_is_let_in(release: Rendered) -> None:
    (admin,) = [one for one in release.one("NetworkPolicy")["spec"]["ingress"] if one["ports"][0]["port"] == "admin"]
    assert admin["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]


def test_the_rules_are_those_of_the_file(release: Rendered) -> None:
    rule: Mapping[str, Any] = release.one("PrometheusRule")
    assert rule["apiVersion"] == "monitoring.coreos.com/v1"
    assert rule["spec"] == yaml.safe_load((CHECKOUT / "deploy/prometheus/alerts.yaml").read_text())
    assert rule["spec"].keys() == {"groups"}
    for group in rule["spec"]["groups"]:
        assert group.keys() <= GROUP
        assert all(one.keys() <= RULE for one in group["rules"])


def test_grafana_gets_the_dashboard_of_the_file(release: Rendered) -> None:
    dashboard = release.one("ConfigMap", "-dashboard")
    assert dashboard["data"]["stepbridge.json"] == (CHECKOUT / "deploy/grafana/dashboards/stepbridge.json").read_text()
    assert dashboard["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_nothing_of_it_is_there_unless_it_is_asked_for() -> None:
    release = render(BY_NAME["minimal"])
    assert not release.all("ServiceMonitor") + release.all("PrometheusRule")
    assert len(release.all("ConfigMap")) == 1
