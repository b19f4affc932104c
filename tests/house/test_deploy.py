"""deploy/: what the files say of each other, of the image, and of the configuration is true."""

import re
from pathlib import Path
from typing import Any

import yaml

from proxy.config.load import load
from proxy.config.model import Admin, Server
from tests.house.dockerfile import FULL_VERSION
from tests.kafka import jars

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DASHBOARDS = sorted((DEPLOY / "grafana/dashboards").glob("*.json"))


def test_every_image_is_pinned_by_its_full_version() -> None:
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    pinned = [image for image in images if FULL_VERSION.search(image.replace(":v", ":"))]
    assert pinned == images
    assert images


def test_the_tests_and_compose_run_the_same_kafka() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{jars.version()}"


def test_every_mounted_file_exists_and_every_volume_is_declared() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def test_services_wait_only_for_services_that_exist() -> None:
    named = {name for service in SERVICES.values() for name in service.get("depends_on", ())}
    assert named <= SERVICES.keys()


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    published = [port.split(":")[1] for port in ports]
    assert len(published) == len(set(published))


def test_the_bridge_is_built_from_here_and_published_on_its_default_ports() -> None:
    bridge = SERVICES["bridge"]
    assert (DEPLOY / bridge["build"] / "Dockerfile").is_file()
    assert [port.split(":")[2] for port in bridge["ports"]] == [str(Server().port), str(Admin().port)]


def test_the_bridge_runs_without_rights_on_a_read_only_root() -> None:
    bridge = SERVICES["bridge"]
    assert bridge["read_only"] is True
    assert bridge["tmpfs"] == ["/tmp"]
    assert bridge["cap_drop"] == ["ALL"]


def test_the_bridge_reaches_kafka_where_kafka_says_it_is() -> None:
    bootstrap = SERVICES["bridge"]["environment"]["KAFKA_BOOTSTRAP_SERVERS"]
    assert f"//{bootstrap}," in SERVICES["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    config = load(DEPLOY / "stepbridge.yaml", {"KAFKA_BOOTSTRAP_SERVERS": bootstrap})
    assert bootstrap in config.kafka.bootstrap_servers


def test_the_bridge_is_given_the_time_to_drain() -> None:
    drain = load(DEPLOY / "stepbridge.yaml", {}).drain
    grace_s = int(SERVICES["bridge"]["stop_grace_period"].removesuffix("s"))
    assert grace_s * 1_000 > drain.delay_ms + drain.timeout_ms


def test_the_curl_in_the_comment_calls_a_route_that_is_there() -> None:
    called = re.search(r"curl .* localhost:(\d+)(/\S+)", (DEPLOY / "compose.yaml").read_text())
    assert called is not None
    routes = [route.path for route in load(DEPLOY / "stepbridge.yaml", {}).routes]
    shapes = [re.sub(r"{\w+}", "[^/]+", path) for path in routes]
    assert int(called[1]) == Server().port
    assert any(re.fullmatch(shape, called[2]) for shape in shapes)


def test_prometheus_asks_the_bridge_and_grafana_asks_prometheus() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["static_configs"] == [{"targets": [f"bridge:{Admin().port}"]}]
    sources = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert [source["url"] for source in sources["datasources"]] == ["http://prometheus:9090"]


def test_prometheus_finds_the_rules_where_they_are_mounted() -> None:
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["prometheus"]["volumes"])
    assert [mounted["./prometheus/alerts.yaml"]] == PROMETHEUS["rule_files"]


def test_grafana_finds_the_dashboards_where_they_are_mounted() -> None:
    providers = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/stepbridge.yaml").read_text())["providers"]
    mounted = dict(volume.split(":")[:2] for volume in SERVICES["grafana"]["volumes"])
    assert mounted["./grafana/dashboards"] == providers[0]["options"]["path"]
    assert DASHBOARDS
