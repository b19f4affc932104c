"""What is shipped: the wheel holds all of it, the locks hold what it needs, and neither names a registry."""

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from aiokafka import codec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.floors import imports

CHECKOUT = Path(__file__).parents[2]
PROJECT = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]
LOCKS = {path.stem: path.read_text() for path in (CHECKOUT / "requirements").glob("*.txt")}
MODULE_OF = {  # where the two names differ
    "backports-zstd": "backports",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "opentelemetry-sdk": "opentelemetry",
    "pyjwt": "jwt",
    "pyyaml": "yaml",
}
FOR_OTHERS = {"cramjam"}  # aiokafka imports it
SINCE_3_14 = {"compression"}  # in the standard library


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel as `make wheel` and the Dockerfile build it."""
    directory = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    done = subprocess.run([*command, "-w", directory, CHECKOUT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = directory.glob("stepbridge-*-py3-none-any.whl")
    return zipfile.ZipFile(built)


def _files(directory: str) -> set[str]:
    """Every file under a directory of the checkout that git would keep."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", directory]
    listed = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout.split()
    return {name for name in listed if (CHECKOUT / name).is_file()}


def test_the_wheel_holds_the_whole_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    expected = _files("proxy") | {name.replace("config/", "proxy/_config/", 1) for name in _files("config")}
    assert {name for name in wheel.namelist() if ".dist-info/" not in name} == expected


def test_the_wheel_carries_its_licence_and_its_command(wheel: zipfile.ZipFile) -> None:
    info = f"stepbridge-{_version()}.dist-info"
    assert wheel.read(f"{info}/licenses/LICENSE") == (CHECKOUT / "LICENSE").read_bytes()
    assert "stepbridge = proxy.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()
    assert "License-Expression: Apache-2.0" in wheel.read(f"{info}/METADATA").decode()


def _version() -> str:
    found = re.search(r'__version__ = "(.+)"', (CHECKOUT / "proxy/__init__.py").read_text())
    assert found is not None
    return found[1]


def test_the_changelog_has_a_section_for_this_version() -> None:
    assert f"\n## {_version()} " in (CHECKOUT / "CHANGELOG.md").read_text()


def _shipped(name: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Ask for a shipped file as a program would that finds `proxy` in `home` and nowhere else."""
    program = "import sys; from proxy.shipped import shipped; print(shipped(sys.argv[1]).resolve())"
    command = [sys.executable, "-S", "-c", program, name]
    return subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)


def test_an_installed_wheel_finds_its_shipped_files(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path)
    found = _shipped("retail.yaml", tmp_path)
    assert found.stdout.strip() == str(tmp_path.resolve() / "proxy/_config/retail.yaml"), found.stderr
    assert Path(found.stdout.strip()).read_text() == (CHECKOUT / "config/retail.yaml").read_text()


def test_a_checkout_finds_its_shipped_files() -> None:
    found = _shipped("retail.yaml", CHECKOUT)
    assert found.stdout.strip() == str(CHECKOUT / "config/retail.yaml"), found.stderr


def test_a_file_that_is_not_shipped_is_named_with_those_that_are() -> None:
    said = _shipped("retial.yaml", CHECKOUT).stderr
    assert "retial.yaml is not shipped" in said
    assert "retail.yaml" in said


# ---- what it needs


def _declared() -> dict[str, Requirement]:
    extras = PROJECT["optional-dependencies"].values()
    lines = [*PROJECT["dependencies"], *(line for extra in extras for line in extra)]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def _locked(lock: str) -> dict[str, str]:
    return dict(re.findall(r"(?m)^([a-z0-9.-]+)==([^ ;\\]+)", LOCKS[lock]))


def test_every_library_that_is_imported_is_declared_and_the_other_way_round() -> None:
    files = [CHECKOUT / name for name in _files("proxy") if name.endswith(".py")]
    tops = {name.split(".")[0] for file in files for _, name in imports(file)}
    declared = {MODULE_OF.get(name, name.replace("-", "_")) for name in _declared()}
    assert tops - sys.stdlib_module_names - {"proxy", "pydantic_core"} - SINCE_3_14 == declared - FOR_OTHERS


def test_every_declared_library_is_locked_within_its_bounds() -> None:
    locked = _locked("embedded") | _locked("tracing")
    for name, requirement in _declared().items():
        assert locked[name] in requirement.specifier
    assert {canonicalize_name(Requirement(line).name) for line in PROJECT["dependencies"]} <= _locked("run").keys()


def test_a_library_has_one_version_in_all_locks() -> None:
    for smaller in ("run", "embedded", "tracing", "build"):
        assert _locked(smaller).items() <= _locked("dev").items()
    assert _locked("run").items() <= _locked("embedded").items() & _locked("tracing").items()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_hashes_for_everything_and_names_no_registry(lock: str) -> None:
    pins = re.findall(r"(?m)^[a-z0-9.-]+==.*$", LOCKS[lock])
    assert pins
    assert [pin for pin in pins if not pin.endswith("\\")] == []  # the hashes follow
    assert re.findall(r"https?://|^--(?:index|extra|find)", LOCKS[lock], re.MULTILINE) == []


def test_records_in_every_codec_of_other_producers_can_be_read() -> None:
    assert all([codec.has_gzip(), codec.has_snappy(), codec.has_lz4(), codec.has_zstd()])
