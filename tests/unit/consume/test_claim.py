import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.consume.claim import Claim, beyond, ids, read_id
from proxy.consume.ranges import Range, Ranges
from proxy.consume.token import Kind, Signer
from proxy.errors import BadToken, ForeignToken, ForgedToken
from proxy.record import Partition

SIGNER = Signer(["a secret"])
A, B = Partition("orders", 0), Partition("orders", 1)
CLAIM = Claim("pricing", 77, 1_700_000_030_000, 4, {A: [(5, 8)], B: [(2, 3)]})
RANGES = st.lists(st.tuples(st.integers(0, 1 << 40), st.integers(1, 1 << 20)), min_size=1, max_size=5).map(
    lambda pairs: list(Ranges((start, start + width) for start, width in pairs))
)
PARTITIONS = st.builds(Partition, st.sampled_from(["orders", "sales", "promotions-2"]), st.integers(0, 1_000))
NUMBERS = st.integers(0, (1 << 64) - 1)
CLAIMS = st.builds(
    Claim, st.just("pricing"), NUMBERS, NUMBERS, NUMBERS, st.dictionaries(PARTITIONS, RANGES, max_size=5), NUMBERS
)


@given(CLAIMS, st.sampled_from([Kind.LEASE, Kind.STREAM]))
def test_a_claim_comes_back_as_it_was_sealed(claim: Claim, kind: Kind) -> None:
    assert Claim.open(SIGNER, claim.seal(SIGNER, kind), group="pricing", kind=kind) == claim


@given(st.binary(max_size=80))
def test_any_signed_bytes_are_a_claim_or_a_bad_token(payload: bytes) -> None:
    """Another version's tokens are signed with the same secret."""
    try:
        claim = Claim.open(SIGNER, SIGNER.sign(Kind.LEASE, payload), group="pricing")
    except (BadToken, ForeignToken):
        return
    assert claim.group == "pricing"


def test_a_lease_of_another_group_is_foreign() -> None:
    with pytest.raises(ForeignToken):
        Claim.open(SIGNER, CLAIM.seal(SIGNER), group="billing")


def test_a_lease_nobody_signed_is_forged() -> None:
    with pytest.raises(ForgedToken):
        Claim.open(SIGNER, CLAIM.seal(Signer(["another secret"])), group="pricing")


@pytest.mark.parametrize("group", ["", "pricing", "größe"])
def test_a_lease_for_a_hundred_records_is_short(group: str) -> None:
    claim = Claim(
        group, (1 << 62) - 1, 1_700_000_030_000, 100, {Partition("retail.stock-levels", 3): [(10**9, 10**9 + 100)]}
    )
    assert len(claim.seal(SIGNER)) < 100


# ---- ids


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("orders:0:5", (A, 5)),
        ("a.b-c_d:12:0", (Partition("a.b-c_d", 12), 0)),
        ("orders:0", None),
        ("orders:0:", None),
        ("orders::5", None),
        ("orders:0:5:6", None),
        ("orders:-1:5", None),
        ("orders:0:+5", None),
        ("orders:0: 5", None),
        ("orders:0:5_0", None),
        ("orders:0:" + "9" * 5_000, None),
        ("", None),
    ],
)
def test_an_id_is_topic_partition_offset(text: str, place: tuple[Partition, int] | None) -> None:
    assert read_id(text) == place


@given(st.text())
def test_no_text_breaks_an_id(text: str) -> None:
    place = read_id(text)
    assert place is None or text.startswith(place[0].topic)


@given(RANGES, RANGES)
def test_beyond_is_what_was_not_seen(held: list[Range], seen: list[Range]) -> None:
    rest = Ranges(beyond({A: held}, {A: seen}).get(A, ()))
    for start, end in held:
        for offset in (start, end - 1):
            assert (offset in rest) == (offset not in Ranges(seen))


def test_ids_of_a_wide_range_stop_at_the_limit() -> None:
    assert ids({A: [(0, 1 << 60)]}, limit=2) == ["orders:0:0", "orders:0:1"]
