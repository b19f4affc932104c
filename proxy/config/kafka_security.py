"""How the bridge proves to Kafka who it is: `kafka.security`. File names are relative to the configuration's."""

from collections.abc import Iterator
from typing import Literal

from pydantic import Field, SecretStr

from proxy.config.section import Section

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class OAuth(Section):
    """Where tokens come from: a file that others keep fresh, or the client credentials grant (RFC 6749, 4.4)."""

    token_file: str | None = Field(default=None, description="File with a token, read again for each connection.")
    token_url: str | None = Field(
        default=None, pattern=r"^https?://[^\s]+$", description="Token endpoint of the client credentials grant."
    )
    client_id: str | None = Field(default=None, description="With token_url: who asks.")
    client_secret: SecretStr | None = Field(default=None, description="With token_url: its secret.")
    scope: str | None = Field(default=None, description="With token_url: what is asked for.")
    ca: str | None = Field(default=None, description="With token_url: PEM file of authorities; else the system's.")


class KafkaSecurity(Section):
    protocol: Literal["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"] = Field(
        default="plaintext", description="What brokers' listeners speak: plaintext, ssl, sasl_plaintext or sasl_ssl."
    )
    ca: str | None = Field(
        default=None, description="PEM file of the authorities that sign brokers; else the system's."
    )
    certificate: str | None = Field(default=None, description="PEM file of the bridge's own certificate.")
    key: str | None = Field(default=None, description="PEM file of its private key.")
    key_password: SecretStr | None = Field(default=None, description="The key's password.")
    mechanism: Mechanism | None = Field(
        default=None, description="With sasl: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER."
    )
    username: str | None = Field(default=None, description="With PLAIN and SCRAM.")
    password: SecretStr | None = Field(default=None, description="With PLAIN and SCRAM; a reload brings a new one in.")
    oauth: OAuth | None = Field(default=None, description="With OAUTHBEARER: where tokens come from.")

    @property
    def has_tls(self) -> bool:
        return self.protocol in ("ssl", "sasl_ssl")

    @property
    def has_sasl(self) -> bool:
        return self.protocol.startswith("sasl")

    def takes_over(self, new: "KafkaSecurity") -> bool:
        """True if clients that live can go on with `new`: another protocol or mechanism needs a restart."""
        return (self.protocol, self.mechanism) == (new.protocol, new.mechanism)


def faults_of(security: KafkaSecurity) -> Iterator[tuple[str, str]]:
    """What does not go together: the key, and what is wrong there."""
    if not security.has_tls:
        for key in ("ca", "certificate", "key", "key_password"):
            if getattr(security, key) is not None:
                yield key, f"goes with TLS, and the protocol is {security.protocol}: write ssl or sasl_ssl"
    if (security.certificate is None) != (security.key is None):
        yield ("certificate" if security.key is None else "key"), "certificate and key go together: write both"
    if not security.has_sasl:
        for key in ("mechanism", "username", "password", "oauth"):
            if getattr(security, key) is not None:
                yield key, f"goes with SASL, and the protocol is {security.protocol}: write sasl_ssl"
    else:
        yield from _faults_of_sasl(security)


def _faults_of_sasl(security: KafkaSecurity) -> Iterator[tuple[str, str]]:
    if security.mechanism is None:
        yield "protocol", f"{security.protocol} needs a `mechanism`: SCRAM-SHA-512, for example"
    elif security.mechanism == "OAUTHBEARER":
        oauth = security.oauth
        if oauth is None or (oauth.token_file is None) == (oauth.token_url is None):
            yield "mechanism", "OAUTHBEARER needs `oauth` with either token_file or token_url"
        elif oauth.token_url and (oauth.client_id is None or oauth.client_secret is None):
            yield "oauth", "token_url needs client_id and client_secret"
    elif security.username is None or security.password is None:
        yield "mechanism", f"{security.mechanism} needs username and password (or password_file)"
