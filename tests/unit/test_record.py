from aiokafka.record.default_records import DefaultRecordBatchBuilder
from hypothesis import given
from hypothesis import strategies as st

from proxy.record import BATCH_HEAD_BYTES, Record, record_size_bytes

headers = st.lists(st.tuples(st.text(max_size=80), st.binary(max_size=200)), max_size=70)


@given(st.none() | st.binary(max_size=9_000), st.none() | st.binary(max_size=9_000), headers)
def test_the_size_is_what_kafkas_own_encoding_takes(
    key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
) -> None:
    builder = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 1_000_000)
    builder.append(0, 1_700_000_000_000, key, value, headers)
    record = Record("t", key, value, headers)
    assert BATCH_HEAD_BYTES + record_size_bytes(record) == len(builder.build())
