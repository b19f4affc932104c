"""How an upstream is spoken to over TLS."""

import ssl

from proxy.config.upstreams import UpstreamTls


def client_context(tls: UpstreamTls | None) -> ssl.SSLContext:
    """Certificates are always checked, names too: against the file's authorities, or the system's. Raises OSError."""
    context = ssl.create_default_context(cafile=tls.ca if tls else None)
    context.set_alpn_protocols(["http/1.1"])
    if tls and tls.certificate:
        context.load_cert_chain(tls.certificate, tls.key)
    return context
