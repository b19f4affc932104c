"""What `kafka.security` takes, and what it says of what does not go together."""

from pathlib import Path

import pytest

from tests.certificates import Authority
from tests.unit.config.files import A_ROUTE, load_text, mistakes


def text(security: str) -> str:
    return f"kafka: {{bootstrap_servers: 'b:1', security: {{{security}}}}}\n{A_ROUTE}"


@pytest.mark.parametrize(
    ("security", "mistake"),
    [
        ("protocol: tls", "kafka.security.protocol: is 'tls', must be"),
        ("ca: ca.pem", "kafka.security.ca: goes with TLS, and the protocol is plaintext"),
        ("protocol: ssl, certificate: ca.pem", "kafka.security.certificate: certificate and key go together"),
        ("protocol: ssl, ca: gone.pem", "kafka.security.ca: "),
        ("protocol: ssl, ca: empty.pem", "kafka.security.ca: cannot be used"),
        ("protocol: ssl, username: me", "kafka.security.username: goes with SASL"),
        ("protocol: sasl_ssl", "kafka.security.protocol: sasl_ssl needs a `mechanism`"),
        ("protocol: sasl_ssl, mechanism: PLAIN", "kafka.security.mechanism: PLAIN needs username and password"),
        ("protocol: sasl_ssl, mechanism: OAUTHBEARER", "kafka.security.mechanism: OAUTHBEARER needs `oauth`"),
        (
            "protocol: sasl_ssl, mechanism: OAUTHBEARER, oauth: {token_url: 'https://a/b'}",
            "kafka.security.oauth: token_url needs client_id and client_secret",
        ),
    ],
)
def test_what_does_not_go_together_is_told_with_what_would_be_right(
    tmp_path: Path, security: str, mistake: str
) -> None:
    Authority(tmp_path)
    (tmp_path / "empty.pem").touch()
    (found,) = mistakes(tmp_path, text(security))
    assert mistake in found


def test_a_key_with_a_password_is_taken_with_it_and_refused_without(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    pair = Authority(tmp_path).client("bridge")
    key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"open sesame")
    pair.key.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked))
    tls = "protocol: ssl, ca: ca.pem, certificate: bridge.pem, key: bridge.key"
    config = load_text(tmp_path, text(f"{tls}, key_password: open sesame"))
    assert config.kafka.security.certificate == str(pair.certificate)
    for wrong in (tls, f"{tls}, key_password: abracadabra"):
        (found,) = mistakes(tmp_path, text(wrong))
        assert "password" in found
        assert "abracadabra" not in found
