"""docs/helm.md: its values render, its commands name values that exist, and its curl is the one that comes out."""

import re
import shlex
from pathlib import Path

import pytest

from tests.deploy.chart import CHECKOUT, VALUES, helm, notes, render

pytestmark = pytest.mark.needs("helm")

PAGE = (CHECKOUT / "docs/helm.md").read_text()
BY_NAME = {path.stem: path for path in VALUES}


def blocks(language: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.+?)^```", PAGE)


@pytest.fixture
def bridge(tmp_path: Path) -> Path:
    """The first file of values on the page, bridge.yaml."""
    path = tmp_path / "bridge.yaml"
    path.write_text(blocks("yaml")[0])
    return path


def test_the_release_of_the_page_renders_and_ends_with_the_curl_of_the_page(bridge: Path, tmp_path: Path) -> None:
    assert render(bridge).one("Deployment")
    said = [line.strip() for line in notes(bridge, tmp_path / "copy").strip().splitlines()]
    assert "\n".join(said[-2:]) + "\n" in blocks("bash")


@pytest.mark.parametrize(("begins", "kind"), [("ingress:", "Ingress"), ("autoscaling:", "HorizontalPodAutoscaler")])
def test_the_parts_of_the_page_render(begins: str, kind: str, bridge: Path, tmp_path: Path) -> None:
    (part,) = [block for block in blocks("yaml") if block.startswith(begins)]
    (tmp_path / "part.yaml").write_text(part)
    assert render(bridge, "--values", str(tmp_path / "part.yaml")).one(kind)


def test_the_commands_of_the_page_name_files_and_values_that_exist(
    bridge: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    commands = [
        shlex.split(line) for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines() if line
    ]
    ours = [
        words[2:] for words in commands if words[:2] in (["helm", "install"], ["helm", "template"], ["helm", "upgrade"])
    ]
    for words in ours:
        helm("template", *[str(bridge) if word == "bridge.yaml" else word for word in words])
    assert len(ours) == 3


def test_whoever_watches_gets_all_three(bridge: Path) -> None:
    (upgrade,) = [block for block in blocks("bash") if "--set-file" in block]
    words = shlex.split(upgrade.replace("\\\n", " "))
    more = [word.replace("deploy/", f"{CHECKOUT}/deploy/") for word in words[words.index("bridge.yaml") + 1 :]]
    release = render(bridge, *more)
    assert len(release.all("ServiceMonitor") + release.all("PrometheusRule")) == 2
    assert release.one("ConfigMap", "-dashboard")
