"""What every test may use: the broker (tests/kafka/), the bridge as a process (tests/bridge.py), a free port."""

import hypothesis
import pytest

from tests.kafka.node import free_port as _free_port

pytest_plugins = ["pytester", "tests.needs", "tests.kafka.fixtures", "tests.bridge"]

hypothesis.settings.register_profile("quick", deadline=None, max_examples=100, print_blob=True)
hypothesis.settings.register_profile("all", deadline=None, max_examples=2_000, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("all" if config.getoption("--all") else "quick")


@pytest.fixture
def free_port() -> int:
    """A loopback port that nobody has now."""
    return _free_port()
