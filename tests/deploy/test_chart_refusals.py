"""What the chart refuses to render, and what it says then."""

from pathlib import Path

import pytest

from tests.deploy.chart import VALUES, Refused, render

pytestmark = pytest.mark.needs("helm")
BY_NAME = {path.stem: path for path in VALUES}


def refusal(name: str, *settings: str) -> str:
    with pytest.raises(Refused) as refused:
        render(BY_NAME[name], *(f"--set={setting}" for setting in settings))
    return str(refused.value)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("minimal", ["terminationGracePeriodSeconds=35"], "35 leaves no time for the drain, which may take 35 s"),
        ("minimal", ["config.drain.timeout_ms=60000", "terminationGracePeriodSeconds=64"], "which may take 65 s"),
        ("minimal", ["secrets.values.A=b"], "existingSecret and values are both given"),
        ("minimal", ["secrets.existingSecret="], "config reads STEPBRIDGE_SECRET from the environment"),
        ("minimal", ["secrets.env=false"], "config reads STEPBRIDGE_SECRET from the environment"),
        ("full", ["config.kafka.bootstrap_servers=${BROKERS}"], "config reads BROKERS from the environment"),
        ("full", ["config.peer=null"], "routes read for groups (pricing) in 18 processes"),
        ("full", ["autoscaling.cpu=null", "autoscaling.requestsInFlight=null"], "neither cpu nor requestsInFlight"),
        ("full", ["autoscaling.minReplicas=10"], "minReplicas is above maxReplicas"),
        ("full", ["resources.requests.cpu=null"], "resources.requests.cpu, which is not there"),
        ("monitoring", ["networkPolicy.adminFrom=null"], "name Prometheus's namespace there"),
        ("minimal", ["config.secret[0]=in so many words"], "has the text of a secret (secret)"),
        ("minimal", ["config.peer.secret=in so many words"], "has the text of a secret (peer.secret)"),
        ("secured", ["config.kafka.security.password=sword$fish"], "a secret (kafka.security.password)"),
        ("secured", ["secrets.files=false"], "config names /run/secrets/stepbridge/"),
        (
            "secured",
            ["config.kafka.security.password_file=/run/secrets/stepbridge/PASSWROD"],
            "stepbridge/PASSWROD, and nothing",
        ),
        ("secured", ["certificates[0].name=publik"], "/etc/stepbridge-certificates/public, and nothing is mounted"),
        ("secured", ["config.admin.tls.client_auth=required"], "keeps kubelet's probes out"),
        ("secured", ["config.admin.auth.open[0]=metrics"], "without health kubelet's probes are kept out"),
        ("secured", ["config.admin.auth=null"], "config.admin.auth does not say who operators are"),
        ("secured", ["serviceMonitor.endpoint.authorization=null"], "config.admin.auth keeps Prometheus out"),
        ("minimal", ["notes.route=reprot-stock"], "no route of config has the name reprot-stock"),
    ],
)
def test_what_cannot_work_is_refused_with_what_would_be_right(name: str, settings: list[str], said: str) -> None:
    assert said in refusal(name, *settings)


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        (["replica=3"], "replica"),
        (["config.kafka=null"], "kafka"),
        (["config.auth=null"], "auth"),
        (["config.routes=null"], "routes"),
        (["config.routes[0].route=POST"], "route"),
        (["config.server.port=80"], "port"),
        (["config.drain.delay_ms=later"], "delay_ms"),
        (["ingress.enabled=true"], "hosts"),
        (["secrets.values.A B=c", "secrets.existingSecret="], "A B"),
        (["certificates[0].name=Kafka", "certificates[0].secretName=x"], "name"),
        (["image.digest=sha256:12"], "digest"),
    ],
)
def test_a_value_that_is_misspelt_or_of_the_wrong_kind_is_refused_by_name(settings: list[str], where: str) -> None:
    said = refusal("minimal", *settings)
    assert "values don't meet the specifications" in said
    assert where in said


def test_a_variable_with_a_default_or_written_as_text_needs_nobody_to_give_it() -> None:
    settings = (
        "config.kafka.bootstrap_servers=${BROKERS:-kafka:9092}",
        "config.routes[0].produce.headers.a=$${NOT}",
    )
    assert render(BY_NAME["full"], *(f"--set={setting}" for setting in settings)).all("Deployment")


def test_a_route_without_a_group_needs_no_peers(tmp_path: Path) -> None:
    assert render(BY_NAME["minimal"], "--set=config.peer=null,replicas=5").all("Deployment")
