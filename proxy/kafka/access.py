"""Who the bridge is to Kafka: the arguments of aiokafka's constructors for it, and how they change under way.

A client keeps what it was made with and uses it for each connection that it opens. So after a reload what living
clients keep is replaced: connections that stand go on, the next ones show what the file says now.
"""

import ssl
from typing import Any
from weakref import WeakSet

from aiokafka.abc import AbstractTokenProvider
from aiokafka.client import AIOKafkaClient

from proxy.config.kafka_security import KafkaSecurity
from proxy.kafka.internals import replace_password
from proxy.observe.logs import logger
from proxy.seams.auth import TokenMissing, TokenSource
from proxy.tls import Exchangeable, client_context, reason

log = logger("kafka")


class Access:
    """One for all clients of a bridge. `repr` shows no secret."""

    def __init__(self, security: KafkaSecurity | None = None, tokens: TokenSource | None = None) -> None:
        """`tokens`: where those of OAUTHBEARER come from. Raises OSError: the files were tried when they were named."""
        self._security = security or KafkaSecurity()
        self._tls = Exchangeable(_context(self._security)) if self._security.has_tls else None
        self._tokens = _Provider(tokens) if tokens else None
        self._clients: WeakSet[AIOKafkaClient] = WeakSet()

    def __repr__(self) -> str:
        return f"<Access {self._security.protocol} {self._security.mechanism or ''} {self._security.username or ''}>"

    def arguments(self) -> dict[str, Any]:
        """For a constructor of aiokafka's."""
        security = self._security
        return {
            "security_protocol": security.protocol.upper(),
            "ssl_context": self._tls,
            "sasl_mechanism": security.mechanism or "PLAIN",
            "sasl_plain_username": security.username,
            "sasl_plain_password": _text(security),
            "sasl_oauth_token_provider": self._tokens,
        }

    def mind(self, client: AIOKafkaClient) -> None:
        """Let the client follow, for as long as it lives."""
        self._clients.add(client)

    def follow(self, security: KafkaSecurity, tokens: TokenSource | None) -> None:
        """New connections show this. One with another protocol or mechanism is left for a restart."""
        if not self._security.takes_over(security):
            return
        self._security = security
        if self._tls is not None:
            try:
                self._tls.current = _context(security)
            except OSError as exc:
                log.error("kafka_certificate_not_renewed", reason=reason(exc))
        if self._tokens is not None and tokens is not None:
            self._tokens.source = tokens
        for client in self._clients:
            replace_password(client, security.username, _text(security))


class _Provider(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self, source: TokenSource) -> None:
        self.source = source

    async def token(self) -> str:
        try:
            return await self.source.token()
        except TokenMissing as exc:
            log.warning("kafka_token_not_had", reason=str(exc))
            raise OSError(str(exc)) from None


def _context(security: KafkaSecurity) -> ssl.SSLContext:
    password = security.key_password.get_secret_value() if security.key_password else None
    return client_context(ca=security.ca, certificate=security.certificate, key=security.key, key_password=password)


def _text(security: KafkaSecurity) -> str | None:
    return security.password.get_secret_value() if security.password else None
