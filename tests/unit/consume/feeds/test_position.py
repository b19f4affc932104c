"""Positions: what comes back is believed only if it is ours, whole, for these topics and this cluster."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.feeds.position import START, Layout, Mark, after, gone, read_token
from proxy.consume.token import MAX_CHARS, Kind, Signer
from proxy.errors import BadToken, ForeignToken, ForgedToken, Gone, ProxyError, TooManyPartitions
from proxy.record import Partition
from tests.unit.consume.scripted_log import Logged

SIGNER = Signer(["secret"])

topics = st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 4), min_size=1, max_size=4)
marks = st.builds(Mark, st.integers(0, 2**63 - 1), st.none() | st.integers(-1, 2**62))


@given(st.data(), topics, st.text(max_size=30))
def test_a_position_comes_back(data: st.DataObject, counts: dict[str, int], cluster: str) -> None:
    layout = Layout(cluster, counts, SIGNER)
    at = tuple(data.draw(marks) for _ in layout.partitions)
    read = read_token(layout.token(at), SIGNER, cluster, counts)
    assert read == layout.by_partition(at)
    assert layout.marks(read) == at
    assert [mark.timestamp_ms for mark in layout.marks(read)] == [mark.timestamp_ms for mark in at]


@given(st.binary(max_size=200))
def test_signed_bytes_that_are_no_position_are_refused(payload: bytes) -> None:
    """A later version of the bridge signs with the same secret."""
    with pytest.raises(ProxyError) as refused:
        read_token(SIGNER.sign(Kind.POSITION, payload), SIGNER, "c", ["t"])
    assert isinstance(refused.value, (BadToken, ForeignToken))


@given(st.text(max_size=100) | st.binary(max_size=100).map(lambda b: base64.urlsafe_b64encode(b).decode().rstrip("=")))
def test_no_characters_are_taken_for_a_position(token: str) -> None:
    with pytest.raises((BadToken, ForgedToken)):
        read_token(token, SIGNER, "c", ["t"])


@given(st.data())
def test_a_position_that_was_changed_anywhere_is_refused(data: st.DataObject) -> None:
    token = _token({"t": 2})
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"))
    changed = token[:at] + letter + token[at + 1 :]
    if base64.urlsafe_b64decode(changed + "==") != base64.urlsafe_b64decode(token + "=="):
        with pytest.raises((BadToken, ForgedToken)):
            read_token(changed, SIGNER, "c", ["t"])


def _token(counts: dict[str, int], cluster: str = "c", signer: Signer = SIGNER) -> str:
    layout = Layout(cluster, counts, signer)
    return layout.token(tuple(Mark(n, n) for n, _ in enumerate(layout.partitions)))


def test_a_position_signed_with_another_secret_is_forged() -> None:
    with pytest.raises(ForgedToken):
        read_token(_token({"t": 1}, signer=Signer(["other"])), SIGNER, "c", ["t"])


def test_a_lease_is_no_position() -> None:
    with pytest.raises(BadToken):
        read_token(SIGNER.sign(Kind.LEASE, b"\x01"), SIGNER, "c", ["t"])


@pytest.mark.parametrize("topics", [["other"], ["t", "other"], []])
def test_a_position_for_other_topics_is_another_route_s(topics: list[str]) -> None:
    with pytest.raises(ForeignToken):
        read_token(_token({"t": 1}), SIGNER, "c", topics)


def test_the_order_in_which_a_route_names_its_topics_makes_no_difference() -> None:
    assert read_token(_token({"b": 1, "a": 1}), SIGNER, "c", ["b", "a"]).keys() == {
        Partition("a", 0),
        Partition("b", 0),
    }


def test_a_position_of_another_cluster_is_gone() -> None:
    with pytest.raises(Gone, match="another Kafka cluster"):
        read_token(_token({"t": 1}, cluster="old"), SIGNER, "new", ["t"])


def test_partitions_that_have_appeared_since_are_read_from_their_beginning() -> None:
    read = read_token(_token({"t": 1}), SIGNER, "c", ["t"])
    assert Layout("c", {"t": 3}, SIGNER).marks(read) == (Mark(0, 0), START, START)


def test_a_topic_that_did_not_exist_is_named_all_the_same() -> None:
    assert read_token(_token({"t": 1, "later": 0}), SIGNER, "c", ["t", "later"]).keys() == {Partition("t", 0)}


def test_a_mark_is_after_its_record() -> None:
    assert after(Logged("t", 0, 41, 1_000)) == Mark(42, 1_000)
    assert after(Logged("t", 0, 41, -1)) == Mark(42, -1)  # Kafka's "no timestamp" is a timestamp like any other
    assert Mark(42, -1) != Mark(42, None)


def test_what_is_gone_is_said_with_the_range_lost_and_where_to_go_on() -> None:
    lost = gone([(Partition("t", 1), Mark(3, 1), (8, 20)), (Partition("t", 2), Mark(5), None)], resume="next position")
    assert lost.extra == {
        "lost": [
            {"topic": "t", "partition": 1, "position": 3, "begins": 8, "ends": 20},
            {"topic": "t", "partition": 2, "position": 5, "begins": None, "ends": None},
        ],
        "next": "next position",
    }


def test_a_position_of_a_hundred_partitions_fits_into_a_header() -> None:
    layout = Layout("c" * 22, {"retail.stock-levels": 100}, SIGNER)
    assert len(layout.token(tuple(Mark(10**9, 1_800_000_000_000) for _ in layout.partitions))) < 2_000


def test_more_partitions_than_a_position_holds_are_refused() -> None:
    """What is not refused can be handed out and comes back."""
    names = {"retail.stock-levels": 0, "retail.sales": 0}
    widest, wider = (Layout("c" * 22, {**names, "retail.sales": count}, SIGNER) for count in (939, 940))
    with pytest.raises(TooManyPartitions, match="have 940 partitions, and a position holds 939"):
        wider.refuse_too_wide()
    widest.refuse_too_wide()
    token = widest.token(tuple(Mark(10**12, 1_800_000_000_000) for _ in widest.partitions))
    assert len(token) <= MAX_CHARS
    assert len(read_token(token, SIGNER, "c" * 22, names)) == 939
