import binascii

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.token import MAX_CHARS, Kind, Signer
from proxy.errors import BadToken, ForgedToken

SIGNER = Signer(["first", "second"])
KINDS = st.sampled_from(Kind)
TOKEN = SIGNER.sign(Kind.LEASE, b"what is said")


@given(KINDS, st.binary(max_size=2_000))
def test_what_was_signed_comes_back(kind: Kind, payload: bytes) -> None:
    assert SIGNER.open(kind, SIGNER.sign(kind, payload)) == payload


@given(KINDS, st.text() | st.text(alphabet="AQLSP_-09abcXYZ", max_size=80))
def test_any_text_is_refused_and_nothing_else(kind: Kind, text: str) -> None:
    with pytest.raises((BadToken, ForgedToken)):
        SIGNER.open(kind, text)


@given(KINDS, st.binary(max_size=200))
def test_a_good_shape_without_our_signature_is_forged(kind: Kind, middle: bytes) -> None:
    shape = bytes([1]) + kind.value + middle + b"\0" * 12
    with pytest.raises(ForgedToken):
        SIGNER.open(kind, binascii.b2a_base64(shape, newline=False).decode().translate({43: 45, 47: 95}).rstrip("="))


@given(st.integers(0, len(TOKEN) - 2), st.sampled_from("ABCxyz019-_"))
def test_one_changed_character_is_enough(at: int, character: str) -> None:
    changed = TOKEN[:at] + character + TOKEN[at + 1 :]
    if changed == TOKEN:
        assert SIGNER.open(Kind.LEASE, changed) == b"what is said"
        return
    with pytest.raises((BadToken, ForgedToken)):
        SIGNER.open(Kind.LEASE, changed)


def test_a_lease_is_no_position() -> None:
    with pytest.raises(BadToken, match="no position"):
        SIGNER.open(Kind.POSITION, TOKEN)


def test_a_kind_cannot_be_rewritten() -> None:
    """The letter of the kind is signed, and each kind has a key of its own."""
    data = bytearray(binascii.a2b_base64(TOKEN.replace("-", "+").replace("_", "/") + "=" * (-len(TOKEN) % 4)))
    data[1:2] = Kind.POSITION.value
    with pytest.raises(ForgedToken):
        SIGNER.open(Kind.POSITION, binascii.b2a_base64(data).decode().strip().translate({43: 45, 47: 95}).rstrip("="))


def test_the_second_secret_still_opens_what_it_signed() -> None:
    assert SIGNER.open(Kind.LEASE, Signer(["second"]).sign(Kind.LEASE, b"old")) == b"old"


def test_the_first_secret_signs() -> None:
    assert Signer(["first"]).open(Kind.LEASE, TOKEN) == b"what is said"
    with pytest.raises(ForgedToken):
        Signer(["second"]).open(Kind.LEASE, TOKEN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A",  # no whole byte
        TOKEN + "=",
        TOKEN[:-3] + "+/A",  # the plain alphabet
        TOKEN + "\n",
        TOKEN + "é",
        "Ag" + TOKEN[2:],  # a version to come
        "A" * (MAX_CHARS + 1),
    ],
)
def test_what_no_bridge_writes_is_a_bad_token(text: str) -> None:
    with pytest.raises(BadToken):
        SIGNER.open(Kind.LEASE, text)


def test_tokens_fit_into_a_url_as_they_are() -> None:
    token = SIGNER.sign(Kind.LEASE, bytes(range(256)))
    assert token.isascii()
    assert not set(token) & set("+/=%& ")


def test_a_signer_needs_a_secret() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Signer([])
