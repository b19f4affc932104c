"""Secrets in files of their own, beside every key that holds one."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from proxy.config.mistake import SECRETS
from proxy.config.model import Config
from proxy.config.secret_files import holds_secret
from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes

SASL = "{protocol: sasl_plaintext, mechanism: PLAIN, username: me, password_file: pw}"


def test_a_secret_is_read_from_its_file_without_the_lines_end(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("0123456789abcdef-1\n")
    (tmp_path / "two").write_text("0123456789abcdef-2\r\n")
    config = load_text(tmp_path, HEAD + A_ROUTE + "secret_file: [one, two]\n")
    assert [secret.get_secret_value() for secret in config.secret] == ["0123456789abcdef-1", "0123456789abcdef-2"]


def test_a_password_of_kafka_may_stand_in_a_file_and_is_in_no_repr(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text(" with spaces \n")
    config = load_text(tmp_path, f"kafka: {{bootstrap_servers: 'b:1', security: {SASL}}}\n" + A_ROUTE)
    password = config.kafka.security.password
    assert password is not None
    assert password.get_secret_value() == " with spaces "
    assert "with spaces" not in repr(config)
    assert "with spaces" not in config.model_dump_json()


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("secret_file: gone\n", "6:14: secret_file: gone cannot be read: No such file or directory"),
        ("secret_file: short\n", "6:14: secret_file: is too short: a secret has at least 16 characters"),
        ("secret_file: short\nsecret: 0123456789abcdef\n", "6:1: secret_file: secret is written too"),
        ("secret_file: binary\n", "6:14: secret_file: binary is not UTF-8 text"),
    ],
)
def test_what_is_wrong_with_a_secrets_file_is_said_where_it_is_named(tmp_path: Path, text: str, mistake: str) -> None:
    (tmp_path / "short").write_text("geheim")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    found = mistakes(tmp_path, HEAD + A_ROUTE.rstrip("\n") + "\nauth: none\n" + text)
    assert any(each.startswith(mistake) for each in found), found
    assert "geheim" not in str(found)


def secret_keys(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if holds_secret(field.annotation):
            yield field.alias or name
        for section in models_in(field.annotation):
            yield from secret_keys(section)


def models_in(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    for each in get_args(kind):
        yield from models_in(each)


def test_every_key_that_holds_a_secret_is_known_to_what_writes_mistakes() -> None:
    """If this fails: put the key into SECRETS (proxy/config/mistake.py)."""
    assert set(secret_keys(Config)) <= SECRETS
