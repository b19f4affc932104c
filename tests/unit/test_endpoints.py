"""From the configuration to what requests go to."""

import zlib
from collections.abc import Callable

from proxy.endpoints import key_hashes
from tests.unit.admin.scripted import config

HASHES: dict[str, Callable[[bytes], int]] = {"murmur2": hash, "consistent_random": zlib.crc32}


def test_whatever_is_written_to_has_its_key_hash_dead_letters_too() -> None:
    """A route's own choice counts for a topic that is both."""
    chosen = config(
        {"route": "POST /a", "produce": {"topic": "a"}},
        {"route": "POST /b", "produce": {"topic": "b", "partitioner": "consistent_random"}},
        {"route": "GET /a", "consume": {"topics": ["a"], "group": "g", "dead_letter": "dead"}},
        {"route": "GET /b", "consume": {"topics": ["a"], "group": "h", "dead_letter": "b"}},
        {"route": "GET /c", "consume": {"topics": ["c"], "group": "i"}},
    )
    assert key_hashes(chosen, HASHES) == {"a": hash, "b": zlib.crc32, "dead": hash}
