"""TLS: from files to what handshakes use, and how that is exchanged while connections stand.

What is taken: TLS 1.3, and 1.2 with forward secrecy and authenticated ciphers alone (RFC 9325, 4.2). Nothing is
compressed and nothing renegotiated. Files are PEM; their names come from the configuration, which has made them whole.
"""

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from cryptography import x509

ClientAuth = Literal["none", "optional", "required"]
Version = Literal["1.2", "1.3"]

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all sound
_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_WANTED = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class Exchangeable(ssl.SSLContext):
    """A context for a listener, or for clients, that hands each new handshake to `current`, which may be replaced.

    Connections that stand keep what they were made with. (asyncio and uvloop ask a context for `wrap_bio` alone.)
    """

    def __new__(cls, current: ssl.SSLContext) -> "Exchangeable":
        return super().__new__(cls, current.protocol)

    def __init__(self, current: ssl.SSLContext) -> None:
        self.current = current

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        return self.current.wrap_bio(*args, **kwargs)


def server_context(
    certificate: str,
    key: str,
    *,
    client_ca: str | None = None,
    client_auth: ClientAuth = "none",
    min_version: Version = "1.2",
    alpn: Sequence[str] = ("http/1.1",),
) -> ssl.SSLContext:
    """For a listener. Raises OSError and ssl.SSLError, whose text `reason` puts into words."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context, min_version)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    load_pair(context, certificate, key)
    if client_ca is not None:
        context.load_verify_locations(client_ca)
    context.verify_mode = _WANTED[client_auth]
    return context


def client_context(
    *,
    ca: str | None = None,
    certificate: str | None = None,
    key: str | None = None,
    key_password: str | None = None,
    min_version: Version = "1.2",
) -> ssl.SSLContext:
    """For connections to others, whose names are checked. Without a `ca` the system's are trusted. Raises as above."""
    context = ssl.create_default_context(cafile=ca)
    _harden(context, min_version)
    if certificate is not None:
        load_pair(context, certificate, key, key_password)
    return context


def reason(exc: OSError) -> str:
    """What is wrong with the files, for people. Never a password, nor what is in a key."""
    if isinstance(exc, ssl.SSLError):
        return _REASONS.get(exc.reason or "", f"TLS cannot use it ({exc.reason or _NO_REASON})")
    return exc.strerror or str(exc)


_NO_REASON = "it is no PEM, or the key's password is wrong or missing"
_REASONS: Mapping[str, str] = {
    "KEY_VALUES_MISMATCH": "the key is not that of the certificate",
    "NO_CERTIFICATE_OR_CRL_FOUND": "it holds no certificate in PEM",
    "NO_START_LINE": "it holds nothing in PEM",
    "EE_KEY_TOO_SMALL": "the key is too small: 2048 bits of RSA, or an elliptic curve",
    "CA_MD_TOO_WEAK": "it is signed with a hash that is broken",
}


def _harden(context: ssl.SSLContext, min_version: Version) -> None:
    context.minimum_version = _VERSIONS[min_version]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.set_ciphers(CIPHERS)


def load_pair(context: ssl.SSLContext, certificate: str, key: str | None, password: str | None = None) -> None:
    """A password always: without one OpenSSL would ask for it at the terminal."""
    context.load_cert_chain(certificate, key, lambda: password or "")


@dataclass(frozen=True, slots=True)
class Validity:
    """Of a certificate: seconds since 1970, in UTC."""

    from_s: float
    until_s: float


def validity(certificate: str) -> Validity:
    """Of that one in a PEM file which expires first: with it what it vouches for ends. Raises OSError, ValueError."""
    found = x509.load_pem_x509_certificates(Path(certificate).read_bytes())
    first = min(found, key=lambda one: one.not_valid_after_utc)
    return Validity(first.not_valid_before_utc.timestamp(), first.not_valid_after_utc.timestamp())


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """Whom a client's certificate names, once its chain was verified up to a configured authority.

    `subject` is as RFC 4514 writes it, the most special part first: `CN=store-7,O=Retail`. `names` are the subject's
    alternative names with their kind: `DNS:store-7.example`, `URI:spiffe://retail/store-7`, `email:...`, `IP:...`.
    """

    subject: str
    common_name: str | None
    names: tuple[str, ...] = ()

    @classmethod
    def read(cls, certificate: Mapping[str, Any] | None) -> "ClientCertificate | None":
        """From what `SSLObject.getpeercert` says. None: the client has shown none."""
        if not certificate:
            return None
        parts = [part for group in certificate.get("subject", ()) for part in group]
        common_names = [value for name, value in parts if name == "commonName"]
        names = (f"{_KINDS.get(kind, kind)}:{value}" for kind, value in certificate.get("subjectAltName", ()))
        return cls(
            ",".join(f"{_SHORT.get(name, name)}={_escaped(value)}" for name, value in reversed(parts)),
            common_names[-1] if common_names else None,
            tuple(name for name in names if not name.startswith("DirName")),
        )


_KINDS = {"IP Address": "IP"}
_SHORT = {
    "commonName": "CN",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "countryName": "C",
    "localityName": "L",
    "stateOrProvinceName": "ST",
    "domainComponent": "DC",
    "userId": "UID",
    "streetAddress": "STREET",
}


def _escaped(value: str) -> str:
    """RFC 4514, 2.4: what would end or begin another part."""
    escaped = "".join(f"\\{char}" if char in ',+"\\<>;=' else char for char in value)
    if escaped[:1] in ("#", " "):
        escaped = "\\" + escaped
    return f"{escaped[:-1]}\\ " if value.endswith(" ") and len(value) > 1 else escaped
