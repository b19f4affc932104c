"""Certificates for tests: an authority of our own, and files that it has signed, laid out as an operator has them."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Pair:
    """PEM files: a certificate with its chain, and its key."""

    certificate: Path
    key: Path


class Authority:
    """One authority with its files in `directory`."""

    def __init__(self, directory: Path, name: str = "ca") -> None:
        self._directory = directory
        self._ca = trustme.CA(organization_name=f"Retail {name}")
        self.pem = directory / f"{name}.pem"
        self._ca.cert_pem.write_to_path(self.pem)

    def server(self, name: str = "server", *hosts: str, expires: datetime | None = None) -> Pair:
        """For 127.0.0.1 and localhost, unless `hosts` says otherwise. Written again it is another certificate."""
        leaf = self._ca.issue_cert(*(hosts or ("127.0.0.1", "localhost")), not_after=expires)
        return self._write(name, leaf)

    def client(self, name: str, *names: str) -> Pair:
        """Of the common name `name`, with alternative names (a host, an e-mail address)."""
        alternative = names or (f"{name}.retail.example",)
        return self._write(name, self._ca.issue_cert(*alternative, common_name=name, organization_name="Retail"))

    def _write(self, name: str, leaf: trustme.LeafCert) -> Pair:
        pair = Pair(self._directory / f"{name}.pem", self._directory / f"{name}.key")
        pair.certificate.write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(pair.key)
        return pair
