"""What a group's commit says beside its offset: the metadata string, at most 4096 characters.

`sb1.` and base64 of varints: the offset it belongs to; the fence; the ranges accepted above the offset; the
delivery counts that are not one; a CRC-32. A range means "accepted, or no such record", so compaction's gaps merge. All
offsets are written as distances from the one before.

A string that is not ours, is damaged, of a version to come, or belongs to another offset says nothing: the
commit is then a plain one. So a group that someone reset with Kafka's own tools starts where it was put.
"""

import binascii
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from proxy.consume.ranges import Range
from proxy.consume.varint import Reader, Torn, put

MAX_CHARS = 4096  # the broker's offset.metadata.max.bytes; one more fails the partition's commit
_PREFIX = "sb1."
_CRC_BYTES = 4
_MAX_BYTES = (MAX_CHARS - len(_PREFIX)) * 3 // 4 - _CRC_BYTES
_COUNT_BYTES = 3  # kept free for each of the two counts: a list never has 2**21 items
_END = 1 << 63  # Kafka's offsets are below this


@dataclass(frozen=True, slots=True)
class Fence:
    """What a former owner had out with readers: the next one holds it back until its leases are over."""

    high: int  # one past the highest offset handed out
    until_ms: int  # wall clock: when the last lease on it ends; 0: none was out
    deliveries: Sequence[tuple[Range, int]] = ()  # records not delivered once, but so often
    left_ms: int = 0  # until then, when this was written: clocks may differ


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a group is in one partition."""

    offset: int  # the lowest still open: what Kafka knows as the committed offset
    accepted: Sequence[Range] = ()  # above it, ascending
    fence: Fence | None = None


def encode(progress: Progress) -> tuple[str, int | None]:
    """The metadata, and what it leaves out: the offset from which acceptances found no room, None if all did.

    Delivery counts that find no room are left out silently: a count may start anew, an acceptance may not be lost.
    """
    fence = progress.fence or Fence(progress.offset, 0)
    out = bytearray()
    for number in (progress.offset, max(0, fence.high - progress.offset), fence.until_ms, fence.left_ms):
        put(out, number)
    ranges = ((start, end, None) for start, end in progress.accepted)
    left_out = _put_ranges(out, progress.offset, ranges, _MAX_BYTES - _COUNT_BYTES)
    counts = ((start, end, count) for (start, end), count in fence.deliveries)
    _put_ranges(out, progress.offset, counts, _MAX_BYTES)
    out += zlib.crc32(out).to_bytes(_CRC_BYTES)
    return _PREFIX + _to_text(out), left_out


def _put_ranges(
    out: bytearray, edge: int, ranges: Iterable[tuple[int, int, int | None]], limit_bytes: int
) -> int | None:
    """Append a count and as many ranges as fit; the start of the first that does not, if any."""
    body, written, left_out = bytearray(), 0, None
    for start, end, number in ranges:
        size = len(body)
        put(body, start - edge)
        put(body, end - start)
        if number is not None:
            put(body, number)
        if len(out) + len(body) + _COUNT_BYTES > limit_bytes:
            del body[size:]
            left_out = start
            break
        edge = end
        written += 1
    put(out, written)
    out += body
    return left_out


def decode(offset: int, metadata: str) -> Progress:
    """What a commit at `offset` with this metadata says. Never raises: what cannot be read says nothing."""
    plain = Progress(offset)
    if not metadata.startswith(_PREFIX) or len(metadata) > MAX_CHARS:
        return plain
    try:
        data = _from_text(metadata[len(_PREFIX) :])
        body, crc = data[:-_CRC_BYTES], data[-_CRC_BYTES:]
        if zlib.crc32(body).to_bytes(_CRC_BYTES) != crc:
            return plain
        progress = _read(Reader(body))
    except ValueError:  # Torn, and what base64 raises
        return plain
    return progress if progress.offset == offset else plain


def _read(reader: Reader) -> Progress:
    offset, high, until_ms, left_ms = (reader.number() for _ in range(4))
    accepted = [(start, end) for start, end, _ in _read_ranges(reader, offset, numbered=False)]
    counts = [((start, end), count) for start, end, count in _read_ranges(reader, offset, numbered=True)]
    reader.end()
    if offset + high >= _END:
        raise Torn("an offset is too large")
    return Progress(offset, accepted, Fence(offset + high, until_ms, counts, left_ms) if high else None)


def _read_ranges(reader: Reader, edge: int, *, numbered: bool) -> list[tuple[int, int, int]]:
    ranges = []
    for _ in range(reader.count()):
        start = edge + reader.number()
        edge = start + reader.number()
        if not start < edge < _END:
            raise Torn("a range is empty, or too large")
        ranges.append((start, edge, reader.number() if numbered else 0))
    return ranges


def _to_text(data: bytes | bytearray) -> str:
    return binascii.b2a_base64(data, newline=False).rstrip(b"=").decode("ascii")


def _from_text(text: str) -> bytes:
    return binascii.a2b_base64(text.encode("ascii") + b"=" * (-len(text) % 4), strict_mode=True)
