"""The Helm chart, rendered for several files of values: Kubernetes would take it, and its parts fit each other."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from proxy.config.model import Config
from tests.deploy.chart import CHART, VALUES, WATCHED, Rendered, helm, render
from tests.deploy.pod import ADDRESS, configuration
from tests.house.dockerfile import stages

pytestmark = pytest.mark.needs("helm")

DOCKERFILE = {step.word: step.rest for step in stages((CHART.parents[2] / "Dockerfile").read_text())[-1]}
BY_OPERATOR = {"ServiceMonitor", "PrometheusRule"}  # test_monitoring.py
KUBERNETES = ("1.27", "1.33", kubernetes_validate.latest_version())


@pytest.fixture(scope="module", params=VALUES, ids=lambda path: path.stem)
def values(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


@pytest.fixture(scope="module")
def release(values: Path) -> Rendered:
    return render(values, *WATCHED)


@pytest.fixture
def config(release: Rendered, tmp_path: Path) -> Config:
    return configuration(release, tmp_path)


def test_helm_finds_nothing_to_complain_of(values: Path) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), "--values", str(values), *WATCHED)


@pytest.mark.parametrize("version", KUBERNETES)
def test_kubernetes_would_take_it(release: Rendered, version: str) -> None:
    for document in release.documents:
        if document["kind"] not in BY_OPERATOR:
            kubernetes_validate.validate(dict(document), version, strict=True)


def test_the_bridge_reads_the_rendered_file(config: Config, values: Path) -> None:
    said = yaml.safe_load(values.read_text())["config"]
    assert [route.route for route in config.routes] == [route["route"] for route in said["routes"]]
    assert config.server.host == config.admin.host == "0.0.0.0"


def test_the_pod_starts_the_bridge_with_that_file(release: Rendered) -> None:
    mounts = {mount["name"]: mount["mountPath"] for mount in release.container["volumeMounts"]}
    assert release.container["args"] == json.loads(DOCKERFILE["CMD"])
    assert release.container["args"][-1] == f"{mounts['config']}/stepbridge.yaml"


def test_ports_are_those_that_the_bridge_listens_on(release: Rendered, config: Config) -> None:
    ports = {port["name"]: port["containerPort"] for port in release.container["ports"]}
    peers = {
        f"peer-{worker}": config.peer.listens_at(worker)[1] for worker in range(config.server.workers) if config.peer
    }
    assert ports == {"http": config.server.port, "admin": config.admin.port, **peers}


def test_every_port_that_is_named_is_one_of_the_container(release: Rendered) -> None:
    ports = {port["name"] for port in release.container["ports"]}
    probed = {release.container[f"{kind}Probe"]["httpGet"]["port"] for kind in ("startup", "readiness", "liveness")}
    served = {port["targetPort"] for service in release.all("Service") for port in service["spec"]["ports"]}
    assert probed == {"admin"}
    assert served == ports


def test_peers_advertise_the_address_of_their_pod(release: Rendered, config: Config) -> None:
    services = [one["metadata"]["name"] for one in release.all("Service") if one["spec"].get("clusterIP") == "None"]
    assert services == (["shop-stepbridge-peers"] if config.peer else [])
    if config.peer:
        assert config.peer.advertised_by(1) == f"{ADDRESS}:{config.peer.listens_at(1)[1]}"
        assert release.one("Service", "-peers")["spec"]["publishNotReadyAddresses"] is True


def test_services_and_policies_select_the_pods_and_nothing_else(release: Rendered) -> None:
    deployment = release.one("Deployment")["spec"]
    labels, selector = deployment["template"]["metadata"]["labels"], deployment["selector"]["matchLabels"]
    selectors = [service["spec"]["selector"] for service in release.all("Service")]
    selectors += [policy["spec"]["podSelector"]["matchLabels"] for policy in release.all("NetworkPolicy")]
    selectors += [budget["spec"]["selector"]["matchLabels"] for budget in release.all("PodDisruptionBudget")]
    selectors += [one["labelSelector"]["matchLabels"] for one in release.pod["topologySpreadConstraints"]]
    assert selector.items() <= labels.items()
    assert all(one == selector for one in selectors)
    assert len(selectors) >= 5


def test_the_pod_is_given_the_time_to_drain(release: Rendered, config: Config) -> None:
    drain_s = (config.drain.delay_ms + config.drain.timeout_ms) / 1_000
    assert drain_s + 10 <= release.pod["terminationGracePeriodSeconds"] <= drain_s + 20


def test_traffic_stops_coming_before_the_bridge_stops_taking_it(release: Rendered, config: Config) -> None:
    probe = release.container["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] * 1_000 < config.drain.delay_ms


def test_the_container_has_no_rights_and_a_root_that_nobody_writes_to(release: Rendered) -> None:
    user, group = map(int, DOCKERFILE["USER"].split(":"))
    pod = release.pod["securityContext"]
    assert (pod["runAsNonRoot"], pod["runAsUser"], pod["runAsGroup"]) == (True, user, group)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert release.container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert release.pod["automountServiceAccountToken"] is False
    writable = [mount["mountPath"] for mount in release.container["volumeMounts"] if not mount.get("readOnly")]
    assert DOCKERFILE["WORKDIR"] in writable


def test_everything_mounted_is_a_volume_and_everything_referred_to_is_there(release: Rendered) -> None:
    volumes = {volume["name"]: volume for volume in release.pod["volumes"]}
    assert {mount["name"] for mount in release.container["volumeMounts"]} == volumes.keys()
    rendered = {one["metadata"]["name"] for one in release.all("ConfigMap")}
    assert {one["configMap"]["name"] for one in volumes.values() if "configMap" in one} <= rendered
    accounts = {one["metadata"]["name"] for one in release.all("ServiceAccount")}
    assert release.pod["serviceAccountName"] in accounts


def test_secrets_are_in_no_config_map(release: Rendered) -> None:
    public = json.dumps(release.all("ConfigMap") + release.all("Deployment"))
    secret = [value for one in release.all("Secret") for value in one["stringData"].values()]
    assert [value for value in secret if value in public] == []


def test_what_is_asked_of_a_pod_leaves_room_for_what_it_may_take(release: Rendered) -> None:
    resources: Mapping[str, Any] = release.container["resources"]
    assert resources["requests"].keys() == {"cpu", "memory"}
    assert resources["limits"].keys() == {"memory"}


def test_the_network_lets_in_clients_and_peers_and_only_named_operators(release: Rendered, config: Config) -> None:
    (rules,) = [policy["spec"]["ingress"] for policy in release.all("NetworkPolicy")]
    by_port = {rule["ports"][0]["port"]: rule for rule in rules}
    assert by_port.get("admin", {"from": ["named"]})["from"] != []
    if config.peer:
        peers = by_port[config.peer.listens_at(0)[1]]
        assert peers["ports"][0]["endPort"] == config.peer.listens_at(config.server.workers - 1)[1]
        assert peers["from"] == [{"podSelector": release.one("Deployment")["spec"]["selector"]}]
