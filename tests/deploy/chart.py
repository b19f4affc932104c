"""The chart as Helm renders it, with nothing but its values."""

import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.binaries import HELM

CHECKOUT = Path(__file__).parents[2]
CHART = CHECKOUT / "deploy/helm/stepbridge"
VALUES = sorted((Path(__file__).parent / "values").glob("*.yaml"))
WATCHED = (  # what only --set-file can bring
    f"--set-file=prometheusRule.rules={CHECKOUT / 'deploy/prometheus/alerts.yaml'}",
    f"--set-file=dashboard.json={CHECKOUT / 'deploy/grafana/dashboards/stepbridge.json'}",
)


class Refused(Exception):
    """Helm would not; the message is its own."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a release is made of, by kind."""

    documents: tuple[Mapping[str, Any], ...]

    def all(self, kind: str) -> list[Mapping[str, Any]]:
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str, ending: str = "") -> Mapping[str, Any]:
        """The only one of its kind whose name has this ending after the release's."""
        (found,) = [one for one in self.all(kind) if one["metadata"]["name"] == f"shop-stepbridge{ending}"]
        return found

    @property
    def pod(self) -> Mapping[str, Any]:
        pod: Mapping[str, Any] = self.one("Deployment")["spec"]["template"]["spec"]
        return pod

    @property
    def container(self) -> Mapping[str, Any]:
        (container,) = self.pod["containers"]
        return dict(container)


def helm(*arguments: str) -> str:
    """What it prints. Raises Refused with what it complains of."""
    done = subprocess.run([HELM.path, *arguments], capture_output=True, text=True, check=False, timeout=60)
    if done.returncode:
        raise Refused(done.stderr)
    return done.stdout


def render(values: Path, *more: str, chart: Path = CHART) -> Rendered:
    """The release `shop` with that file of values. Raises Refused."""
    text = helm("template", "shop", str(chart), "--namespace", "retail", "--values", str(values), *more)
    return Rendered(tuple(document for document in yaml.safe_load_all(text) if document))


def notes(values: Path, directory: Path, *more: str) -> str:
    """What is said after the release is installed; `directory` is an empty one for a copy of the chart.

    Helm shows notes only where there is a cluster. In the copy a template of its own brings them.
    """
    copy = shutil.copytree(CHART, directory / "stepbridge")
    (copy / "templates/shown.yaml").write_text('notes: {{ include "stepbridge.notes" . | quote }}\n')
    only = ("--show-only", "templates/shown.yaml")
    text = helm("template", "shop", str(copy), "--namespace", "retail", "--values", str(values), *only, *more)
    said: str = yaml.safe_load(text)["notes"]
    return said
