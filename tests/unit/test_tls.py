"""What handshakes take and refuse, over memory: no socket, no clock."""

import contextlib
import ssl
from pathlib import Path

import pytest

from proxy.tls import ClientAuth, ClientCertificate, Exchangeable, client_context, reason, server_context
from tests.certificates import Authority


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str = "localhost") -> tuple[ssl.SSLObject, ...]:
    """Both ends once they have shaken hands. Raises ssl.SSLError of the one that would not."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for end in (ours, theirs):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
    for end in (ours, theirs):  # TLS 1.3: a server's refusal comes after the client has done
        with contextlib.suppress(ssl.SSLWantReadError):
            end.read()
    return ours, theirs


def listener(authority: Authority, auth: ClientAuth = "none") -> ssl.SSLContext:
    pair = authority.server()
    return server_context(str(pair.certificate), str(pair.key), client_ca=str(authority.pem), client_auth=auth)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_of_this_decade_is_taken_with_a_cipher_that_has_forward_secrecy(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    client = client_context(ca=str(authority.pem))
    client.maximum_version = version
    ours, _ = shake(client, listener(authority))
    assert ours.version() == {771: "TLSv1.2", 772: "TLSv1.3"}[version]
    cipher = ours.cipher()
    assert cipher is not None
    assert cipher[0].startswith(("ECDHE", "TLS_"))
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


@pytest.mark.parametrize("ciphers", ["AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "DHE-RSA-AES128-GCM-SHA256"])
def test_a_client_with_nothing_but_weak_ciphers_is_refused(authority: Authority, ciphers: str) -> None:
    client = ssl.create_default_context(cafile=str(authority.pem))
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers)
    with pytest.raises(ssl.SSLError):
        shake(client, listener(authority))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_a_client_of_an_old_version_is_refused(authority: Authority) -> None:
    client = ssl.create_default_context(cafile=str(authority.pem))
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
    client.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises(ssl.SSLError):
        shake(client, listener(authority))


def test_a_server_under_another_name_is_not_believed(authority: Authority) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client_context(ca=str(authority.pem)), listener(authority), name="elsewhere.example")


def test_a_clients_certificate_is_read_with_its_names(authority: Authority) -> None:
    pair = authority.client("store-7", "store-7.retail.example", "store7@retail.example")
    client = client_context(ca=str(authority.pem), certificate=str(pair.certificate), key=str(pair.key))
    _, theirs = shake(client, listener(authority, "required"))
    certificate = ClientCertificate.read(theirs.getpeercert())
    assert certificate is not None
    assert certificate.common_name == "store-7"
    assert certificate.subject.startswith("CN=store-7,")
    assert certificate.names == ("DNS:store-7.retail.example", "email:store7@retail.example")


def test_a_client_without_a_certificate_is_nobody_where_it_may_be_and_refused_where_it_may_not(
    authority: Authority,
) -> None:
    client = client_context(ca=str(authority.pem))
    _, theirs = shake(client, listener(authority, "optional"))
    assert ClientCertificate.read(theirs.getpeercert()) is None
    with pytest.raises(ssl.SSLError):
        shake(client, listener(authority, "required"))


@pytest.mark.parametrize("auth", ["optional", "required"])
def test_a_certificate_of_another_authority_is_refused(authority: Authority, tmp_path: Path, auth: ClientAuth) -> None:
    pair = Authority(tmp_path, "other").client("store-7")
    client = client_context(ca=str(authority.pem), certificate=str(pair.certificate), key=str(pair.key))
    with pytest.raises(ssl.SSLError):
        shake(client, listener(authority, auth))


def test_the_next_handshake_uses_the_context_put_in_force(authority: Authority, tmp_path: Path) -> None:
    later = Authority(tmp_path, "later")
    context = Exchangeable(listener(authority))
    shake(client_context(ca=str(authority.pem)), context)
    context.current = listener(later)
    shake(client_context(ca=str(later.pem)), context)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(client_context(ca=str(authority.pem)), context)


def test_what_is_wrong_with_the_files_is_said_in_words(authority: Authority, tmp_path: Path) -> None:
    one, other = authority.server("one"), authority.server("other")
    empty = tmp_path / "empty.pem"
    empty.touch()
    said = []
    for certificate, key in ((one.certificate, other.key), (empty, one.key), (tmp_path / "none.pem", one.key)):
        with pytest.raises(OSError) as caught:  # noqa: PT011 - its words are what is tested
            server_context(str(certificate), str(key))
        said.append(reason(caught.value))
    assert said[0] == "the key is not that of the certificate"
    assert "no certificate" in said[1] or "nothing in PEM" in said[1] or "PEM" in said[1]
    assert said[2] == "No such file or directory"


@pytest.mark.parametrize(
    ("value", "written"),
    [("a,b", r"a\,b"), ("CN=x", r"CN\=x"), ("#1", r"\#1"), ("a ", "a\\ "), ("ok", "ok")],
)
def test_a_name_cannot_pretend_to_be_several_parts(value: str, written: str) -> None:
    certificate = ClientCertificate.read({"subject": ((("organizationName", "Retail"),), (("commonName", value),))})
    assert certificate is not None
    assert certificate.subject == f"CN={written},O=Retail"
