"""When the bridge's own certificates expire, and when somebody is told."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from proxy.certificates import Certificates, Shown, in_words, shown_by
from proxy.clock import wall_ms
from proxy.tls import Validity, validity
from tests.certificates import Authority
from tests.unit.config.files import load_text

HOUR, DAY = 3_600.0, 86_400.0


def shown(left: float, life: float) -> Shown:
    """A certificate with so many seconds left of its life."""
    until_s = wall_ms() / 1000 + left
    return Shown("server.tls", "server.pem", Validity(until_s - life, until_s))


@pytest.mark.parametrize(
    ("left", "life"),
    [
        (22 * DAY, 90 * DAY),
        (30 * DAY, 10 * 365 * DAY),
        (16 * DAY, 47 * DAY),  # renewed with a third left: before that nobody is to be told
        (0.3 * HOUR, HOUR),  # a workload's, renewed all the time
    ],
)
def test_nobody_is_told_of_one_that_has_time(left: float, life: float) -> None:
    assert shown(left, life).trouble() == ""


@pytest.mark.parametrize(
    ("left", "life", "words"),
    [
        (20.5 * DAY, 90 * DAY, "expires in 20 days"),
        (20.5 * DAY, 10 * 365 * DAY, "expires in 20 days"),
        (11.5 * DAY, 47 * DAY, "expires in 11 days"),
        (10.5 * 60, HOUR, "expires in 10 min"),
        (-3.5 * HOUR, 90 * DAY, "expired 3 hours ago: whoever checks it hangs up"),
    ],
)
def test_what_is_said_has_the_time_and_what_to_do(left: float, life: float, words: str) -> None:
    assert shown(left, life).trouble() == f"{words}. Renew server.pem, then reload"


def test_words_have_the_unit_that_fits() -> None:
    assert [in_words(s) for s in (0, 59 * 60, 1.9 * HOUR, 2 * HOUR, 47 * HOUR, 2 * DAY)] == [
        "0 min",
        "59 min",
        "114 min",
        "2 hours",
        "47 hours",
        "2 days",
    ]


def test_of_several_in_a_file_that_counts_which_expires_first(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(days=3)
    leaf, early = authority.server("leaf"), authority.server("early", expires=soon)
    both = tmp_path / "both.pem"
    both.write_bytes(leaf.certificate.read_bytes() + early.certificate.read_bytes())
    assert validity(str(both)) == validity(str(early.certificate))
    assert validity(str(both)).until_s == soon.timestamp()
    assert validity(str(leaf.certificate)).until_s > soon.timestamp()


def test_every_section_that_shows_one_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.server("s"), authority.server("a"), authority.server("p"), authority.client("k"), authority.client("u")
    config = load_text(tmp_path, EVERY)
    assert {one.section: Path(one.file).name for one in shown_by(config)} == {
        "server.tls": "s.pem",
        "admin.tls": "a.pem",
        "peer.tls": "p.pem",
        "kafka.security": "k.pem",
        "upstreams.old.tls": "u.pem",
    }


def test_what_is_told_is_what_was_in_force_and_not_what_has_become_of_the_file(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.server("s"), authority.server("a"), authority.server("p"), authority.client("k"), authority.client("u")
    config = load_text(tmp_path, EVERY)
    certificates = Certificates()
    certificates.follow(config)
    before = list(certificates.samples())
    soon = datetime.now(UTC) + timedelta(days=3)
    authority.server("s", expires=soon)
    assert list(certificates.samples()) == before
    certificates.follow(config)
    changed = [new for old, new in zip(before, certificates.samples(), strict=True) if old != new]
    assert [one.labels["section"] for one in changed if one.name.endswith("expires_timestamp_seconds")] == [
        "server.tls"
    ]
    assert changed[-1].value == int(soon.timestamp())


def test_a_bridge_without_tls_shows_none(tmp_path: Path) -> None:
    certificates = Certificates()
    certificates.follow(
        load_text(
            tmp_path,
            'kafka: {bootstrap_servers: "k:9092"}\nauth: none\nroutes: [{route: POST /a, produce: {topic: a}}]\n',
        )
    )
    assert list(certificates.samples()) == []


EVERY = """\
kafka:
  bootstrap_servers: "k:9092"
  security: {protocol: ssl, ca: ca.pem, certificate: k.pem, key: k.key}
auth: none
secret: a secret of more than enough bytes for this
server: {tls: {certificate: s.pem, key: s.key}}
admin: {tls: {certificate: a.pem, key: a.key}}
peer:
  listen: "127.0.0.1:7070"
  secret: another secret of more than enough bytes
  tls: {certificate: p.pem, key: p.key, ca: ca.pem}
upstreams:
  old: {url: "https://old.example", tls: {certificate: u.pem, key: u.key}}
  plain: {url: "http://plain.example"}
routes:
  - {route: GET /old, upstream: old}
"""
