"""TLS in the file. Names of files are relative to it; the loader makes them whole and tries them (`tls_files.py`)."""

from typing import Literal

from pydantic import Field

from proxy.config.section import Section


class ListenerTls(Section):
    """Of `server` and of `admin`."""

    certificate: str = Field(description="PEM file: the certificate, and after it those that lead to an authority.")
    key: str = Field(description="PEM file of its private key, without a password.")
    client_ca: str | None = Field(default=None, description="PEM file of the authorities that sign clients.")
    client_auth: Literal["none", "optional", "required"] = Field(
        default="none", description="Whether clients show a certificate of their own: none, optional or required."
    )
    min_version: Literal["1.2", "1.3"] = Field(default="1.2", description="The least version of TLS: 1.2 or 1.3.")


class PeerTls(Section):
    """Of `peer`: both sides show a certificate that the same authority has signed, and `peer.secret` stays."""

    certificate: str = Field(description="PEM file: the certificate of this host, for both sides of a connection.")
    key: str = Field(description="PEM file of its private key, without a password.")
    ca: str = Field(description="PEM file of the authority that signs peers, and nobody else.")
