"""What a pod of a rendered release finds: its environment, and its files laid out in a directory of the test's."""

import re
from pathlib import Path
from typing import Any

from proxy.config.load import load
from proxy.config.model import Config
from tests.certificates import Authority
from tests.deploy.chart import Rendered

ADDRESS = "10.1.2.3"
_BY_FIELD = {"status.podIP": ADDRESS, "metadata.name": "shop-stepbridge-0", "metadata.namespace": "retail"}
_MADE_BEFOREHAND = {"STEPBRIDGE_SECRET": "one of sixteen letters"}  # what a Secret has that is not rendered
_MOUNTED = r"/(?:etc/stepbridge-certificates|run/secrets/stepbridge)/"


def environment(release: Rendered) -> dict[str, str]:
    """The container's variables."""
    given = {one["name"]: one["value"] if "value" in one else _field(one) for one in release.container["env"]}
    for source in release.container.get("envFrom", ()):
        given |= _secret(release, source["secretRef"]["name"])
    return given


def configuration(release: Rendered, directory: Path) -> Config:
    """What the bridge makes of the file that it is started with. Raises ConfigMistakes, as it would.

    Absolute paths of mounted Secrets are led into `directory`, where certificates of the test's own stand for theirs.
    """
    volumes = {volume["name"]: volume for volume in release.pod["volumes"]}
    for mount in release.container["volumeMounts"]:
        at = directory / mount["mountPath"].lstrip("/")
        at.mkdir(parents=True)
        _fill(at, volumes[mount["name"]], release)
    file = directory / release.container["args"][-1].lstrip("/")
    file.write_text(re.sub(_MOUNTED, lambda found: f"{directory}{found[0]}", file.read_text()))
    return load(file, environment(release))


def _fill(at: Path, volume: dict[str, Any], release: Rendered) -> None:
    if "configMap" in volume:
        for item in volume["configMap"]["items"]:
            (at / item["path"]).parent.mkdir(exist_ok=True)
            (at / item["path"]).write_text(release.one("ConfigMap")["data"][item["key"]])
    elif volume["name"].startswith("certificates-"):
        authority = Authority(at)
        pair = authority.server("tls")
        pair.certificate.rename(at / "tls.crt")
        authority.pem.rename(at / "ca.crt")
    elif "secret" in volume:
        for key, value in _secret(release, volume["secret"]["secretName"]).items():
            (at / key).write_text(value)


def _field(variable: dict[str, Any]) -> str:
    return _BY_FIELD[variable["valueFrom"]["fieldRef"]["fieldPath"]]


def _secret(release: Rendered, name: str) -> dict[str, str]:
    rendered = [one["stringData"] for one in release.all("Secret") if one["metadata"]["name"] == name]
    return rendered[0] if rendered else _MADE_BEFOREHAND
