"""How a key becomes a number, the way other clients of the same topic do it.

`murmur2` is the Java client's (and aiokafka's); `consistent_random` is librdkafka's default, CRC32 of the key.
"""

import zlib
from collections.abc import Callable, Mapping

from aiokafka.partitioner import murmur2

HASHES: Mapping[str, Callable[[bytes], int]] = {"murmur2": murmur2, "consistent_random": zlib.crc32}
