"""What a request shows of who it is from."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.auth.credentials import Key, Password, Token, Unreadable, shown

HEADER = b"x-api-key"


def basic(text: bytes) -> bytes:
    return b"Basic " + base64.b64encode(text)


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        (HEADER, b"sb_k", Key(b"sb_k")),
        (HEADER, b" sb_k ", Key(b"sb_k")),
        (HEADER, b"a.b.c", Key(b"a.b.c")),
        (b"authorization", b"Bearer sb_k", Key(b"sb_k")),
        (b"authorization", b"bearer   sb_k", Key(b"sb_k")),
        (b"authorization", b"Bearer a.b.c", Token(b"a.b.c")),
        (b"authorization", basic(b"till:a:b"), Password("till", b"a:b")),
        (b"authorization", basic("käse:ü".encode()), Password("käse", "ü".encode())),
        (b"authorization", basic(b"till:"), Password("till", b"")),
        (b"x-other", b"sb_k", None),
    ],
)
def test_a_credential_is_found(name: bytes, value: bytes, found: object) -> None:
    assert shown([(b"host", b"a"), (name, value)], HEADER) == found


@pytest.mark.parametrize(
    "value",
    [b"", b"Bearer", b"Bearer ", b"Basic", b"Basic !", basic(b"no colon"), basic(b"\xff:a"), b"Digest a=b", b"sb_k"],
)
def test_an_authorization_of_no_kind_we_know_is_refused(value: bytes) -> None:
    with pytest.raises(Unreadable):
        shown([(b"authorization", value)], HEADER)


@pytest.mark.parametrize("other", [HEADER, b"authorization"])
def test_two_credentials_are_refused_though_they_be_the_same(other: bytes) -> None:
    with pytest.raises(Unreadable, match="more than one"):
        shown([(HEADER, b"sb_k"), (other, b"sb_k")], HEADER)


def test_a_credential_beyond_the_bound_is_refused() -> None:
    with pytest.raises(Unreadable, match="longer"):
        shown([(HEADER, b"a" * 16_385)], HEADER)


@given(st.binary(max_size=200))
def test_whatever_is_sent_is_a_credential_or_refused_without_being_repeated(value: bytes) -> None:
    try:
        found = shown([(b"authorization", value)], HEADER)
    except Unreadable:
        return
    assert isinstance(found, (Key, Password, Token))
    assert not hasattr(found, "secret") or found.secret.decode("latin-1") not in repr(found) or len(found.secret) < 20
