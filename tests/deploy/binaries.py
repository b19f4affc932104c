"""Helm and promtool for the tests: built from the Go module proxy, once, into .cache/.

Which versions is in tools/*/go.mod, and what they are made of in go.sum beside it, by hash. `python -m
tests.deploy.binaries` builds what is missing: three minutes of both cores for each, hence `make test-all` does so, and
`make test` takes what is there.
"""

import fcntl
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache"
BUILT_WITHIN_S = 1_800.0


class NotBuilt(Exception):
    """There is no such program; the message says why."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A program, the module it is in, its package there, and how to build it: flags and settings of the linker."""

    name: str
    module: str
    package: str
    flags: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()

    @property
    def source(self) -> Path:
        """Where go.mod and go.sum are."""
        return HERE / "tools" / self.name

    @property
    def version(self) -> str:
        """As go.mod has it, without the v."""
        found = re.search(rf"\b{re.escape(self.module)} v(\S+)", (self.source / "go.mod").read_text())
        if found is None:
            raise NotBuilt(f"{self.source / 'go.mod'} names no {self.module}")
        return found[1]

    @property
    def path(self) -> Path:
        """Where it is once it has been built."""
        return CACHE / f"{self.name}-{self.version}" / self.name

    def is_there(self) -> bool:
        return self.path.is_file()


_HELM = "helm.sh/helm/v3"
HELM = Binary(
    "helm",
    _HELM,
    f"{_HELM}/cmd/helm",
    settings=(  # which Kubernetes it takes for granted where it is told of none
        f"{_HELM}/pkg/chartutil.k8sVersionMajor=1",
        f"{_HELM}/pkg/chartutil.k8sVersionMinor=33",
        f"{_HELM}/pkg/lint/rules.k8sVersionMajor=1",
        f"{_HELM}/pkg/lint/rules.k8sVersionMinor=33",
    ),
)
PROMTOOL = Binary(
    "promtool",
    "github.com/prometheus/prometheus",
    "github.com/prometheus/prometheus/cmd/promtool",
    flags=("-tags", "remove_all_sd"),  # it looks for no targets here
)


def ensure(binary: Binary) -> Path:
    """The program, which Go builds the first time. Raises NotBuilt."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{binary.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several that ask at the same time, one builds
        if not binary.is_there():
            _build(binary)
    return binary.path


def _build(binary: Binary) -> None:
    if shutil.which("go") is None:
        raise NotBuilt(f"{binary.name} is built with Go: install Go 1.26 or newer")
    print(f"Building {binary.name} {binary.version} (the first time only; some minutes)", flush=True)
    binary.path.parent.mkdir(exist_ok=True)
    unfinished = binary.path.with_suffix(".unfinished")
    linker = " ".join(["-s", "-w", *(f"-X {setting}" for setting in binary.settings)])
    command = ["go", "build", "-trimpath", *binary.flags, f"-ldflags={linker}", "-o", str(unfinished), binary.package]
    try:
        done = subprocess.run(
            command, cwd=binary.source, capture_output=True, text=True, check=False, timeout=BUILT_WITHIN_S
        )
    except subprocess.TimeoutExpired:
        raise NotBuilt(f"{binary.name} was not built within {BUILT_WITHIN_S / 60:g} minutes") from None
    if done.returncode:
        raise NotBuilt(f"{binary.name} was not built: {' '.join(command)} says\n{done.stderr[-2_000:]}")
    unfinished.rename(binary.path)


def main() -> int:
    try:
        for binary in (HELM, PROMTOOL):
            print(f"{binary.name} {binary.version}: {ensure(binary)}")
    except NotBuilt as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
