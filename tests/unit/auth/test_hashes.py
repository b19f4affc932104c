"""Keys and passwords as they are kept."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.auth.hashes import BadHash, Hash, key_hash, password_hash

SALT = b"0123456789abcdef"


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_key_fits_its_hash_and_no_other(key: str, other: str) -> None:
    read = Hash.read(key_hash(key))
    assert read.fits(key.encode())
    assert not read.is_slow
    assert read.fits(other.encode()) == (key == other)


@settings(max_examples=3)
@given(st.text(min_size=1))
def test_a_password_fits_its_hash_and_nothing_near_it(password: str) -> None:
    read = Hash.read(password_hash(password, SALT))
    assert read.is_slow
    assert read.fits(password.encode())
    assert not read.fits(password.encode() + b" ")


def test_the_hashes_are_the_ones_that_others_make() -> None:
    assert key_hash("abc") == "sha256:" + hashlib.sha256(b"abc").hexdigest()
    text = password_hash("password", b"NaCl" * 4)
    plain = hashlib.scrypt(b"password", salt=b"NaCl" * 4, n=2**15, r=8, p=1, maxmem=2**26, dklen=32)
    assert Hash.read(text).digest == plain


def test_equal_passwords_have_different_hashes() -> None:
    assert password_hash("a", SALT) != password_hash("a", SALT[::-1])


@pytest.mark.parametrize(
    "text", ["", "abc", "md5:00", "sha256:00", "sha256:" + "g" * 64, "scrypt:15:8:1:!:!", "scrypt:1"]
)
def test_what_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(BadHash):
        Hash.read(text)


def test_a_hash_says_nothing_of_itself() -> None:
    assert repr(Hash.read(key_hash("abc"))) == "<Hash sha256>"


def test_no_secret_is_compared_but_in_constant_time() -> None:
    """Digests are compared where `fits` is, and there by compare_digest alone."""
    import ast
    from pathlib import Path

    import proxy.auth

    compared = {"digest", "secret", "salt"}
    for file in Path(proxy.auth.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Compare) and any(isinstance(op, (ast.Eq, ast.NotEq)) for op in node.ops):
                names = {getattr(side, "attr", getattr(side, "id", "")) for side in (node.left, *node.comparators)}
                assert not names & compared, f"{file.name}:{node.lineno}"
