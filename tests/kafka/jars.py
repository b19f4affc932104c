"""Apache Kafka for the tests: its jars, through Maven, once, into .cache/.

`python -m tests.kafka.jars` fetches them and prints where they are; with `--look` it only looks whether Java and
Maven are there. Needs nothing but Python's own library: `make test` looks before it installs anything.
"""

import fcntl
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
POM = HERE / "pom.xml"
CACHE = HERE.parents[1] / ".cache"
JAVA_AT_LEAST = 17


class Missing(Exception):
    """Something has to be installed first; the message says what."""


def version() -> str:
    """The version of Kafka that pom.xml names."""
    found = re.search(r"<kafka\.version>(.+?)</kafka\.version>", POM.read_text())
    if found is None:
        raise Missing(f"{POM} names no kafka.version")
    return found[1]


def directory() -> Path:
    return CACHE / f"kafka-{version()}"


def classes() -> Path:
    """Where Kafka's classes are kept as the JVM has them in memory (tests/kafka/classes.py)."""
    return directory() / "classes.jsa"


def look() -> None:
    """Raise Missing, naming all that has to be installed, unless Java and Maven are there."""
    missing = [hint for hint in (_java_wanting(), _maven_wanting()) if hint]
    if missing:
        raise Missing("\n".join(["The tests start a real Apache Kafka, and for that need:", *missing]))


def ensure() -> Path:
    """The directory of the jars, which Maven fills the first time (54 MB). Raises Missing."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # of several that ask at the same time, one fetches
        return _fetched()


def _fetched() -> Path:
    if _complete().exists() and _complete().read_text() == POM.read_text():
        return directory()
    look()
    print(f"Getting Apache Kafka {version()} through Maven into {directory()} (the first time only)", flush=True)
    shutil.rmtree(directory(), ignore_errors=True)
    _maven("dependency:copy-dependencies", f"-DoutputDirectory={directory()}")
    _complete().write_text(POM.read_text())
    return directory()


def _complete() -> Path:
    """Written last: the list that the jars were fetched by."""
    return directory() / "fetched-by.xml"


def _java_wanting() -> str | None:
    hint = f"  Java {JAVA_AT_LEAST} or newer (Debian: apt-get install openjdk-17-jre-headless)"
    java = shutil.which("java")
    if java is None:
        return hint
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', told)
    if found is None or int(found[1]) < JAVA_AT_LEAST:
        return f"{hint}; {java} says: {told.splitlines()[0] if told else 'nothing'}"
    return None


def _maven_wanting() -> str | None:
    return None if shutil.which("mvn") else "  Maven, command mvn (Debian: apt-get install maven)"


def _maven(*goals: str) -> None:
    """Run Maven; show a dot a jar, for that is what takes long, and what it said only if it fails."""
    command = ["mvn", "--batch-mode", "--file", str(POM), *goals]
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as maven:
        assert maven.stdout is not None
        for line in maven.stdout:
            said.append(line)
            if "Downloaded" in line and ".jar " in line:
                print(".", end="", flush=True)
        print()
    if maven.returncode:
        raise Missing("".join([*said[-30:], f"Maven failed ({maven.returncode}); its last lines are above."]))


def main() -> int:
    try:
        look() if "--look" in sys.argv[1:] else print(f"Apache Kafka {version()}: {ensure()}")
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
