"""One Apache Kafka broker: a JVM, its directory, its ports, and every way a test may mistreat it."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from tests.kafka import jars

JVM = ["java", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
CLUSTER_ID = "c3RlcGJyaWRnZS10ZXN0cw"  # any 16 bytes in base64

QUIET = """\
Configuration:
  name: tests
  Appenders:
    Console: {name: log, PatternLayout: {pattern: "%d{HH:mm:ss.SSS} %p %c{1}: %m%n"}}
  Loggers:
    Root: {level: WARN, AppenderRef: {ref: log}}
    Logger: [{name: kafka.server.KafkaRaftServer, level: INFO}]
"""


PORTS = range(10_000, 32_000)  # below those that systems give to connections: nobody gets one of these by chance
_SHARE = len(PORTS) // 8  # of each process that runs tests at the same time
_drawn: set[int] = set()


def free_port() -> int:
    """A loopback port that nobody has now, and that no test of this run gets again: not while its owner restarts."""
    first = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8 * _SHARE
    while True:
        port = secrets.choice(PORTS[first : first + _SHARE])
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            if port not in _drawn:
                _drawn.add(port)
                return port


def free_ports(count: int) -> int:
    """The first of so many loopback ports in a row that nobody has now."""
    while True:
        first = free_port()
        others = range(first + 1, first + count)
        if _drawn.isdisjoint(others) and all(map(_is_free, others)):
            _drawn.update(others)
            return first


def _is_free(port: int) -> bool:
    with socket.socket() as one:
        try:
            one.bind(("127.0.0.1", port))
        except (OSError, OverflowError):  # somebody has it; there is no port of this number
            return False
    return True


class Guard(Protocol):
    """What makes a broker one that not everybody may use (tests/kafka/guarded.py)."""

    def users(self) -> list[str]:
        """Arguments for the tool that formats its storage."""
        ...

    def settings(self, others: Mapping[str, object]) -> dict[str, object]:
        """What its settings are beside, or instead of, the others."""
        ...


class Node:
    """One broker, which is a controller as well. `start` and `kill` may alternate: port and data stay.

    Nothing here waits for Kafka to answer: that is the cluster's (tests/kafka/cluster.py), which sees all nodes.
    """

    def __init__(
        self, node_id: int, directory: Path, *, front_port: int | None = None, guard: "Guard | None" = None
    ) -> None:
        """`front_port`: of a proxy that leads to `behind_port`. Who comes in there is always sent there. `guard`: who
        may come in, and by which further listeners."""
        self._guard = guard
        self.id = node_id
        self.port, self.controller_port = free_port(), free_port()
        self.front_port, self.behind_port = front_port, free_port()
        self.directory = directory
        self.log = directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        state = "down" if self._process is None else f"pid {self._process.pid}"
        return f"<Node {self.id} 127.0.0.1:{self.port} {state}>"

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self!r} does not run")
        return self._process.pid

    def format(self, voters: str, brokers: int) -> None:
        """Lay out an empty data directory. `voters` as in Kafka's controller.quorum.voters."""
        self.directory.mkdir(parents=True)
        (self.directory / "log4j2.yaml").write_text(QUIET)
        self._properties.write_text(self._settings(voters, brokers))
        command = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties))
        command += self._guard.users() if self._guard else []
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"Kafka could not format {self.directory}:\n{done.stdout}{done.stderr}")

    def start(self, *, classes_to: Path | None = None) -> None:
        """In a session of its own, so that Ctrl-C reaches the tests first, and they end it.

        `classes_to`: where it leaves the classes that it has loaded, when it ends by itself.
        """
        with self.log.open("ab") as log:
            command = self._java("kafka.Kafka", str(self._properties), classes_to=classes_to)
            self._process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)

    def check(self) -> None:
        """Raise RuntimeError, with the end of its log, if it has died by itself."""
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(f"{self!r} ended with {self._process.returncode}; {self.log}:\n{self.tail()}")

    def tail(self, lines: int = 30) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def end(self, within_s: float = 60.0) -> None:
        """Ask it to end, and wait."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(within_s)

    def kill(self) -> None:
        """End it at once, as a power cut would. Harmless if it does not run."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def clear(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)

    def freeze(self) -> None:
        """It keeps its connections and says nothing more, until `thaw`: its last thread stands when this returns."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    def _java(self, *arguments: str, classes_to: Path | None = None) -> list[str]:
        classpath = f"{jars.ensure()}/*"
        classes = f"ArchiveClassesAtExit={classes_to}" if classes_to else f"SharedArchiveFile={jars.classes()}"
        log4j = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.yaml'}"
        return [*JVM, f"-XX:{classes}", log4j, "-cp", classpath, *arguments]

    def _settings(self, voters: str, brokers: int) -> str:
        """Kafka's defaults but for what makes it small and quick; topics are made by asking, as Kafka's default is."""
        copies, in_sync = min(3, brokers), min(2, brokers)
        here = f"PLAINTEXT://127.0.0.1:{self.port}"
        settings = {
            "process.roles": "broker,controller",
            "node.id": self.id,
            "controller.quorum.voters": voters,
            "listeners": f"{here},CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": here,
            "controller.listener.names": "CONTROLLER",
            "log.dirs": self._data,
            "broker.heartbeat.interval.ms": 300,
            "broker.session.timeout.ms": 1500 if brokers == 1 else 3000,  # one that was killed waits so long
            "leader.imbalance.check.interval.seconds": 5,  # and a broker that came back soon leads again
            "num.network.threads": 2,
            "num.io.threads": 4,
            "default.replication.factor": copies,
            "min.insync.replicas": in_sync,
            "offsets.topic.replication.factor": copies,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": copies,
            "transaction.state.log.min.isr": in_sync,
            "transaction.state.log.num.partitions": 4,
            "share.coordinator.state.topic.replication.factor": copies,
            "share.coordinator.state.topic.min.isr": in_sync,
            "share.coordinator.state.topic.num.partitions": 1,
            "group.initial.rebalance.delay.ms": 0,
            "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,
        }
        if self.front_port is not None:
            settings["listeners"] = f"{settings['listeners']},FRONT://127.0.0.1:{self.behind_port}"
            settings["advertised.listeners"] = f"{here},FRONT://127.0.0.1:{self.front_port}"
            settings["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,FRONT:PLAINTEXT"
        if self._guard is not None:
            settings |= self._guard.settings(settings)
        return "".join(f"{name}={value}\n" for name, value in settings.items())
