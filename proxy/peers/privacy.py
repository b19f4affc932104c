"""TLS between peers (`peer.tls`): each side shows a certificate of an authority that signs nobody else.

Names in certificates are not compared: workers are called under addresses that change with every start, and that a
caller is who it says it is, the shared secret proves (`handshake.py`). So either of the two alone keeps strangers out.
"""

import ssl
from typing import Any

from proxy.config.tls import PeerTls
from proxy.observe.logs import logger
from proxy.tls import Exchangeable, client_context, reason, server_context

HANDSHAKE_S = 5.0

log = logger("peers")


class Privacy:
    """What both sides of new connections use."""

    def __init__(self, tls: PeerTls) -> None:
        """Raises OSError: the files were tried when they were named."""
        listens, calls = _contexts(tls)
        self._listens, self._calls = Exchangeable(listens), Exchangeable(calls)

    def listening(self) -> dict[str, Any]:
        """For `create_server`."""
        return {"ssl": self._listens, "ssl_handshake_timeout": HANDSHAKE_S}

    def calling(self, host: str) -> dict[str, Any]:
        """For `create_connection`."""
        return {"ssl": self._calls, "server_hostname": host, "ssl_handshake_timeout": HANDSHAKE_S}

    def renew(self, tls: PeerTls) -> None:
        """Use the files as they are now. If those have just become unusable, what they were."""
        try:
            self._listens.current, self._calls.current = _contexts(tls)
        except OSError as exc:
            log.error("peer_certificate_not_renewed", certificate=tls.certificate, reason=reason(exc))


def _contexts(tls: PeerTls) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    listens = server_context(
        tls.certificate, tls.key, client_ca=tls.ca, client_auth="required", min_version="1.3", alpn=()
    )
    calls = client_context(ca=tls.ca, certificate=tls.certificate, key=tls.key, min_version="1.3")
    calls.check_hostname = False
    return listens, calls
