"""The loader's slow reader: it notices what is missing and what comes twice."""

import pytest

from tests.load.loader.slow import Slow


def framed(*places: tuple[int, int]) -> bytes:
    record = b'id: x\ndata: {"id":"t:%d:%d","topic":"t","partition":%d,"offset":%d,"value":{}}\n\n'
    return b"".join(record % (partition, offset, partition, offset) for partition, offset in places)


@pytest.mark.parametrize(
    ("places", "lost", "repeated"),
    [
        ([(0, 0), (1, 0), (0, 1), (1, 1)], 0, 0),
        ([(0, 0), (0, 3)], 2, 0),
        ([(1, 1)], 1, 0),
        ([(0, 0), (0, 0), (0, 1)], 0, 1),
    ],
)
@pytest.mark.parametrize("piece_bytes", [7, 10_000])
def test_every_record_is_held_against_the_one_before_it(
    places: list[tuple[int, int]], lost: int, repeated: int, piece_bytes: int
) -> None:
    slow, data = Slow("/feed"), b"HTTP/1.1 200 OK\r\n\r\nretry: 2000\n" + framed(*places)
    for at in range(0, len(data), piece_bytes):
        slow.data_received(data[at : at + piece_bytes])
    assert (slow.lost, slow.repeated) == (lost, repeated)
    assert slow.next == {partition: max(o for p, o in places if p == partition) + 1 for partition, _ in places}
