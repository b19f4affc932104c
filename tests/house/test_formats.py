"""What an earlier version has written can still be read (docs/production.md, "Upgrades").

Each sample is as version 0.1.0 wrote it: with a client, in Kafka, or on the line between two versions. A sample never
changes. Where writing does, the old sample stays and a new one comes beside it.
"""

import re
from pathlib import Path

import orjson
import pytest

from proxy.consume.claim import Claim
from proxy.consume.feeds.position import Mark, read_token
from proxy.consume.partition.progress import Fence, Progress, decode
from proxy.consume.token import Kind, Signer
from proxy.consume.varint import put
from proxy.errors import BadToken
from proxy.kafka.assignor import MemberData, decode_map
from proxy.migrate.chronicle import Chronicle
from proxy.peers.frame import Opener
from proxy.record import Partition
from proxy.seams.groups import GroupMap

SIGNER = Signer(["a secret that only this test knows"])
AT_MS = 1_795_361_006_959
FIRST, SECOND = Partition("orders", 0), Partition("orders", 1)
PAGE = (Path(__file__).parents[2] / "docs/production.md").read_text()

POSITION = "AVABCWNsdXN0ZXItMQEGb3JkZXJzAivxyuueoDQAABPYfjaWpczbQbYe5g"
LEASE = "AUwHYmlsbGluZ03vyuueoDQDAAEGb3JkZXJzAAEFA1s9MzSubFW3JSNaxg"
STREAM = "AVMHYmlsbGluZ03vyuueoDQDCQEGb3JkZXJzAAEFA_d0v6Vo7srv1pXqHg"
COMMIT = "sb1.KgjvyuueoDToBwECAgEGAQOUExbn"
MEMBER = b'\x01{"address":"a:8070","epoch":4,"owned":{"orders":[0,2]},"instance":"0123"}'
MAP = b'\x01{"epoch":5,"owners":[["a:8070",{"orders":[0]}],[null,{"orders":[1]}]],"members":["a:8070","b:8070"]}'
FRAME = bytes.fromhex("000000177061796c6f61641bc8937c2d34e72a8e4583b75e911a51")
OUTCOME = (
    b'{"v":1,"change":{"id":"c-1","route":"orders","epoch":3,"setting":{"stage":"shadow","rollout":"25%"},'
    b'"before":{"stage":"legacy","rollout":"100%"},"replica":"r-1","who":"key:ops","why":"because",'
    b'"at_ms":1795361006959,"accepted":{}},"kind":"activated","reason":"","numbers":{}}'
)


def test_a_position() -> None:
    marks = {FIRST: Mark(43, AT_MS), SECOND: Mark(0)}
    assert read_token(POSITION, SIGNER, "cluster-1", ["orders"]) == marks


def test_a_lease_and_a_place_in_a_stream() -> None:
    claim = Claim("billing", 77, AT_MS, 3, {FIRST: [(5, 8)]})
    assert Claim.open(SIGNER, LEASE, group="billing") == claim
    stream = Claim("billing", 77, AT_MS, 3, {FIRST: [(5, 8)]}, 9)
    assert Claim.open(SIGNER, STREAM, group="billing", kind=Kind.STREAM) == stream


def test_the_metadata_of_a_commit() -> None:
    fence = Fence(50, AT_MS, [((48, 49), 3)], 1_000)
    assert decode(42, COMMIT) == Progress(42, [(44, 46)], fence)


def test_what_members_and_their_leader_say() -> None:
    owned = frozenset({FIRST, Partition("orders", 2)})
    assert MemberData.decode(MEMBER) == MemberData("a:8070", 4, owned, "0123")
    assert decode_map(MAP) == GroupMap(5, {FIRST: "a:8070", SECOND: None}, ("a:8070", "b:8070"))


def test_a_frame_between_peers() -> None:
    opener = Opener()
    opener.expect(b"k" * 32)
    assert list(opener.feed(FRAME)) == [b"payload"]


def test_a_record_of_the_control_topic() -> None:
    chronicle = Chronicle()
    chronicle.read(b"outcome/orders/3/activated", OUTCOME, 0.0)
    route = chronicle.routes["orders"]
    assert (str(route.setting), route.epoch) == ("shadow 25%", 3)


# ---- and what a later version will have written


def test_a_token_of_a_later_version_is_refused_and_not_misread() -> None:
    later = bytearray()
    put(later, 2)
    with pytest.raises(BadToken):
        read_token(SIGNER.sign(Kind.POSITION, later), SIGNER, "cluster-1", ["orders"])


def test_metadata_of_a_later_version_is_a_plain_commit() -> None:
    assert decode(42, "sb2." + COMMIT[4:]) == Progress(42)


def test_what_a_later_version_has_added_is_passed_over() -> None:
    more = orjson.dumps({**orjson.loads(MEMBER[1:]), "shoe_size": 43})
    assert MemberData.decode(b"\x01" + more) == MemberData.decode(MEMBER)
    assert MemberData.decode(b"\x02" + more) == MemberData()
    assert decode_map(b"\x02" + MAP[1:]) == GroupMap()


def test_a_later_record_of_the_control_topic_changes_no_stage() -> None:
    chronicle = Chronicle()
    chronicle.read(b"outcome/orders/3/activated", OUTCOME.replace(b'"v":1', b'"v":2'), 0.0)
    assert chronicle.routes == {}


def test_the_page_on_upgrades_tells_of_each() -> None:
    (table,) = re.findall(r"(?s)\n## Upgrades\n(.*?)\n## ", PAGE)
    for word in ("positions, leases", "commit metadata", "assignment", "peers", "dead letters", "migrations"):
        assert word in table
