import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.kafka.partitioner import HASHES
from proxy.produce import partition as module
from proxy.produce.partition import Partitioner


@given(st.binary(max_size=64), st.integers(1, 64))
def test_a_key_goes_where_javas_client_would_put_it(key: bytes, partitions: int) -> None:
    partitioner = Partitioner(HASHES["murmur2"])
    expected = (HASHES["murmur2"](key) & 0x7FFFFFFF) % partitions
    assert [partitioner.of_key(key, partitions) for _ in range(2)] == [expected, expected]


@pytest.mark.parametrize(
    ("key", "number"), [(b"21", -973932308), (b"foobar", -790332482), (b"a-little-bit-long-string", -985981536)]
)
def test_murmur2_gives_the_numbers_of_kafkas_own_test(key: bytes, number: int) -> None:
    """UtilsTest.testMurmur2 of Apache Kafka."""
    assert HASHES["murmur2"](key) == number & 0xFFFFFFFF


def test_consistent_random_is_librdkafkas_crc32() -> None:
    assert HASHES["consistent_random"](b"store-7") == zlib.crc32(b"store-7")


def test_the_cache_of_hashes_is_bounded() -> None:
    partitioner = Partitioner(zlib.crc32)
    for number in range(module.CACHED_KEYS + 10):
        partitioner.of_key(b"%d" % number, 3)
    assert len(partitioner._hashes) <= module.CACHED_KEYS


def test_keyless_records_stay_with_an_open_batch_and_else_spread() -> None:
    partitioner = Partitioner(zlib.crc32)
    first = partitioner.of_none(8, stay=False)
    assert all(partitioner.of_none(8, stay=True) == first for _ in range(20))
    assert {partitioner.of_none(8, stay=False) for _ in range(200)} == set(range(8))
    partitioner.sticky = 7
    assert partitioner.of_none(2, stay=True) in (0, 1)  # the topic was made anew with fewer
