"""Frames on a peer connection: a length, a payload, and once both sides are known a seal.

    length of the rest (4 bytes, big-endian) | payload | seal (16 bytes: keyed BLAKE2b over the frame's number and it)

The number counts the frames of one direction, so that none can be left out, repeated or moved. What is sent is not
encrypted: where a network is not trusted with records, peers belong into a tunnel.

Pure: bytes in, payloads out.
"""

from collections.abc import Iterator
from hashlib import blake2b
from hmac import compare_digest

MAX_BYTES = 256 << 20  # of one frame: a hand-out, and one record may be as large as Kafka takes it
MAX_UNKNOWN_BYTES = 1_024  # of one before the other side is known
_SEAL_BYTES = 16
_LENGTH_BYTES = 4


class BadFrame(Exception):
    """The other side does not keep to the protocol, or somebody is in between. The text says why, for the log."""


class Sealer:
    """Makes the frames of one direction. Without a key (before the other side is known) they carry no seal."""

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key
        self._number = 0

    def frame(self, payload: bytes) -> bytes:
        seal = b"" if self._key is None else _seal(self._key, self._number, payload)
        self._number += 1
        return (len(payload) + len(seal)).to_bytes(_LENGTH_BYTES) + payload + seal


class Opener:
    """Takes the frames of one direction apart. `expect` the key once it is known."""

    def __init__(self) -> None:
        self._key: bytes | None = None
        self._number = 0
        self._buffer = bytearray()

    def expect(self, key: bytes) -> None:
        """Frames from here on are sealed with this."""
        self._key = key
        self._number = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The payloads that are whole now. Raises BadFrame; the connection is of no use then."""
        self._buffer += data
        while (payload := self._next()) is not None:
            yield payload

    def _next(self) -> bytes | None:
        if len(self._buffer) < _LENGTH_BYTES:
            return None
        length = int.from_bytes(self._buffer[:_LENGTH_BYTES])
        if length > (MAX_UNKNOWN_BYTES if self._key is None else MAX_BYTES):
            raise BadFrame(f"it announces a frame of {length} bytes")
        end = _LENGTH_BYTES + length
        if len(self._buffer) < end:
            return None
        frame = bytes(self._buffer[_LENGTH_BYTES:end])
        del self._buffer[:end]
        return self._opened(frame)

    def _opened(self, frame: bytes) -> bytes:
        if self._key is None:
            return frame
        payload, seal = frame[:-_SEAL_BYTES], frame[-_SEAL_BYTES:]
        if not compare_digest(_seal(self._key, self._number, payload), seal):
            raise BadFrame("a frame's seal is wrong")
        self._number += 1
        return payload


def _seal(key: bytes, number: int, payload: bytes) -> bytes:
    seal = blake2b(number.to_bytes(8), key=key, digest_size=_SEAL_BYTES)
    seal.update(payload)
    return seal.digest()
