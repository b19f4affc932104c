"""`observe`: what its values may be, and what tracing needs of the installation."""

import subprocess
import sys
from pathlib import Path

import pytest

from proxy.config.load import load
from proxy.config.share import parse_share
from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes

CHECKOUT = Path(__file__).parents[3]
TRACING = "observe: {tracing: {endpoint: http://collector:4318}}\n"


@pytest.mark.parametrize(("text", "share"), [("0%", 0), ("1%", 0.01), ("0.05%", 0.0005), ("100 %", 1)])
def test_a_share_is_a_percentage(text: str, share: float) -> None:
    assert parse_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "1", "101%", "-1%", "1,5%", "a%", "%"])
def test_what_is_no_percentage_is_no_share(tmp_path: Path, text: str) -> None:
    (found,) = mistakes(tmp_path, f"{HEAD}{A_ROUTE}observe: {{access_log: {{sample: '{text}'}}}}\n")
    assert f"observe.access_log.sample: {text!r} is no share: write 0% to 100%, for example 1%" in found


@pytest.mark.parametrize(
    ("said", "endpoint"),
    [
        ("http://collector:4318", "http://collector:4318/v1/traces"),
        ("https://collector.example/", "https://collector.example/v1/traces"),
        ("http://[::1]:4318/own/path", "http://[::1]:4318/own/path"),
    ],
)
def test_a_collectors_address_without_a_path_gets_the_usual_one(tmp_path: Path, said: str, endpoint: str) -> None:
    tracing = load_text(tmp_path, f"{HEAD}{A_ROUTE}observe: {{tracing: {{endpoint: '{said}'}}}}\n").observe.tracing
    assert tracing is not None
    assert (tracing.endpoint, tracing.sample, tracing.service_name) == (endpoint, "1%", "stepbridge")


@pytest.mark.parametrize("said", ["collector:4317", "grpc://collector:4317", "http://", "http://a/?token=x"])
def test_what_is_no_collectors_address_is_refused(tmp_path: Path, said: str) -> None:
    (found,) = mistakes(tmp_path, f"{HEAD}{A_ROUTE}observe: {{tracing: {{endpoint: '{said}'}}}}\n")
    assert "is no address of a collector: write for example http://collector:4318/v1/traces" in found


def test_a_token_in_the_address_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, f"{HEAD}{A_ROUTE}observe: {{tracing: {{endpoint: 'http://u:hush@a:1'}}}}\n")
    assert "OTEL_EXPORTER_OTLP_HEADERS" in found
    assert "hush" not in found


def test_tracing_without_its_extra_is_a_mistake_that_says_what_to_install(tmp_path: Path) -> None:
    """In a process where OpenTelemetry cannot be found, as in an installation without the extra."""
    file = tmp_path / "bridge.yaml"
    file.write_text(HEAD + A_ROUTE + TRACING)
    assert load(file).observe.tracing  # here it is installed
    program = f"""
import sys
class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "opentelemetry":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Without())
from proxy.cli import main
main(["check", "--config", {str(file)!r}])
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert f"{file}:5:11: observe.tracing: needs the extra `tracing`" in done.stdout
    assert "pip install 'stepbridge[tracing]', or leave it out" in done.stdout
