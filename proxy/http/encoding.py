"""Compressed bodies (`Content-Encoding`): gzip and zstd, expanded in pieces of at most PIECE_BYTES.

A bomb does not go off: what has been expanded is held against MAX_RATIO while it is expanded, and a body that becomes
one record, or one array, against the route's limit besides. zstd frames may ask for a window of at most 8 MiB, which is
also what RFC 9659 has HTTP servers take.
"""

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from proxy.errors import BadEncoding, ExpandsTooMuch, UnsupportedEncoding
from proxy.http.exchange import Exchange, too_large
from proxy.limits.gate import Gate

if sys.version_info >= (3, 14):
    from compression.zstd import DecompressionParameter, ZstdDecompressor, ZstdError
else:
    from backports.zstd import DecompressionParameter, ZstdDecompressor, ZstdError

PIECE_BYTES = 65_536
MAX_RATIO = 200  # real data stays below 50; gzip can reach 1,000 and zstd 30,000
FREE_BYTES = 1_048_576  # so much may come of anything
ZSTD_WINDOW_LOG = 23
MAX_PARTS = 1_000  # of a body that is expanded as a whole: each costs time, however little is in it
MAX_ZSTD_UPLOADS = 16  # that go on for longer than a moment, each with its window

ACCEPTED = (b"accept-encoding", b"gzip, zstd")


class Codec(Protocol):
    """One gzip member or zstd frame, as `compression.zstd` has it."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class Gunzip:
    """A gzip member."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._member.eof

    @property
    def unused_data(self) -> bytes:
        return self._member.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._member.decompress(self._member.unconsumed_tail + data, max_length)


def _unzstd() -> Codec:
    return ZstdDecompressor(options={DecompressionParameter.window_log_max: ZSTD_WINDOW_LOG})


_CODECS: dict[str, Callable[[], Codec]] = {"gzip": Gunzip, "x-gzip": Gunzip, "zstd": _unzstd}


class Decoder:
    """Expands one body, of which any number of members or frames may follow each other."""

    def __init__(self, coding: str) -> None:
        self.coding = coding
        self.parts = 1  # members or frames that have begun
        self._codec = _CODECS[coding]()
        self._taken = 0
        self._given = 0

    def __repr__(self) -> str:
        return f"<Decoder {self.coding} {self._taken} bytes in, {self._given} out>"

    def pieces(self, data: bytes) -> Iterator[bytes]:
        """What the next bytes of the body stand for; b"" for a part with nothing in it. Raises BadEncoding,
        ExpandsTooMuch."""
        self._taken += len(data)
        while True:
            if self._codec.eof:
                if not data:
                    return
                self._codec = _CODECS[self.coding]()
                self.parts += 1
            piece = self._expand(data)
            data = self._codec.unused_data if self._codec.eof else b""
            if not (piece or data):
                return
            yield piece

    def finish(self) -> None:
        """The body ends here. Raises BadEncoding if it should not."""
        if not self._codec.eof:
            raise BadEncoding(f"The body ends in the middle of its {self.coding}.")

    def _expand(self, data: bytes) -> bytes:
        try:
            piece = self._codec.decompress(data, PIECE_BYTES)
        except (zlib.error, ZstdError) as exc:
            raise BadEncoding(
                f"The body's Content-Encoding is {self.coding}, and it cannot be expanded: {exc}."
            ) from None
        self._given += len(piece)
        if self._given > FREE_BYTES + MAX_RATIO * self._taken:
            raise ExpandsTooMuch(f"The body expands to more than {MAX_RATIO} times its size. Send it uncompressed.")
        return piece


def decoder_for(headers: Sequence[tuple[bytes, bytes]]) -> Decoder | None:
    """What a body with this head is expanded by; None if it is not compressed. Raises UnsupportedEncoding."""
    said = b",".join([value for name, value in headers if name == b"content-encoding"]).decode("latin-1").lower()
    codings = [coding for each in said.split(",") if (coding := each.strip()) not in ("", "identity")]
    if not codings:
        return None
    if len(codings) > 1 or codings[0] not in _CODECS:
        detail = f"The Content-Encoding {', '.join(codings)[:100]!r} is not taken here: gzip is, zstd is, or none."
        raise UnsupportedEncoding(detail, headers=[ACCEPTED])
    return Decoder(codings[0])


async def expanded_body(exchange: Exchange, limit_bytes: int, gate: Gate) -> bytes:
    """As `Exchange.body`, expanded if it is compressed: the limit is for what it expands to as well.

    Also raises UnsupportedEncoding, BadEncoding, ExpandsTooMuch.
    """
    decoder = decoder_for(exchange.headers)
    body = await exchange.body(limit_bytes, gate)
    return body if decoder is None else expand(body, decoder, limit_bytes)


def expand(body: bytes, decoder: Decoder, limit_bytes: int) -> bytes:
    """A whole body. Raises TooLarge, BadEncoding, ExpandsTooMuch."""
    expanded = bytearray()
    for piece in decoder.pieces(body):
        if len(expanded) + len(piece) > limit_bytes:
            raise too_large(limit_bytes)
        if decoder.parts > MAX_PARTS:
            raise BadEncoding(f"The body has more than {MAX_PARTS} parts of {decoder.coding}. Compress it as one.")
        expanded += piece
    decoder.finish()
    return bytes(expanded)
