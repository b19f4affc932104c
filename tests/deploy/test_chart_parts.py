"""What single values of the chart bring: scaling, secrets, certificates, the ingress, egress."""

import re

import pytest

from tests.deploy.chart import CHECKOUT, VALUES, Rendered, render

pytestmark = pytest.mark.needs("helm")


def named(name: str, *more: str) -> Rendered:
    (values,) = [path for path in VALUES if path.stem == name]
    return render(values, *more)


def test_a_change_of_the_file_or_of_a_rendered_secret_starts_new_pods() -> None:
    def checksums(*more: str) -> dict[str, str]:
        template = named("full", *more).one("Deployment")["spec"]["template"]
        return dict(template["metadata"]["annotations"])

    before = checksums()
    assert checksums() == before
    assert checksums("--set", "config.limits.in_flight=7")["checksum/config"] != before["checksum/config"]
    assert checksums("--set-string", "schemas.stock-level\\.json=true")["checksum/config"] != before["checksum/config"]
    changed = checksums("--set", "secrets.values.PEER_SECRET=one of sixteen letters")
    assert changed["checksum/secret"] != before["checksum/secret"]
    assert changed["checksum/config"] == before["checksum/config"]


def test_secrets_can_be_files_too() -> None:
    release = named("full")
    (mount,) = [one for one in release.container["volumeMounts"] if one["name"] == "secrets"]
    (volume,) = [one for one in release.pod["volumes"] if one["name"] == "secrets"]
    assert mount == {"name": "secrets", "mountPath": "/run/secrets/stepbridge", "readOnly": True}
    assert volume["secret"] == {"secretName": "shop-stepbridge", "defaultMode": 0o440}
    only_files = named("minimal", "--set", "secrets.files=true,secrets.env=false,config.secret=null,config.peer=null")
    assert "envFrom" not in only_files.container
    assert [one["secret"]["secretName"] for one in only_files.pod["volumes"] if "secret" in one] == ["stepbridge"]


def test_certificates_are_mounted_under_their_names() -> None:
    release = named("full")
    mounts = {one["name"]: one["mountPath"] for one in release.container["volumeMounts"]}
    secrets = {one["name"]: one["secret"]["secretName"] for one in release.pod["volumes"] if "secret" in one}
    assert mounts["certificates-kafka"] == "/etc/stepbridge-certificates/kafka"
    assert secrets["certificates-kafka"] == "stepbridge-kafka-client"
    assert secrets["certificates-inventory"] == "inventory-ca"


def test_more_pods_come_by_cpu_and_by_requests_in_flight() -> None:
    release = named("full")
    spec = release.one("HorizontalPodAutoscaler")["spec"]
    cpu, in_flight = spec["metrics"]
    assert (spec["minReplicas"], spec["maxReplicas"]) == (3, 9)
    assert spec["scaleTargetRef"]["name"] == release.one("Deployment")["metadata"]["name"]
    assert cpu["resource"] == {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}
    assert in_flight["pods"]["metric"] == {"name": "stepbridge_requests_in_flight"}
    assert in_flight["pods"]["target"] == {"type": "AverageValue", "averageValue": "400"}
    assert "replicas" not in release.one("Deployment")["spec"]  # or each upgrade would set them back


def test_egress_rules_keep_names_and_peers_reachable() -> None:
    policy = named("full").one("NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [[port["port"] for port in rule["ports"]] for rule in policy["egress"]] == [[53, 53], [7070], [9092]]


def annotations_of(release: Rendered) -> dict[str, str]:
    return dict(release.one("Ingress")["metadata"]["annotations"])


def test_the_ingress_says_all_that_the_page_on_streams_asks_for() -> None:
    page = (CHECKOUT / "docs/streaming.md").read_text()
    asked = dict(re.findall(r'(nginx\.ingress\.kubernetes\.io/[a-z-]+): "(.+?)"', page))
    said = annotations_of(named("ingress", "--set", "config.routes[0].produce.timeout_ms=10000"))
    assert asked.keys() <= said.keys()
    numbers = {"nginx.ingress.kubernetes.io/proxy-body-size"}
    assert {key: said[key] for key in asked.keys() - numbers} == {key: asked[key] for key in asked.keys() - numbers}


def test_the_ingress_waits_longer_than_the_slowest_route_and_takes_the_largest_body() -> None:
    annotations = annotations_of(named("ingress"))
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "115"  # produce.timeout_ms is 100 s
    assert annotations["nginx.ingress.kubernetes.io/proxy-body-size"] == "8m"  # as it is written
    assert annotations["cert-manager.io/cluster-issuer"] == "letsencrypt"
    ingress = ("--set", "ingress.enabled=true,ingress.hosts[0].host=shop.example.com")
    full = annotations_of(named("full", *ingress))
    assert full["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "105"  # heartbeat_ms is 90 s
    assert full["nginx.ingress.kubernetes.io/proxy-body-size"] == "2097152"


def test_another_ingress_controller_is_told_nothing_in_nginx_words() -> None:
    said = annotations_of(named("ingress", "--set", "ingress.nginx=false,ingress.className=haproxy"))
    assert said.keys() == {"cert-manager.io/cluster-issuer", "nginx.ingress.kubernetes.io/proxy-body-size"}  # written


def test_the_ingress_leads_to_the_public_port() -> None:
    release = named("ingress")
    rules = release.one("Ingress")["spec"]["rules"]
    backends = [path["backend"]["service"] for rule in rules for path in rule["http"]["paths"]]
    assert backends == [{"name": "shop-stepbridge", "port": {"name": "http"}}] * 2
    assert [path["path"] for rule in rules for path in rule["http"]["paths"]] == ["/", "/imports"]
    assert [port["name"] for port in release.one("Service")["spec"]["ports"]] == ["http"]


def test_with_tls_everybody_who_comes_is_told_so() -> None:
    release = named("secured")
    probes = [release.container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    admin = {one["name"]: one.get("value") for one in release.container["env"]}["STEPBRIDGE_ADMIN"]
    assert {probe["scheme"] for probe in probes} == {"HTTPS"}
    assert admin == "https://127.0.0.1:9090"
    assert annotations_of(release)["nginx.ingress.kubernetes.io/backend-protocol"] == "HTTPS"
    assert release.one("ServiceMonitor")["spec"]["endpoints"][0]["scheme"] == "https"
    plain = named("ingress")
    assert plain.container["readinessProbe"]["httpGet"]["scheme"] == "HTTP"
    assert "nginx.ingress.kubernetes.io/backend-protocol" not in annotations_of(plain)


def test_the_ingress_waits_longer_than_the_slowest_upstream() -> None:
    upstream = "config.upstreams.old.url=http://old:8000,config.upstreams.old.timeout_ms=200000"
    annotations = annotations_of(named("ingress", "--set", upstream))
    assert annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"] == "215"
