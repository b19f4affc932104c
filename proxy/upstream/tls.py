"""How an upstream is spoken to over TLS."""

import ssl

from proxy.config.upstreams import UpstreamTls
from proxy.tls import load_pair


def upstream_context(tls: UpstreamTls | None) -> ssl.SSLContext:
    """Certificates are always checked, names too: against the file's authorities, or the system's. Raises OSError.

    Ciphers are Python's own choice, which is wider than that of `proxy.tls`: the old service is what it is, and to be
    replaced rather than changed.
    """
    context = ssl.create_default_context(cafile=tls.ca if tls else None)
    context.set_alpn_protocols(["http/1.1"])
    if tls and tls.certificate:
        load_pair(context, tls.certificate, tls.key)
    return context
