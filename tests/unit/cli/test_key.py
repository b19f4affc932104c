"""Keys and hashes made on the command line, and what commands show the admin side."""

import base64
import hashlib
import io

import pytest

from proxy.auth.hashes import Hash
from proxy.cli.token import ENVIRONMENT, authorization
from tests.unit.cli.conftest import Run


def test_a_key_is_printed_with_its_hash(run: Run) -> None:
    ended = run("key")
    key, hashed = (line.split()[1] for line in ended.out.splitlines())
    assert hashed == "sha256:" + hashlib.sha256(key.encode()).hexdigest()
    assert key.startswith("sb_")
    assert len(key) > 40
    assert "." not in key, "it would be taken for a token"
    assert run("key").out != ended.out


def test_a_password_is_hashed_from_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse\n"))
    hashed = Hash.read(run("key", "--password").out.split()[1])
    assert hashed.is_slow
    assert hashed.fits(b"correct horse")
    assert not hashed.fits(b"correct horse\n")


@pytest.mark.parametrize(
    ("token", "sent"),
    [
        ("", {}),
        ("sb_ops", {"Authorization": "Bearer sb_ops"}),
        ("olga:a:b", {"Authorization": "Basic " + base64.b64encode(b"olga:a:b").decode()}),
    ],
)
def test_a_token_is_a_key_or_a_user_with_a_password(
    token: str, sent: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENVIRONMENT, token)
    assert authorization() == sent


@pytest.mark.parametrize("words", [["routes", "--token", "sb_a"], ["groups", "--token", "sb_a"]])
def test_commands_take_a_token(run: Run, admin: str, monkeypatch: pytest.MonkeyPatch, words: list[str]) -> None:
    monkeypatch.setenv(ENVIRONMENT, "sb_before")
    assert run(*words, "--admin", admin).code == 0
    assert authorization() == {"Authorization": "Bearer sb_a"}
