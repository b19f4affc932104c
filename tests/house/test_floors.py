"""The house stands: imports go downward only (tests/house/floors.py is the map)."""

from pathlib import Path

import pytest

from tests.house.floors import FLOOR_OF, violations

PACKAGE = Path(__file__).parents[2] / "proxy"


def test_every_import_goes_downward_and_every_library_stays_in_its_room() -> None:
    assert violations(PACKAGE) == []


@pytest.fixture
def small_house(tmp_path: Path) -> Path:
    """A tree with an empty module in every place of the map."""
    package = tmp_path / "proxy"
    for room in FLOOR_OF:
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").touch()
    return package


@pytest.mark.parametrize(
    "allowed",
    [
        ("http/poll.py", "from proxy.consume.session import Session"),
        ("kafka/producer.py", "from proxy.observe import metrics"),  # open to floors 2 to 5
        ("routes/match.py", "import proxy.config.model"),
        ("http/poll.py", "from proxy.http import problem"),
        ("cli.py", "from proxy import app, __version__"),
        ("kafka/producer.py", "import aiokafka"),
        ("http/protocol.py", "from uvicorn.protocols.http import httptools_impl"),
        ("admin/app.py", "from starlette.routing import Route"),
    ],
)
def test_the_map_allows(small_house: Path, allowed: tuple[str, str]) -> None:
    path, line = allowed
    (small_house / path).write_text(line)
    assert violations(small_house) == []


@pytest.mark.parametrize(
    ("path", "line", "said"),
    [
        ("kafka/producer.py", "from proxy.produce.queue import Queue", "kafka is on floor 2 and may not look up"),
        ("config/load.py", "from proxy.observe import metrics", "config is on floor 1 and may not look up"),
        ("record.py", "import proxy.config", "record is on floor 0 and may not look up"),
        ("produce/queue.py", "from proxy import consume", "produce and consume are strangers, both on floor 3"),
        ("config/model.py", "from proxy.routes import match", "config and routes are strangers"),
        ("consume/session.py", "import aiokafka.errors", "aiokafka is imported by kafka only, not by consume.session"),
        ("http/app.py", "from uvicorn import Server", "uvicorn is imported by server, http.protocol, http.cycle only"),
        ("produce/queue.py", "from starlette.types import Scope", "starlette is imported by"),
        (
            "produce/queue.py",
            "def late() -> None:\n    import prometheus_client",
            "2: prometheus_client is imported by",
        ),
        ("produce/queue.py", "from .other import thing", "is a relative import"),
        ("attic.py", "import os", "attic is on no floor"),
        ("attic/trunk.py", "import os", "attic is on no floor"),
    ],
)
def test_the_map_refuses(small_house: Path, path: str, line: str, said: str) -> None:
    (small_house / path).parent.mkdir(exist_ok=True)
    (small_house / path).write_text(line)
    (found,) = violations(small_house)
    assert said in found
