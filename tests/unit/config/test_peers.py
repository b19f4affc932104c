"""Several processes that serve one client together: what the file must say for them."""

from pathlib import Path

import pytest

from proxy.config.load import ConfigMistakes, load
from proxy.config.model import Peer
from tests.unit.config.files import A_ROUTE, HEAD, load_text, mistakes

A_GROUP = "  - route: GET /a\n    consume: {topics: [a], group: g}\n"
A_FEED = "  - route: GET /b\n    consume: {topics: [a]}\n"
SECRET = "secret: 0123456789abcdef\n"
PEER = "peer: {listen: 'localhost:7000', secret: 0123456789abcdef}\n"
TWO = "server: {workers: 2}\n"


def test_writing_needs_nothing_for_a_second_worker(tmp_path: Path) -> None:
    assert load_text(tmp_path, HEAD + A_ROUTE + TWO).server.workers == 2


def test_a_group_with_a_second_worker_needs_peers(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + A_GROUP + TWO + SECRET)
    assert found.startswith(
        "7:19: server.workers: is 2, and routes read for groups (g): write `peer` with `listen` and"
    )
    assert mistakes(tmp_path, HEAD + A_ROUTE + A_GROUP + TWO + SECRET + PEER) == []
    assert mistakes(tmp_path, HEAD + A_ROUTE + A_GROUP + "server: {workers: 1}\n") == []


def test_readers_need_a_secret_that_all_processes_have(tmp_path: Path) -> None:
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + A_FEED + TWO)
    assert found.startswith("7:19: server.workers: is 2, and routes read: write `secret`")
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + A_FEED + PEER)
    assert found.startswith("7:7: peer: also needs the top-level `secret`")
    assert mistakes(tmp_path, HEAD + A_ROUTE + A_FEED + TWO + SECRET) == []
    assert mistakes(tmp_path, HEAD + A_ROUTE + PEER) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "[::]"])
def test_peers_must_be_told_where_to_connect(tmp_path: Path, host: str) -> None:
    peer = f"peer: {{listen: '{host}:7000', secret: 0123456789abcdef}}\n"
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + peer)
    assert "peer.listen: " in found
    assert "write `advertise`" in found
    assert mistakes(tmp_path, HEAD + A_ROUTE + peer.replace("}", ", advertise: 'host:7000'}")) == []
    assert len(mistakes(tmp_path, HEAD + A_ROUTE + peer.replace("}", f", advertise: '{host}:7000'}}"))) == 1


@pytest.mark.parametrize(
    ("keys", "mistake"),
    [
        ("listen: 'localhost'", "listen: 'localhost' is no address: write host:port"),
        ("listen: 'localhost:0'", "listen: 'localhost:0' has no port that others could know"),
        ("listen: 'a:1', tls: 1", "tls: is 1, must be a mapping"),
        ("listen: 'a:1', secret: short", "secret[0]: is too short"),
        ("listen: 'a:1', secret: []", "secret: has too few entries"),
        ("listen: 'a:65535'", "listen: 2 workers need the ports up to 65536: begin at 65534 or below"),
        ("listen: 'a:1', advertise: 'b:65535'", "advertise: 2 workers need the ports up to 65536"),
        ("listen: '127.0.0.1:8079'", "listen: 8080, the port of `server`, is among its ports (8079"),
        ("listen: '0.0.0.0:9089', advertise: 'a:1'", "listen: 9090, the port of `admin`, is among its ports"),
    ],
)
def test_a_wrong_peer_is_told_with_what_would_be_right(tmp_path: Path, keys: str, mistake: str) -> None:
    secret = "" if "secret" in keys else ", secret: 0123456789abcdef"
    (found,) = mistakes(tmp_path, HEAD + A_ROUTE + TWO + f"peer: {{{keys}{secret}}}\n")
    assert found.split(": ", 1)[1].startswith(f"peer.{mistake}")
    assert "0123456789abcdef" not in found


def test_each_worker_has_a_port_of_its_own(tmp_path: Path) -> None:
    peer = load_text(tmp_path, HEAD + A_ROUTE + PEER).peer
    assert peer is not None
    assert (peer.listens_at(0), peer.listens_at(2)) == (("localhost", 7000), ("localhost", 7002))
    assert peer.advertised_by(2) == "localhost:7002"
    elsewhere = Peer.model_validate(
        {"listen": "[::]:7000", "advertise": "[::1]:80", "secret": ["0123456789abcdef", "fedcba9876543210"]}
    )
    assert elsewhere.listens_at(1) == ("::", 7001)
    assert elsewhere.advertised_by(1) == "[::1]:81"


def test_a_flag_is_judged_like_the_files_own_value(tmp_path: Path) -> None:
    load_text(tmp_path, HEAD + A_ROUTE + A_GROUP)
    path = tmp_path / "bridge.yaml"
    with pytest.raises(ConfigMistakes, match="routes read for groups"):
        load(path, {}, {"server": {"workers": 2}})
    with pytest.raises(ConfigMistakes, match="lets other machines in"):
        load(path, {}, {"server": {"host": "0.0.0.0"}})
    flagged = load(path, {}, {"server": {"port": 1}, "admin": {"port": 2}}).server
    assert (flagged.port, flagged.host, flagged.workers) == (1, "127.0.0.1", 1)
    path.write_text(HEAD + A_ROUTE + A_GROUP + TWO)
    assert load(path, {}, {"server": {"workers": 1}}).server.workers == 1


def test_a_flag_does_not_hide_that_a_section_is_none(tmp_path: Path) -> None:
    path = tmp_path / "bridge.yaml"
    path.write_text(HEAD + A_ROUTE + "server: 8080\n")
    with pytest.raises(ConfigMistakes, match="is 8080, must be a mapping"):
        load(path, {}, {"server": {"workers": 1}})
