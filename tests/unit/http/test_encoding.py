"""Compressed bodies: the same bytes out, in small pieces, and never more of them than is bounded."""

import gzip
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BadEncoding, ExpandsTooMuch, UnsupportedEncoding
from proxy.http.encoding import FREE_BYTES, MAX_PARTS, MAX_RATIO, PIECE_BYTES, Decoder, decoder_for
from proxy.http.encoding import expand as expand_whole
from tests.unit.http.batching import Batching, post, until

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMPRESS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda content: gzip.compress(content),
    "zstd": lambda content: zstd.compress(content),
}
CODINGS = pytest.mark.parametrize("coding", COMPRESS)


def expand(coding: str, body: bytes, cuts: Sequence[int] = ()) -> bytes:
    decoder = Decoder(coding)
    edges = sorted({0, len(body), *(min(cut, len(body)) for cut in cuts)})
    pieces = [piece for start, end in pairwise(edges) for piece in decoder.pieces(body[start:end])]
    decoder.finish()
    assert all(len(piece) <= PIECE_BYTES for piece in pieces)
    return b"".join(pieces)


@CODINGS
@given(parts=st.lists(st.binary(max_size=300), min_size=1, max_size=3), cuts=st.lists(st.integers(0, 200)))
def test_what_was_compressed_comes_out_however_it_is_cut(coding: str, parts: list[bytes], cuts: list[int]) -> None:
    body = b"".join(map(COMPRESS[coding], parts))  # members, or frames, one after the other
    assert expand(coding, body, cuts) == b"".join(parts)


@CODINGS
def test_a_record_in_more_parts_than_anybody_needs_is_refused(coding: str) -> None:
    """Each costs far more time than its bytes say: a million bytes of empty ones took the whole bridge seconds."""
    part = COMPRESS[coding](b"")
    assert expand_whole(part * MAX_PARTS, Decoder(coding), 100) == b""
    with pytest.raises(BadEncoding, match=f"more than {MAX_PARTS}"):
        expand_whole(part * (MAX_PARTS + 2), Decoder(coding), 100)


@CODINGS
def test_each_part_is_a_piece_though_nothing_is_in_it(coding: str) -> None:
    """So that who reads an upload, of any number of them, can let others go first."""
    pieces = list(Decoder(coding).pieces(COMPRESS[coding](b"") * 3 + COMPRESS[coding](b"x")))
    assert pieces == [b"", b"", b"", b"x"]


@CODINGS
def test_large_bodies_come_in_small_pieces(coding: str) -> None:
    content = b"".join(b"%d," % number for number in range(200_000))
    assert expand(coding, COMPRESS[coding](content)) == content


@CODINGS
def test_a_bomb_does_not_go_off(coding: str) -> None:
    bomb = COMPRESS[coding](bytes(100_000_000))
    decoder = Decoder(coding)
    expanded = list(until_refused(decoder.pieces(bomb)))
    assert FREE_BYTES <= sum(map(len, expanded)) <= FREE_BYTES + MAX_RATIO * len(bomb)


def until_refused(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """What comes before the refusal, which must come."""
    with pytest.raises(ExpandsTooMuch):
        yield from pieces


@CODINGS
@given(kept=st.floats(0, 0.999))
def test_a_body_that_ends_too_soon_is_found_out(coding: str, kept: float) -> None:
    body = COMPRESS[coding](b"something to compress")
    with pytest.raises(BadEncoding):
        expand(coding, body[: int(len(body) * kept)])


@CODINGS
@given(body=st.binary(min_size=1, max_size=50))
def test_a_body_that_is_something_else_is_refused(coding: str, body: bytes) -> None:
    with pytest.raises(BadEncoding):
        expand(coding, b"x" + body)
    with pytest.raises(BadEncoding):
        expand(coding, COMPRESS[coding](b"right so far") + b"x" + body)


def test_a_zstd_window_that_would_take_too_much_memory_is_refused() -> None:
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 24}
    compressor = zstd.ZstdCompressor(options=options)
    body = compressor.compress(b"small") + compressor.flush()
    with pytest.raises(BadEncoding, match="memory"):
        expand("zstd", body)


@pytest.mark.parametrize(
    ("said", "coding"),
    [
        ([], None),
        ([b""], None),
        ([b"identity"], None),
        ([b"gzip"], "gzip"),
        ([b"GZip "], "gzip"),
        ([b"x-gzip"], "x-gzip"),
        ([b"zstd"], "zstd"),
        ([b"identity, gzip"], "gzip"),
    ],
)
def test_the_coding_is_what_the_head_says(said: list[bytes], coding: str | None) -> None:
    decoder = decoder_for([(b"host", b"a"), *((b"content-encoding", value) for value in said)])
    assert (decoder and decoder.coding) == coding


@pytest.mark.parametrize("said", [[b"br"], [b"deflate"], [b"gzip, zstd"], [b"gzip", b"gzip"], [b"\xff" * 200]])
def test_any_other_coding_is_refused_with_those_that_are_taken(said: list[bytes]) -> None:
    with pytest.raises(UnsupportedEncoding) as refused:
        decoder_for([(b"content-encoding", value) for value in said])
    assert list(refused.value.headers) == [(b"accept-encoding", b"gzip, zstd")]
    assert len(refused.value.detail) < 300


# ---- a body that is read as a whole


@CODINGS
async def test_a_record_is_what_the_body_expands_to(coding: str) -> None:
    async with Batching().serve() as batching:
        answer = await post(batching.port, COMPRESS[coding](b'{"sku": 1}'), content_encoding=coding)
        array = await post(batching.port, COMPRESS[coding](b'[{"sku": 2}]'), content_encoding=coding)
        assert (answer.status, array.status) == (201, 201)
        assert batching.submitter.values == [b'{"sku": 1}', b'{"sku": 2}']
        await until(lambda: batching.is_idle)


@pytest.mark.parametrize(
    ("body", "coding", "status", "code"),
    [
        (gzip.compress(bytes(50_001)), "gzip", 413, "too_large"),
        (gzip.compress(bytes(50_000_000)), "gzip", 413, "too_large"),
        (b"x" * 50_001, "gzip", 413, "too_large"),
        (gzip.compress(b"{}")[:-1], "gzip", 400, "bad_encoding"),
        (b"{}", "zstd", 400, "bad_encoding"),
        (b"", "gzip", 400, "bad_encoding"),
        (zlib.compress(b"{}"), "deflate", 415, "unsupported_encoding"),
    ],
    ids=["too large", "a bomb", "no gzip, too large", "cut off", "no zstd", "empty", "another coding"],
)
async def test_what_cannot_be_expanded_within_the_limit_is_refused(
    body: bytes, coding: str, status: int, code: str
) -> None:
    async with Batching(max_body_bytes=50_000).serve() as batching:
        answer = await post(batching.port, body, content_encoding=coding)
        assert (answer.status, answer.json["code"]) == (status, code)
        assert batching.submitter.windows == []
        await until(lambda: batching.is_idle)


async def test_what_a_body_expands_to_counts_as_bytes_in_flight() -> None:
    async with Batching(produce={}).serve() as batching:
        batching.gate.limit_bytes = 1_000
        answer = await post(batching.port, gzip.compress(bytes(2_000)), content_encoding="gzip")
        assert (answer.status, answer.json["code"]) == (503, "overloaded")
        await until(lambda: batching.is_idle)
