"""A broker that not everybody may use: TLS, SASL, client certificates, and ACLs that are enforced.

Beside its plain listener, where the tests come in as the super user, it has two more: `sasl_port` (TLS, then PLAIN,
SCRAM or OAUTHBEARER) and `mtls_port` (TLS with a client certificate). Whoever comes in there may do what ACLs allow.
"""

import base64
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from aiokafka.protocol.admin import CreateAclsRequest
from cryptography.hazmat.primitives import serialization

from tests.certificates import Authority
from tests.kafka.cluster import Kafka
from tests.kafka.node import free_port

TOPIC, GROUP, CLUSTER = 2, 3, 4  # kinds of resources, and operations on them, as the protocol numbers them
OPERATIONS = {"READ": 3, "WRITE": 4, "CREATE": 5, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10, "IDEMPOTENT_WRITE": 12}
LITERAL, ALLOW = 3, 3
_MODULES = "org.apache.kafka.common.security"


class GuardedListeners:
    """Of one broker (`node.Guard`). `users` are known by the same password to PLAIN and both of SCRAM."""

    def __init__(self, authority: Authority, directory: Path, passwords: Mapping[str, str]) -> None:
        self.sasl_port, self.mtls_port = free_port(), free_port()
        self._authority, self._passwords = authority, passwords
        self._keystore = directory / "broker.keystore.pem"
        pair = authority.server("broker")
        key = serialization.load_pem_private_key(pair.key.read_bytes(), None)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._keystore.write_bytes(pem + pair.certificate.read_bytes())  # PKCS 8 is all that Kafka reads

    def users(self) -> list[str]:
        known = ((kind, name, text) for name, text in self._passwords.items() for kind in ("256", "512"))
        return [
            argument
            for kind, name, text in known
            for argument in ("--add-scram", f"SCRAM-SHA-{kind}=[name={name},password={text}]")
        ]

    def settings(self, others: Mapping[str, object]) -> dict[str, object]:
        here = f"SASL://127.0.0.1:{self.sasl_port},MTLS://127.0.0.1:{self.mtls_port}"
        plain = " ".join(f'user_{name}="{text}"' for name, text in self._passwords.items())
        login = {
            "plain": f"{_MODULES}.plain.PlainLoginModule required {plain};",
            "scram-sha-256": f"{_MODULES}.scram.ScramLoginModule required;",
            "scram-sha-512": f"{_MODULES}.scram.ScramLoginModule required;",
            "oauthbearer": f'{_MODULES}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="x";',
        }
        return {
            "listeners": f"{others['listeners']},{here}",
            "advertised.listeners": f"{others['advertised.listeners']},{here}",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL:SASL_SSL,MTLS:SSL",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self._keystore,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self._authority.pem,
            "listener.name.mtls.ssl.client.auth": "required",
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/",  # a certificate's user is its common name
            "sasl.enabled.mechanisms": ",".join(kind.upper() for kind in login),
            **{f"listener.name.sasl.{kind}.sasl.jaas.config": module for kind, module in login.items()},
        }


class GuardedKafka(Kafka):
    """One broker, its listeners and its authority."""

    def __init__(self, directory: Path, passwords: Mapping[str, str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(directory)
        self.listeners = GuardedListeners(self.authority, directory, passwords)
        super().__init__(directory / "data", guard=self.listeners)

    async def allow(self, user: str, *rights: tuple[int, str, Sequence[str]]) -> None:
        """Let `user` (as `User:` has it) do the operations on each (kind, name)."""
        async with self.admin() as admin:
            for kind, name, operations in rights:
                for each in operations:
                    request = CreateAclsRequest(kind, name, LITERAL, f"User:{user}", "*", OPERATIONS[each], ALLOW)
                    answer = await admin._send_request(request)
                    [(code, message)] = answer.creation_responses
                    assert not code, message or code


def unsecured_token(subject: str, lifetime_s: int = 3_600) -> str:
    """A token as the broker takes it here: a JWT without a signature (RFC 7519, 6)."""
    now = int(time.time())
    claims = {"sub": subject, "iat": now - 1, "exp": now + lifetime_s}
    return ".".join(_part(each) for each in ({"alg": "none"}, claims)) + "."


def _part(document: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")
